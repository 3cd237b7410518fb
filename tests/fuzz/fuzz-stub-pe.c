/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input once as a kernel's file, which is placed in memory, and once as a loaded boot image, whose kernel may
 * be inside. */

#include <stdlib.h>
#include <string.h>

#include "stubs/boot-image.h"
#include "stubs/esp-path.h"
#include "stubs/kernel-image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

/* Where the file is, it comes out as it does elsewhere. */
static void place_in_place(Bytes file, const uint8_t *expected, size_t expected_size) {
        uint8_t *memory = malloc(file.size > expected_size ? file.size : expected_size);
        KernelImage kernel;

        require(memory);
        memcpy(memory, file.data, file.size);
        require(!kernel_image_open((Bytes){memory, file.size}, PE_MACHINE_X64, &kernel));
        kernel_image_place(&kernel, memory);
        require(memcmp(memory, expected, expected_size) == 0);
        free(memory);
}

/* Small kernels only: placing a large one tells nothing more, and takes long. */
static void place(Bytes file) {
        enum { LARGE = 1024 * 1024 };
        KernelImage kernel;
        size_t alignment;

        require(kernel_image_guess_room(file, file.size, &alignment) >= file.size && alignment >= 4096);
        if (kernel_image_open(file, PE_MACHINE_X64, &kernel) || kernel.memory_size > LARGE)
                return;
        require(kernel.pe.entry_point < kernel.memory_size);
        uint8_t *memory = malloc(kernel.memory_size); /* exactly: the sanitizer watches its end */
        require(memory);
        kernel_image_place(&kernel, memory);
        if (kernel_image_fits_in_place(&kernel))
                place_in_place(file, memory, kernel.memory_size);
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
