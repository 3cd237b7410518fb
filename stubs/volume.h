/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The volume that the boot image was loaded from, and the files on it. Every file is read once, from its beginning to
 * the size that it had when it was opened. */

#include "stubs/efi.h"

typedef struct Volume {
        EFI_FILE_HANDLE root;
} Volume;

typedef struct VolumeFile {
        EFI_FILE_HANDLE handle;
        const char *what; /* "kernel": for messages */
        Bytes path;
        size_t size;
} VolumeFile;

EFI_STATUS volume_open(EFI_HANDLE device, Volume *ret, Text *why);
void volume_close(Volume *volume);

/* Opens the file at PATH, a valid ESP path that outlives the file. Refuses folders, empty files, and files of more than
 * SIZE_MAX bytes. */
EFI_STATUS volume_open_file(const Volume *volume, const char *what, Bytes path, size_t size_max, VolumeFile *ret,
                            Text *why);
void volume_file_close(VolumeFile *file);

/* Reads SIZE bytes, of which the first stands at FROM, to BUFFER: where the last read ended. A file that turns out
 * shorter is refused. */
EFI_STATUS volume_file_read(const VolumeFile *file, size_t from, size_t size, uint8_t *buffer, Text *why);
