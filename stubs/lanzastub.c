/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* lanzastub: the part of a boot image that runs. Firmware has checked the image's signature, which covers everything in
 * it: this code, the command line, and either kernel and initrd themselves or the names and hashes of their files.
 * Files are read here and held against their hashes; then the kernel is started. This file is the story; each step is
 * told in detail in the file of its noun. */

#include "stubs/boot-image.h"
#include "stubs/command-line.h"
#include "stubs/console.h"
#include "stubs/content.h"
#include "stubs/efi.h"
#include "stubs/extra.h"
#include "stubs/initrd.h"
#include "stubs/kernel.h"
#include "stubs/load-options.h"
#include "stubs/loader-interface.h"
#include "stubs/secure-boot.h"
#include "stubs/stack-protector.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table);

/* While Secure Boot is on: the embedded command line, or an empty one; what was passed comes from outside of what is
 * signed. Else: the passed one, if it is text, so that a person can mend a boot by hand. */
static EFI_STATUS choose_command_line(EFI_HANDLE handle, const EFI_LOADED_IMAGE *loaded_image, const BootImage *image,
                                      bool secure_boot, CommandLine *ret, Text *why) {
        if (!secure_boot && load_options_read(handle, loaded_image, ret))
                return EFI_SUCCESS;

        const char *wrong = command_line_from_section(image->command_line, ret);
        if (wrong)
                return fail(why, EFI_LOAD_ERROR, "The command line in this boot image %s. " BOOT_ANOTHER, wrong);
        return EFI_SUCCESS;
}

/* What is to run, in memory. */
typedef struct Contents {
        Bytes kernel; /* the file */
        InitrdList initrd;
        Pages kernel_pages; /* what they are in, unless they are in our own image */
        Pages initrd_pages;
        Pages extra_pages;
} Contents;

static void contents_free(Contents *contents) {
        pages_free(&contents->kernel_pages);
        pages_free(&contents->initrd_pages);
        pages_free(&contents->extra_pages);
}

static EFI_STATUS read_files(const EFI_LOADED_IMAGE *loaded_image, const BootImage *image, Contents *contents,
                             Text *why) {
        _cleanup_(volume_close) Volume volume = {};

        EFI_STATUS status = volume_open(loaded_image->DeviceHandle, &volume, why);
        if (EFI_ERROR(status))
                return status;
        status = content_read_kernel(&volume, &image->kernel, &contents->kernel_pages, &contents->kernel, why);
        if (EFI_ERROR(status))
                return status;
        return content_read_initrds(&volume, image, &contents->initrd_pages, why);
}

/* Kernel and initrds from the volume that we came from, or out of ourselves, and what goes around the initrds.
 * *CONTENTS is to be freed in any case. */
static EFI_STATUS gather_contents(const EFI_LOADED_IMAGE *loaded_image, const BootImage *image, Contents *contents,
                                  Text *why) {
        EFI_STATUS status = EFI_SUCCESS;

        contents->kernel = image->embedded_kernel;
        if (image->embedded_kernel.size == 0)
                status = read_files(loaded_image, image, contents, why);
        if (EFI_ERROR(status))
                return status;

        initrd_list_add(&contents->initrd, image->microcode);
        initrd_list_add(&contents->initrd, image->embedded_initrd);
        initrd_list_add(&contents->initrd, pages_bytes(&contents->initrd_pages));
        if (contents->initrd.size > 0)
                status = extra_make(image, &contents->extra_pages, why);
        if (!EFI_ERROR(status))
                initrd_list_add(&contents->initrd, pages_bytes(&contents->extra_pages));
        return status;
}

static EFI_STATUS boot(EFI_HANDLE handle, Text *why) {
        EFI_GUID protocol = EFI_LOADED_IMAGE_PROTOCOL_GUID;
        EFI_LOADED_IMAGE *loaded_image;
        BootImage image;
        _cleanup_(contents_free) Contents contents = {};
        _cleanup_(initrd_withdraw) EFI_HANDLE offer = NULL;
        static CommandLine command_line;
        EFI_STATUS status;

        /* 1. What is to be booted: our own sections, in memory. The file is never read again. */
        bool secure_boot = secure_boot_is_on();
        status = BS->HandleProtocol(handle, &protocol, (void **)&loaded_image);
        if (EFI_ERROR(status))
                return fail(why, status,
                            "The firmware does not say where it loaded this boot image (%s). "
                            "Start it from the firmware's own boot menu.",
                            status_name(status));
        if (!boot_image_read((Bytes){loaded_image->ImageBase, loaded_image->ImageSize}, secure_boot, &image, why))
                return EFI_LOAD_ERROR;

        /* 2. Kernel and initrds. */
        status = gather_contents(loaded_image, &image, &contents, why);
        if (EFI_ERROR(status))
                return status;

        /* 3. The command line. */
        status = choose_command_line(handle, loaded_image, &image, secure_boot, &command_line, why);
        if (EFI_ERROR(status))
                return status;

        /* 4. How we were booted, for the operating system. */
        loader_interface_publish(loaded_image);

        /* 5. The initrds, where Linux looks for them. */
        status = initrd_offer(&contents.initrd, secure_boot, &offer, why);
        if (EFI_ERROR(status))
                return status;

        /* 6. Linux. */
        bool embedded = image.embedded_kernel.size > 0;
        KernelStart start = {
                .image = handle,
                .loaded_image = loaded_image,
                .name = embedded ? bytes_from_string("in this boot image") : image.kernel.path,
                .path = image.kernel.path,
                .file = contents.kernel,
                .pages = &contents.kernel_pages,
                .needs_initrd = contents.initrd.size > 0,
                .command_line = &command_line,
        };
        bool trusted = embedded || image.kernel.hash;
        return trusted ? kernel_start_trusted(&start, why) : kernel_start_by_firmware(&start, why);
}

WITHOUT_STACK_PROTECTOR EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table) {
        static Text why;

        stack_protector_seed();
        ST = system_table;
        BS = system_table->BootServices;
        RT = system_table->RuntimeServices;

        /* It comes back only if something failed; all that it held is freed by then. A boot loader whose entry fails
         * gives up too, so that a machine that nobody watches boots something else; with one that ends well,
         * systemd-boot and firmware show their menus. */
        EFI_STATUS status = boot(handle, &why);
        return console_explain(&why) ? EFI_SUCCESS : status;
}
