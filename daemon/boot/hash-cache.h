/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Remembers the SHA-256 of store files between runs, in one small file of a folder that only we write to. Losing it
 * costs time and nothing else, so that whatever is wrong with it makes it empty. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/crypto/digest.h"
#include "daemon/util/buffer.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"

#define HASH_CACHE_FILE "hashes"

enum {
        HASH_CACHE_MAX_ENTRIES = 8192,
        HASH_CACHE_MAX_BYTES = 4 * 1024 * 1024,
        /* A file whose ctime is younger than this when it is hashed may change again without its ctime changing: such a
         * hash is not remembered. */
        HASH_CACHE_SETTLED_SECONDS = 2,
};

/* What a file is recognised by. The store sets every mtime to 1 and inode numbers are used again, so that only ctime,
 * which nobody can set, tells two files of one size apart. */
typedef struct FileIdentity {
        char *path; /* real path; owned */
        uint64_t device;
        uint64_t inode;
        uint64_t size;
        int64_t changed; /* ctime, seconds since 1970 */
        uint32_t changed_nanoseconds;
} FileIdentity;

void file_identity_done(FileIdentity *identity);
bool file_identity_equal(const FileIdentity *a, const FileIdentity *b);

typedef struct HashCache HashCache;

/* An empty cache. -ENOMEM. */
int hash_cache_new(HashCache **ret);
HashCache *hash_cache_free(HashCache *cache); /* returns NULL */
DEFINE_POINTER_CLEANUP(HashCache *, hash_cache_free)

/* Reads the cache from FOLDER, or makes an empty one if there is none, it is damaged, of another format, too large, or
 * the folder or the file belongs to neither root nor our own user or others may write to it. Only fails with -ENOMEM.
 */
int hash_cache_load(int folder, HashCache **ret);

/* Writes the entries that were looked up or added since the cache was made back to FOLDER, atomically, if that changes
 * anything; entries that nobody asked for are dropped so. Beyond HASH_CACHE_MAX_ENTRIES nothing is added. */
int hash_cache_save(HashCache *cache, int folder);

/* Whether the hash of a file of that identity is known. */
bool hash_cache_find(HashCache *cache, const FileIdentity *identity, Sha256 *ret);

/* Remembers a hash. NOW is the time (CLOCK_REALTIME, seconds since 1970) *before* the first byte was read: without
 * HASH_CACHE_SETTLED_SECONDS between ctime and NOW, or with a ctime in the future, it is not remembered. A path with a
 * control character is not either. Returns -ENOMEM. */
int hash_cache_add(HashCache *cache, const FileIdentity *identity, const Sha256 *hash, int64_t now);

/* Forgets a path: its remembered hash turned out to be wrong. */
void hash_cache_forget(HashCache *cache, const char *path);

/* The cache file's text form, and back. Parsing returns -EBADMSG for anything but what formatting makes. */
int hash_cache_format(const HashCache *cache, Buffer *text);
int hash_cache_parse(Span text, HashCache **ret);
