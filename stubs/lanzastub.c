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

/* Whether the kernel needs no judgement of the firmware any more. */
static bool is_trusted(const BootImage *image) {
        return image->embedded_kernel.size > 0 || image->kernel.hash;
}

/* Reads the files that the image names, if it names any. */
static EFI_STATUS read_files(const EFI_LOADED_IMAGE *loaded_image, const BootImage *image, Pages *kernel,
                             Bytes *kernel_file, Pages *initrds, Text *why) {
        _cleanup_(volume_close) Volume volume = {};

        if (image->embedded_kernel.size > 0)
                return EFI_SUCCESS;
        EFI_STATUS status = volume_open(loaded_image->DeviceHandle, &volume, why);
        if (EFI_ERROR(status))
                return status;
        status = content_read_kernel(&volume, &image->kernel, kernel, kernel_file, why);
        if (EFI_ERROR(status))
                return status;
        return content_read_initrds(&volume, image, initrds, why);
}

static EFI_STATUS boot(EFI_HANDLE handle, Text *why) {
        EFI_GUID protocol = EFI_LOADED_IMAGE_PROTOCOL_GUID;
        EFI_LOADED_IMAGE *loaded_image;
        BootImage image;
        _cleanup_(pages_free) Pages kernel = {};
        _cleanup_(pages_free) Pages initrds = {};
        _cleanup_(initrd_withdraw) EFI_HANDLE offer = NULL;
        Bytes kernel_file = {};
        InitrdList initrd = {};
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

        /* 2. Kernel and initrds, from the volume that we came from, or out of ourselves. */
        status = read_files(loaded_image, &image, &kernel, &kernel_file, &initrds, why);
        if (EFI_ERROR(status))
                return status;
        bool embedded = image.embedded_kernel.size > 0;

        /* 3. The command line. */
        status = choose_command_line(handle, loaded_image, &image, secure_boot, &command_line, why);
        if (EFI_ERROR(status))
                return status;

        /* 4. How we were booted, for the operating system. */
        loader_interface_publish(loaded_image);

        /* 5. The initrds, where Linux looks for them. */
        initrd_list_add(&initrd, image.microcode);
        initrd_list_add(&initrd, embedded ? image.embedded_initrd : pages_bytes(&initrds));
        status = initrd_offer(&initrd, secure_boot, &offer, why);
        if (EFI_ERROR(status))
                return status;

        /* 6. Linux. */
        KernelStart start = {
                .image = handle,
                .loaded_image = loaded_image,
                .name = embedded ? bytes_from_string("in this boot image") : image.kernel.path,
                .path = image.kernel.path,
                .file = embedded ? image.embedded_kernel : kernel_file,
                .pages = embedded ? NULL : &kernel,
                .needs_initrd = initrd.size > 0,
                .command_line = &command_line,
        };
        return is_trusted(&image) ? kernel_start_trusted(&start, why) : kernel_start_by_firmware(&start, why);
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
