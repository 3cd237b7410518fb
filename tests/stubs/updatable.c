/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A driver for tests, which systemd-boot loads before it shows its menu: it tells, as firmware does whose parts can be
 * updated, of one such part. QEMU's firmware has none, and so says nothing.
 * UEFI specification, "EFI System Resource Table". */

#define UNICODE
#include <efi.h>
#include <stdint.h>

enum {
        KIND_SYSTEM_FIRMWARE = 1,
        VERSION_OF_TABLE = 1,
};

typedef struct Resource {
        EFI_GUID class;
        uint32_t kind, version, lowest_version, capsule_flags, last_version, last_status;
} Resource;

typedef struct ResourceTable {
        uint32_t count, count_max;
        uint64_t version;
        Resource resource;
} ResourceTable;

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table);

EFI_STATUS EFIAPI efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system_table) {
        EFI_GUID guid = {0xb122a263, 0x3661, 0x4f68, {0x99, 0x29, 0x78, 0xf8, 0xb0, 0xd6, 0x21, 0x80}};
        EFI_BOOT_SERVICES *services = system_table->BootServices;
        ResourceTable *table;
        EFI_STATUS status;

        status = services->AllocatePool(EfiBootServicesData, sizeof *table, (void **)&table);
        if (EFI_ERROR(status))
                return status;
        *table = (ResourceTable){
                .count = 1,
                .count_max = 1,
                .version = VERSION_OF_TABLE,
                .resource = {.class = {0x4c414e5a, 0x4144, 0x4c41, {0x4e, 0x5a, 0x41, 0x44, 0x54, 0x45, 0x53, 0x54}},
                             .kind = KIND_SYSTEM_FIRMWARE,
                             .version = 1,
                             .lowest_version = 1},
        };
        return services->InstallConfigurationTable(&guid, table);
}
