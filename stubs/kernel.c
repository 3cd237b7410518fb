/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/kernel.h"

#include "stubs/device-path.h"
#include "stubs/esp-path.h"
#include "stubs/kernel-call.h"
#include "stubs/kernel-image.h"

#if defined(__x86_64__)
enum { MACHINE = PE_MACHINE_X64 };
#elif defined(__aarch64__)
enum { MACHINE = PE_MACHINE_AARCH64 };
#endif

static EFI_STATUS refuse(const KernelStart *start, const char *wrong, Text *why) {
        return fail(why, EFI_LOAD_ERROR, "The kernel %b %s. " BOOT_ANOTHER, start->name, wrong);
}

/* Linux without this would boot, find no initrd, and panic where nobody can tell why. */
static EFI_STATUS check_initrd(const KernelStart *start, const PeView *pe, Text *why) {
        if (start->needs_initrd && !kernel_image_loads_initrd(pe))
                return refuse(start, "cannot take an initrd from its boot image, which Linux can since 5.8", why);
        return EFI_SUCCESS;
}

static EFI_STATUS came_back(const KernelStart *start, EFI_STATUS status, Text *why) {
        return fail(why, EFI_ERROR(status) ? status : EFI_ABORTED,
                    "The kernel %b did not start and came back (%s). " BOOT_ANOTHER, start->name, status_name(status));
}

static void set_load_options(EFI_LOADED_IMAGE *loaded_image, CommandLine *line) {
        loaded_image->LoadOptions = line->length > 0 ? line->text : NULL;
        loaded_image->LoadOptionsSize = line->length > 0 ? (UINT32)((line->length + 1) * sizeof *line->text) : 0;
}

/* In the pages of its file if it fits there, else in pages of its own. */
static EFI_STATUS place_kernel(const KernelStart *start, const KernelImage *kernel, Pages *own, uint8_t **ret,
                               Text *why) {
        const Pages *pages = start->pages;

        if (pages->size < kernel->memory_size || (uintptr_t)pages->data % kernel->alignment != 0 ||
            !kernel_image_fits_in_place(kernel)) {
                EFI_STATUS status =
                        pages_allocate(EfiLoaderCode, kernel->memory_size, kernel->alignment, "kernel", own, why);
                if (EFI_ERROR(status))
                        return status;
                pages = own;
        }
        kernel_image_place(kernel, pages->data);
        __builtin___clear_cache((char *)pages->data, (char *)pages->data + kernel->memory_size);

        *ret = pages->data;
        return EFI_SUCCESS;
}

/* Linux finds its image, command line and volume by the LoadedImage protocol on the handle that it is called with. That
 * is ours, with the first two replaced: a handle of our own making would lack what firmware keeps privately beside it.
 */
EFI_STATUS kernel_start_trusted(const KernelStart *start, Text *why) {
        _cleanup_(pages_free) Pages own = {};
        uint8_t *memory;
        EFI_LOADED_IMAGE before = *start->loaded_image;
        KernelImage kernel;

        const char *wrong = kernel_image_open(start->file, MACHINE, &kernel);
        if (wrong)
                return refuse(start, wrong, why);
        EFI_STATUS status = check_initrd(start, &kernel.pe, why);
        if (EFI_ERROR(status))
                return status;
        status = place_kernel(start, &kernel, &own, &memory, why);
        if (EFI_ERROR(status))
                return status;

        start->loaded_image->ImageBase = memory;
        start->loaded_image->ImageSize = kernel.memory_size;
        set_load_options(start->loaded_image, start->command_line);
        EFI_IMAGE_ENTRY_POINT entry = (EFI_IMAGE_ENTRY_POINT)(uintptr_t)(memory + kernel.pe.entry_point);
        status = kernel_call(entry, start->image);

        *start->loaded_image = before;
        return came_back(start, status, why);
}

/* The kernel's full device path, in memory to be freed with FreePool: firmware's policy and its log name it. */
static EFI_STATUS make_device_path(const KernelStart *start, EFI_DEVICE_PATH **ret, Text *why) {
        EFI_GUID protocol = EFI_DEVICE_PATH_PROTOCOL_GUID;
        const void *volume = NULL;
        CHAR16 name[LANZA_ESP_PATH_MAX_BYTES + 1];
        uint8_t *path;

        EFI_STATUS status = BS->HandleProtocol(start->loaded_image->DeviceHandle, &protocol, (void **)&volume);
        size_t volume_size = EFI_ERROR(status) ? 0 : device_path_size(volume);
        size_t name_size = (start->path.size + 1) * sizeof *name;
        size_t node_size = sizeof(EFI_DEVICE_PATH) + name_size;
        status = BS->AllocatePool(EfiLoaderData, volume_size + node_size + sizeof(EFI_DEVICE_PATH), (void **)&path);
        if (EFI_ERROR(status))
                return fail(why, status, "There is no memory to start the kernel %b (%s). Restart the machine.",
                            start->name, status_name(status));

        EFI_DEVICE_PATH node = {MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, {(UINT8)node_size, (UINT8)(node_size >> 8)}};
        EFI_DEVICE_PATH end = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, {sizeof end, 0}};
        esp_path_to_utf16(start->path, name);
        if (volume_size > 0)
                memcpy(path, volume, volume_size);
        memcpy(path + volume_size, &node, sizeof node);
        memcpy(path + volume_size + sizeof node, name, name_size);
        memcpy(path + volume_size + node_size, &end, sizeof end);

        *ret = (EFI_DEVICE_PATH *)path;
        return EFI_SUCCESS;
}

static void unload_image(EFI_HANDLE *image) {
        if (*image)
                BS->UnloadImage(*image);
        *image = NULL;
}

static void free_device_path(EFI_DEVICE_PATH **path) {
        if (*path)
                BS->FreePool(*path);
        *path = NULL;
}

EFI_STATUS kernel_start_by_firmware(const KernelStart *start, Text *why) {
        EFI_GUID protocol = EFI_LOADED_IMAGE_PROTOCOL_GUID;
        _cleanup_(free_device_path) EFI_DEVICE_PATH *path = NULL;
        _cleanup_(unload_image) EFI_HANDLE image = NULL; /* firmware may load it and still answer Security Violation */
        EFI_LOADED_IMAGE *loaded_image;
        PeView pe;

        const char *wrong = pe_view_open(start->file, &pe);
        if (wrong)
                return refuse(start, wrong, why);
        EFI_STATUS status = check_initrd(start, &pe, why);
        if (EFI_ERROR(status))
                return status;
        status = make_device_path(start, &path, why);
        if (EFI_ERROR(status))
                return status;

        status = BS->LoadImage(/* BootPolicy= */ FALSE, start->image, path, (void *)start->file.data, start->file.size,
                               &image);
        if (status == EFI_SECURITY_VIOLATION || status == EFI_ACCESS_DENIED)
                return fail(
                        why, status,
                        "The firmware refuses the kernel %b (%s): it is not signed by a key in db, or it is revoked in "
                        "dbx, and this boot image has no hash to trust it by. " BOOT_ANOTHER,
                        start->name, status_name(status));
        if (EFI_ERROR(status))
                return fail(why, status, "The firmware cannot load the kernel %b (%s). " BOOT_ANOTHER, start->name,
                            status_name(status));

        status = BS->HandleProtocol(image, &protocol, (void **)&loaded_image);
        if (EFI_ERROR(status))
                return came_back(start, status, why);
        set_load_options(loaded_image, start->command_line);
        status = BS->StartImage(image, NULL, NULL);
        image = NULL; /* firmware unloads an application that comes back: the handle is gone */
        return came_back(start, status, why);
}
