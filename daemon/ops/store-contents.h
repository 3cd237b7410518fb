/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernels and initrds of the store that a run has met, each opened, checked and hashed once however many
 * generations share it. */

#include <stdint.h>

#include "daemon/boot/hash-cache.h"
#include "daemon/ops/context.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"

typedef struct StoreContent {
        char *path; /* inside the root, without links */
        Sha256 hash;
        uint64_t size;
} StoreContent;

typedef struct StoreContents StoreContents;

/* CACHE (NULL: none) holds the hashes of earlier runs. Both stay the caller's. */
int store_contents_new(const Context *context, HashCache *cache, StoreContents **ret);
StoreContents *store_contents_free(StoreContents *contents); /* returns NULL */
DEFINE_POINTER_CLEANUP(StoreContents *, store_contents_free)

/* The file at PATH, of at most MAXIMUM bytes, as it was when this was first asked; borrowed. BadBootspec where PATH
 * leads out of the store; else as store_file_open() and store_file_hash() fail. A failure is not remembered. */
int store_contents_find(StoreContents *contents, const char *path, uint64_t maximum, const StoreContent **ret,
                        Failure *failure);
