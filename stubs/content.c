/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/content.h"

#include "stubs/kernel-image.h"
#include "stubs/sha256.h"

enum {
        PAGE = 4096,
        START = 1024, /* where the headers of a kernel are */
};

static size_t align_initrd(size_t size) {
        return (size + LANZA_INITRD_ALIGNMENT - 1) / LANZA_INITRD_ALIGNMENT * LANZA_INITRD_ALIGNMENT;
}

/* Reads what is behind the first START bytes of FILE, which are there, to BUFFER, and compares all of it. HASH may be
 * NULL. */
static EFI_STATUS read_verified(const VolumeFile *file, size_t start, const uint8_t *hash, uint8_t *buffer, Text *why) {
        uint8_t found[LANZA_HASH_SIZE];

        EFI_STATUS status = volume_file_read(file, start, file->size - start, buffer + start, why);
        if (EFI_ERROR(status) || !hash)
                return status;

        sha256((Bytes){buffer, file->size}, found);
        if (memcmp(found, hash, sizeof found) != 0)
                return fail(
                        why, EFI_SECURITY_VIOLATION,
                        "The %s %b is damaged or was replaced: its SHA-256 is %x, but this boot image was made for %x. " BOOT_ANOTHER,
                        file->what, file->path, (Bytes){found, sizeof found}, (Bytes){hash, sizeof found});
        return EFI_SUCCESS;
}

/* Each byte is read once: the headers, which say how much room to make, are copied there. */
EFI_STATUS content_read_kernel(const Volume *volume, const FileReference *kernel, Pages *ret, Bytes *ret_file,
                               Text *why) {
        _cleanup_(volume_file_close) VolumeFile file = {};
        uint8_t buffer[START];
        size_t alignment;

        EFI_STATUS status = volume_open_file(volume, "kernel", kernel->path, LANZA_KERNEL_MAX_BYTES, &file, why);
        if (EFI_ERROR(status))
                return status;
        Bytes start = {buffer, file.size < START ? file.size : START};
        status = volume_file_read(&file, 0, start.size, buffer, why);
        if (EFI_ERROR(status))
                return status;
        size_t room = kernel_image_guess_room(start, file.size, &alignment);
        status = pages_allocate(EfiLoaderCode, room, alignment, "kernel", ret, why);
        if (EFI_ERROR(status))
                return status;
        memcpy(ret->data, start.data, start.size);

        *ret_file = (Bytes){ret->data, file.size};
        return read_verified(&file, start.size, kernel->hash, ret->data, why);
}

static void close_files(VolumeFile files[static LANZA_INITRDS_MAX]) {
        for (size_t i = 0; i < LANZA_INITRDS_MAX; i++)
                volume_file_close(&files[i]);
}

static EFI_STATUS read_files(const VolumeFile *files, const BootImage *image, uint8_t *region, Text *why) {
        size_t end = 0;

        for (size_t i = 0; i < image->initrd_count; i++) {
                size_t start = align_initrd(end);
                memset(region + end, 0, start - end);
                EFI_STATUS status = read_verified(&files[i], 0, image->initrds[i].hash, region + start, why);
                if (EFI_ERROR(status))
                        return status;
                end = start + files[i].size;
        }
        return EFI_SUCCESS;
}

EFI_STATUS content_read_initrds(const Volume *volume, const BootImage *image, Pages *ret, Text *why) {
        VolumeFile files[LANZA_INITRDS_MAX] = {};
        size_t size = 0;
        EFI_STATUS status = EFI_SUCCESS;

        for (size_t i = 0; i < image->initrd_count && !EFI_ERROR(status); i++) {
                size_t start = align_initrd(size);
                status = volume_open_file(volume, "initrd", image->initrds[i].path, LANZA_INITRDS_MAX_BYTES - start,
                                          &files[i], why);
                size = start + files[i].size;
        }
        if (!EFI_ERROR(status) && size > 0)
                status = pages_allocate(EfiLoaderData, size, PAGE, "initrd", ret, why);
        if (!EFI_ERROR(status))
                status = read_files(files, image, ret->data, why);

        close_files(files);
        return status;
}
