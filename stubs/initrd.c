/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/initrd.h"

/* EFI_LOAD_FILE2_PROTOCOL, which gnu-efi's headers do not have in every version. */
typedef struct LoadFile2 LoadFile2;
struct LoadFile2 {
        EFI_STATUS(EFIAPI *load_file)
        (LoadFile2 *this, EFI_DEVICE_PATH *path, BOOLEAN boot_policy, UINTN *size, VOID *buffer);
};

typedef struct InitrdFile {
        LoadFile2 protocol; /* firmware and Linux see this; it stands first */
        InitrdList content;
} InitrdFile;

static EFI_STATUS EFIAPI load_file(LoadFile2 *this, EFI_DEVICE_PATH *path, BOOLEAN boot_policy, UINTN *size,
                                   VOID *buffer) {
        const InitrdFile *file = (const InitrdFile *)this;

        if (!this || !size)
                return EFI_INVALID_PARAMETER;
        if (boot_policy)
                return EFI_UNSUPPORTED;
        if (!buffer || *size < file->content.size) {
                *size = file->content.size;
                return EFI_BUFFER_TOO_SMALL;
        }

        initrd_list_copy(&file->content, buffer);
        *size = file->content.size;
        return EFI_SUCCESS;
}

static InitrdFile initrd_file = {.protocol = {load_file}};

static EFI_GUID load_file2_guid = {0x4006c0c1, 0xfcb3, 0x403e, {0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d}};
static EFI_GUID device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;

static struct {
        VENDOR_DEVICE_PATH vendor;
        EFI_DEVICE_PATH end;
} __attribute__((packed)) initrd_path = {
        .vendor = {.Header = {MEDIA_DEVICE_PATH, MEDIA_VENDOR_DP, {sizeof(VENDOR_DEVICE_PATH), 0}},
                   .Guid = {0x5568e427, 0x68fc, 0x4f3d, {0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68}}},
        .end = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof(EFI_DEVICE_PATH), 0}},
};

static bool is_offered_already(void) {
        EFI_DEVICE_PATH *path = &initrd_path.vendor.Header;
        EFI_HANDLE handle;

        return !EFI_ERROR(BS->LocateDevicePath(&load_file2_guid, &path, &handle));
}

EFI_STATUS initrd_offer(const InitrdList *content, bool secure_boot, EFI_HANDLE *ret, Text *why) {
        if ((content->size > 0 || secure_boot) && is_offered_already())
                return fail(
                        why, EFI_ALREADY_STARTED,
                        "Something started before this boot image offers an initrd of its own, which Linux could take "
                        "instead of this image's. Restart the machine, and choose this entry directly.");
        if (content->size == 0)
                return EFI_SUCCESS;

        initrd_file.content = *content;
        EFI_STATUS status = BS->InstallMultipleProtocolInterfaces(ret, &device_path_guid, &initrd_path,
                                                                  &load_file2_guid, &initrd_file.protocol, NULL);
        if (EFI_ERROR(status))
                return fail(why, status,
                            "The initrd cannot be offered to Linux: the firmware refuses to install it (%s). "
                            "Restart the machine, and choose this entry directly.",
                            status_name(status));
        return EFI_SUCCESS;
}

void initrd_withdraw(EFI_HANDLE *handle) {
        if (*handle)
                BS->UninstallMultipleProtocolInterfaces(*handle, &device_path_guid, &initrd_path, &load_file2_guid,
                                                        &initrd_file.protocol, NULL);
        *handle = NULL;
}
