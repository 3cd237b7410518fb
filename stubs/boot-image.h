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

/* Kernel and initrds are either files or inside, both of them. */
typedef struct BootImage {
        Bytes command_line;    /* empty if there is none */
        Bytes embedded_kernel; /* empty if the kernel is a file */
        Bytes embedded_initrd; /* empty if there is none */
        FileReference kernel;  /* with an empty path if the kernel is embedded */
        FileReference initrds[LANZA_INITRDS_MAX];
        size_t initrd_count;
        Bytes microcode; /* what Linux gets in front of all initrds; empty if there is none */

        /* What the initrd gets to see; empty if there is none. */
        Bytes os_release;
        Bytes profile;
        Bytes pcr_signature;
        Bytes pcr_public_key;
} BootImage;

/* IMAGE is the loaded image from its first header on. Returns false if it cannot be booted, and appends to WHY a
 * sentence that says why not; then *ret is left. *ret lives as long as IMAGE. */
bool boot_image_read(Bytes image, bool secure_boot, BootImage *ret, Text *why);
