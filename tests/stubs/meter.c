/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A driver for tests, which systemd-boot loads before it shows its menu: it says on the console when an image is loaded
 * and when it is started, and counts the pages that are allocated as a loader's (not those that firmware takes for its
 * own ends, which have other types). So a stub can be measured that knows nothing of it. */

#include "tests/stubs/meter.h"

#include <stdbool.h>

enum {
        ALLOCATIONS_MAX = 64,
};

typedef struct Allocation {
        EFI_PHYSICAL_ADDRESS start;
        UINTN pages;
} Allocation;

static EFI_SYSTEM_TABLE *system;
static EFI_IMAGE_LOAD load_image;
static EFI_IMAGE_START start_image;
static EFI_ALLOCATE_PAGES allocate_pages;
static EFI_FREE_PAGES free_pages;
static Allocation allocations[ALLOCATIONS_MAX];
static UINTN allocation_count;
static Meter meter;

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table);

static void say(const uint16_t *text) {
        system->ConOut->OutputString(system->ConOut, (CHAR16 *)text);
}

static EFI_STATUS EFIAPI metered_load_image(BOOLEAN boot_policy, EFI_HANDLE parent, EFI_DEVICE_PATH *path, VOID *buffer,
                                            UINTN size, EFI_HANDLE *image) {
        if (!buffer) {
                say(u"meter: load\r\n");
                allocation_count = meter.pages = meter.peak = 0;
        }
        return load_image(boot_policy, parent, path, buffer, size, image);
}

static EFI_STATUS EFIAPI metered_start_image(EFI_HANDLE image, UINTN *exit_size, CHAR16 **exit_data) {
        say(u"meter: start\r\n");
        return start_image(image, exit_size, exit_data);
}

static EFI_STATUS EFIAPI metered_allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
                                                EFI_PHYSICAL_ADDRESS *memory) {
        EFI_STATUS status = allocate_pages(how, type, pages, memory);

        if (EFI_ERROR(status) || (type != EfiLoaderCode && type != EfiLoaderData))
                return status;
        if (allocation_count < ALLOCATIONS_MAX)
                allocations[allocation_count++] = (Allocation){*memory, pages};
        meter.pages += pages;
        if (meter.pages > meter.peak)
                meter.peak = meter.pages;
        return status;
}

/* A part of an allocation may be freed. */
static bool is_counted(EFI_PHYSICAL_ADDRESS memory) {
        for (UINTN i = 0; i < allocation_count; i++)
                if (memory >= allocations[i].start && memory - allocations[i].start < allocations[i].pages * 4096)
                        return true;
        return false;
}

static EFI_STATUS EFIAPI metered_free_pages(EFI_PHYSICAL_ADDRESS memory, UINTN pages) {
        if (is_counted(memory) && meter.pages >= pages)
                meter.pages -= pages;
        return free_pages(memory, pages);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table) {
        EFI_BOOT_SERVICES *services = system_table->BootServices;
        EFI_GUID protocol = METER_GUID;

        system = system_table;
        load_image = services->LoadImage;
        start_image = services->StartImage;
        allocate_pages = services->AllocatePages;
        free_pages = services->FreePages;
        services->LoadImage = metered_load_image;
        services->StartImage = metered_start_image;
        services->AllocatePages = metered_allocate_pages;
        services->FreePages = metered_free_pages;
        return services->InstallProtocolInterface(&handle, &protocol, EFI_NATIVE_INTERFACE, &meter);
}
