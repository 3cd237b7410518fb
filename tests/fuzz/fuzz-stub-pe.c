/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input once as a kernel's file, which is placed in memory, and once as a loaded boot image, whose kernel may
 * be inside. */

#include <stdlib.h>

#include "stubs/boot-image.h"
#include "stubs/esp-path.h"
#include "stubs/kernel-image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

/* Small kernels only: placing a large one tells nothing more, and takes long. */
static void place(Bytes file) {
        enum { LARGE = 1024 * 1024 };
        KernelImage kernel;

        if (kernel_image_open(file, PE_MACHINE_X64, &kernel) || kernel.memory_size > LARGE)
                return;
        require(kernel.pe.entry_point < kernel.memory_size);
        uint8_t *memory = malloc(kernel.memory_size); /* exactly: the sanitizer watches its end */
        require(memory);
        kernel_image_place(&kernel, memory);
        free(memory);
}

static void require_inside(Bytes image, Bytes part) {
        require(part.size == 0 || (part.data >= image.data && part.size <= image.size &&
                                   (size_t)(part.data - image.data) <= image.size - part.size));
}

static void read_boot_image(Bytes image, bool secure_boot) {
        static Text why;
        BootImage boot;

        text_clear(&why);
        if (!boot_image_read(image, secure_boot, &boot, &why)) {
                require(why.length > 0);
                return;
        }
        require_inside(image, boot.embedded_kernel);
        require_inside(image, boot.embedded_initrd);
        require_inside(image, boot.microcode);
        if (boot.embedded_kernel.size > 0) {
                require(boot.kernel.path.size == 0 && !boot.kernel.hash && boot.initrd_count == 0);
                place(boot.embedded_kernel);
                return;
        }
        require(boot.embedded_initrd.size == 0 && !esp_path_check(boot.kernel.path));
        for (size_t i = 0; i < boot.initrd_count; i++) {
                require(!esp_path_check(boot.initrds[i].path));
                require(boot.initrds[i].hash || !secure_boot);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        place((Bytes){data, size});
        read_boot_image((Bytes){data, size}, true);
        read_boot_image((Bytes){data, size}, false);
        return 0;
}
