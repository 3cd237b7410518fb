/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the stub takes for a Linux kernel. It says on the console what it was given, as Linux would look for it, and
 * then goes back in the way that its command line asks for: "return", or "exit", which is how Linux on x86 gives up.
 * With "measure" it says when it is entered, what the stub held in memory until then (by meter.c), and when it has got
 * its initrd, however large. */

#include "tests/stubs/meter.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        INITRD_MAX = 4096,
        BUSY = 16,
};

typedef struct LoadFile2 LoadFile2;
struct LoadFile2 {
        EFI_STATUS(EFIAPI *load_file)
        (LoadFile2 *this, EFI_DEVICE_PATH *path, BOOLEAN boot_policy, UINTN *size, VOID *buffer);
};

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table);

/* In memory that its file does not fill: zero, if it was placed as it should be. */
static volatile uint8_t unset[2 * 4096];

static void say(EFI_SYSTEM_TABLE *system_table, const uint16_t *text) {
        system_table->ConOut->OutputString(system_table->ConOut, (CHAR16 *)text);
}

static void say_result(EFI_SYSTEM_TABLE *system_table, const uint16_t *what, bool good) {
        say(system_table, u"test kernel: ");
        say(system_table, what);
        say(system_table, good ? u": good\r\n" : u": BAD\r\n");
}

static LoadFile2 *find_initrd(EFI_SYSTEM_TABLE *system_table) {
        EFI_GUID load_file2 = {0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
        struct {
                VENDOR_DEVICE_PATH vendor;
                EFI_DEVICE_PATH end;
        } path = {
                .vendor = {.Header = {MEDIA_DEVICE_PATH, MEDIA_VENDOR_DP, {sizeof(VENDOR_DEVICE_PATH), 0}},
                           .Guid = {0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}}},
                .end = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
        };
        EFI_DEVICE_PATH *rest = &path.vendor.Header;
        EFI_HANDLE handle;
        LoadFile2 *protocol;

        if (EFI_ERROR(system_table->BootServices->LocateDevicePath(&load_file2, &rest, &handle)) ||
            EFI_ERROR(system_table->BootServices->HandleProtocol(handle, &load_file2, (void **)&protocol)))
                return NULL;
        return protocol;
}

/* UEFI specification, "Load File 2 Protocol" */
static void check_initrd(EFI_SYSTEM_TABLE *system_table) {
        LoadFile2 *initrd = find_initrd(system_table);
        uint8_t content[INITRD_MAX];
        uint16_t text[INITRD_MAX + 1];
        UINTN size = 0, asked;

        if (!initrd) {
                say(system_table, u"test kernel: no initrd\r\n");
                return;
        }
        say_result(system_table, u"asked for its size",
                   initrd->load_file(initrd, NULL, FALSE, &size, NULL) == EFI_BUFFER_TOO_SMALL && size > 0 &&
                           size <= INITRD_MAX);
        asked = size - 1;
        say_result(system_table, u"asked with too small a buffer",
                   initrd->load_file(initrd, NULL, FALSE, &asked, content) == EFI_BUFFER_TOO_SMALL && asked == size);
        say_result(system_table, u"asked as a boot manager",
                   initrd->load_file(initrd, NULL, TRUE, &asked, content) == EFI_UNSUPPORTED);
        asked = sizeof content;
        say_result(system_table, u"asked with a large buffer",
                   initrd->load_file(initrd, NULL, FALSE, &asked, content) == EFI_SUCCESS && asked == size);
        for (UINTN i = 0; i < size && i < INITRD_MAX; i++)
                text[i] = content[i] == 0 ? '0' : content[i];
        text[size <= INITRD_MAX ? size : 0] = 0;
        say(system_table, u"test kernel: initrd [");
        say(system_table, text);
        say(system_table, u"]\r\n");
}

static bool is_zero(void) {
        for (UINTN i = 0; i < sizeof unset; i++)
                if (unset[i] != 0)
                        return false;
        return true;
}

static void say_number(EFI_SYSTEM_TABLE *system_table, const uint16_t *what, UINTN number) {
        uint16_t digits[21], *first = digits + 20;

        *first = 0;
        do
                *--first = (uint16_t)('0' + number % 10);
        while ((number /= 10) > 0);
        say(system_table, what);
        say(system_table, first);
        say(system_table, u"\r\n");
}

static EFI_STATUS measure(EFI_SYSTEM_TABLE *system_table) {
        EFI_DEVICE_PATH end = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof end, 0}};
        EFI_BOOT_SERVICES *services = system_table->BootServices;
        EFI_PHYSICAL_ADDRESS memory;
        EFI_GUID meter_guid = METER_GUID;
        LoadFile2 *initrd = find_initrd(system_table);
        Meter *meter;
        UINTN size = 0;

        if (EFI_ERROR(services->LocateProtocol(&meter_guid, NULL, (void **)&meter)))
                return EFI_NOT_FOUND;
        UINTN peak = meter->peak;
        if (!initrd || initrd->load_file(initrd, &end, FALSE, &size, NULL) != EFI_BUFFER_TOO_SMALL ||
            EFI_ERROR(services->AllocatePages(AllocateAnyPages, EfiLoaderData, size / 4096 + 1, &memory)))
                return EFI_OUT_OF_RESOURCES;
        EFI_STATUS status = initrd->load_file(initrd, &end, FALSE, &size, (void *)(uintptr_t)memory);
        if (!EFI_ERROR(status))
                say_number(system_table, u"meter: initrd of bytes ", size);
        services->FreePages(memory, size / 4096 + 1);
        say_number(system_table, u"meter: peak of pages ", peak);
        return EFI_OUT_OF_RESOURCES;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table) {
        EFI_GUID protocol = EFI_LOADED_IMAGE_PROTOCOL_GUID;
        EFI_LOADED_IMAGE *image;

        if (EFI_ERROR(system_table->BootServices->HandleProtocol(handle, &protocol, (void **)&image)))
                return EFI_UNSUPPORTED;
        const uint16_t *options = image->LoadOptions;
        if (options && options[0] == 'm') {
                say(system_table, u"meter: kernel\r\n");
                return measure(system_table);
        }
        say(system_table, u"test kernel: command line [");
        say(system_table, options ? options : u"");
        say(system_table, u"]\r\n");
        say_result(system_table, u"its image",
                   (uintptr_t)image->ImageBase <= (uintptr_t)efi_main &&
                           (uintptr_t)efi_main - (uintptr_t)image->ImageBase < image->ImageSize);
        say_result(system_table, u"its zeroed memory", is_zero());
        unset[BUSY] = 1;
        check_initrd(system_table);

        if (options && options[0] == 'e')
                system_table->BootServices->Exit(handle, EFI_OUT_OF_RESOURCES, 0, NULL);
        return EFI_OUT_OF_RESOURCES;
}
