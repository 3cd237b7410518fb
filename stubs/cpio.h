/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes archives as Linux unpacks them for its initrd: cpio in the "newc" form (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst). */

#include "stubs/bytes.h"

typedef struct CpioFile {
        const char *name; /* in the archive's one folder */
        Bytes content;    /* less than 4 GiB */
} CpioFile;

/* The size of the archive that cpio_write() makes of the same arguments. */
size_t cpio_size(const char *folder, const CpioFile *files, size_t count);

/* Writes an archive to BUFFER with FOLDER, a name without slashes, and FILES in it, which all can read and nobody can
 * write. All bytes of it follow from the arguments. */
void cpio_write(const char *folder, const CpioFile *files, size_t count, uint8_t *buffer);
