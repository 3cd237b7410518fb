/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A kernel, initrd or other file of a generation, opened once and hashed without being held in memory. */

#include <stdint.h>

#include "daemon/boot/hash-cache.h"
#include "daemon/crypto/digest.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"

#define STORE_FILE_MAX_BYTES (UINT64_C(1024) * 1024 * 1024)

typedef struct StoreFile {
        int fd;                /* readable, at any position; valid if identity.path is set */
        FileIdentity identity; /* as it was when it was opened; identity.path is the real path inside the root */
} StoreFile;

void store_file_done(StoreFile *file);

/* Opens PATH inside ROOT (see daemon/util/root.h). Refuses, with a message that names PATH, what is missing, no regular
 * file, empty, or larger than MAXIMUM: CONDITION_BAD_BOOTSPEC, for no other run finds it better. The caller owns *ret.
 */
int store_file_open(int root, const char *path, uint64_t maximum, StoreFile *ret, Failure *failure);

/* The SHA-256 of the whole file, from CACHE (may be NULL) if it knows the file, else by reading it, in pieces of at
 * most 1 MiB; then CACHE learns it. A file that changes meanwhile is a failure (-ESTALE) with a message. */
int store_file_hash(const StoreFile *file, HashCache *cache, Sha256 *ret, Failure *failure);

/* Whether the file is still what it was when it was opened, by fstat(2): 0, or -ESTALE. For whoever copied it. */
int store_file_unchanged(const StoreFile *file);
