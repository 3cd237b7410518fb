/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What our own image says is to be booted: its sections, read from memory, where firmware put them after it had checked
 * their signature. stub-abi.h has the format. */

#include "stubs/stub-abi.h"
#include "stubs/text.h"

/* A file on the volume that the image came from, and the hash that it must have. */
typedef struct FileReference {
        Bytes path;          /* a valid ESP path */
        const uint8_t *hash; /* LANZA_HASH_SIZE bytes, or NULL */
} FileReference;

typedef struct BootImage {
        Bytes command_line; /* empty if there is none */
        FileReference kernel;
        FileReference initrds[LANZA_INITRDS_MAX];
        size_t initrd_count;
} BootImage;

/* IMAGE is the loaded image from its first header on. Returns false if it cannot be booted, and appends to WHY a
 * sentence that says why not; then *ret is left. *ret lives as long as IMAGE. */
bool boot_image_read(Bytes image, bool secure_boot, BootImage *ret, Text *why);
