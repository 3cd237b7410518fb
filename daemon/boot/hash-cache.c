/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/hash-cache.h"

/* The file is text: a line that names the format, one line a file, sorted by path, and a last line with the SHA-256 of
 * all before it, so that a damaged file is not believed:
 *
 *     lanzad hash cache 1
 *     HASH DEVICE INODE SIZE CTIME.NANOSECONDS PATH
 *     end HASH
 *
 * Numbers are decimal, hashes lower-case hexadecimal. There is one spelling of each cache: what would not come out of
 * hash_cache_format() is not read. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/boot/text.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"

#define CACHE_HEAD "lanzad hash cache 1\n"

typedef struct Entry {
        FileIdentity identity;
        Sha256 hash;
        bool used;
} Entry;

struct HashCache {
        Entry *entries; /* sorted by path */
        size_t count, allocated;
        bool changed;
};

void file_identity_done(FileIdentity *identity) {
        free(identity->path);
        *identity = (FileIdentity){};
}

bool file_identity_equal(const FileIdentity *a, const FileIdentity *b) {
        return strcmp(a->path, b->path) == 0 && a->device == b->device && a->inode == b->inode && a->size == b->size &&
               a->changed == b->changed && a->changed_nanoseconds == b->changed_nanoseconds;
}

int hash_cache_new(HashCache **ret) {
        HashCache *cache = calloc(1, sizeof(*cache));

        if (!cache)
                return -ENOMEM;
        *ret = cache;
        return 0;
}

HashCache *hash_cache_free(HashCache *cache) {
        if (!cache)
                return NULL;
        for (size_t i = 0; i < cache->count; i++)
                file_identity_done(&cache->entries[i].identity);
        free(cache->entries);
        free(cache);
        return NULL;
}

/* Where PATH is or would have to be inserted. */
static size_t find_position(const HashCache *cache, const char *path, bool *ret_found) {
        size_t low = 0, high = cache->count;

        *ret_found = false;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(path, cache->entries[middle].identity.path);

                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

bool hash_cache_find(HashCache *cache, const FileIdentity *identity, Sha256 *ret) {
        bool found;
        size_t position = find_position(cache, identity->path, &found);

        if (!found || !file_identity_equal(&cache->entries[position].identity, identity))
                return false;
        cache->entries[position].used = true;
        *ret = cache->entries[position].hash;
        return true;
}

static void remove_entry(HashCache *cache, size_t position) {
        file_identity_done(&cache->entries[position].identity);
        memmove(cache->entries + position, cache->entries + position + 1,
                (--cache->count - position) * sizeof(*cache->entries));
        cache->changed = true;
}

void hash_cache_forget(HashCache *cache, const char *path) {
        bool found;
        size_t position = find_position(cache, path, &found);

        if (found)
                remove_entry(cache, position);
}

static int insert_entry(HashCache *cache, size_t position, const FileIdentity *identity, const Sha256 *hash) {
        char *path;

        if (cache->count == cache->allocated) {
                size_t allocated = 2 * cache->allocated + 64;
                Entry *entries = reallocarray(cache->entries, allocated, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                cache->entries = entries;
                cache->allocated = allocated;
        }
        path = strdup(identity->path);
        if (!path)
                return -ENOMEM;

        Entry *entry = cache->entries + position;
        memmove(entry + 1, entry, (cache->count++ - position) * sizeof(*entry));
        *entry = (Entry){.identity = *identity, .hash = *hash, .used = true};
        entry->identity.path = path;
        cache->changed = true;
        return 0;
}

int hash_cache_add(HashCache *cache, const FileIdentity *identity, const Sha256 *hash, int64_t now) {
        bool found, settled = identity->changed >= 0 && identity->changed < now &&
                              now - identity->changed >= HASH_CACHE_SETTLED_SECONDS;
        size_t position;

        if (!settled || text_problem(identity->path, /* tab_allowed= */ false))
                return 0;
        /* Dropping the old entry first is no loss if there is no memory for the new one. */
        hash_cache_forget(cache, identity->path);
        position = find_position(cache, identity->path, &found);
        if (cache->count >= HASH_CACHE_MAX_ENTRIES)
                return 0;
        return insert_entry(cache, position, identity, hash);
}

/* Appends the lines of all entries, or only of the used ones. */
static int format_entries(const HashCache *cache, bool only_used, Buffer *text) {
        size_t start = text->size;
        Sha256 hash;
        int r;

        r = buffer_append_string(text, CACHE_HEAD);
        for (size_t i = 0; i < cache->count && r >= 0; i++) {
                const Entry *entry = cache->entries + i;
                const FileIdentity *identity = &entry->identity;
                _cleanup_(free_pointer) char *hex = hex_encode((Span){entry->hash.bytes, SHA256_SIZE});

                if (!hex)
                        return -ENOMEM;
                if (only_used && !entry->used)
                        continue;
                r = buffer_append_format(text, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIi64 ".%" PRIu32 " %s\n",
                                         hex, identity->device, identity->inode, identity->size, identity->changed,
                                         identity->changed_nanoseconds, identity->path);
        }
        if (r >= 0)
                r = sha256_of((Span){text->data + start, text->size - start}, &hash);
        if (r < 0)
                return r;
        _cleanup_(free_pointer) char *end = hex_encode((Span){hash.bytes, SHA256_SIZE});
        return end ? buffer_append_format(text, "end %s\n", end) : -ENOMEM;
}

int hash_cache_format(const HashCache *cache, Buffer *text) {
        size_t before = text->size;
        int r = format_entries(cache, /* only_used= */ false, text);

        if (r < 0)
                text->size = before;
        return r;
}

/* Reads a decimal number that ends with END, at *NEXT in a NUL-terminated line. */
static int read_number(char **next, char end, uint64_t maximum, uint64_t *ret) {
        char *stop;

        if (**next < '0' || **next > '9')
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(*next, &stop, 10);
        if (errno != 0 || *stop != end || *ret > maximum)
                return -EBADMSG;
        *next = stop + 1;
        return 0;
}

/* Reads LINE, which is NUL-terminated and is written to. */
static int parse_line(HashCache *cache, char *line) {
        FileIdentity identity = {};
        uint64_t changed, nanoseconds;
        Sha256 hash;
        char *next = line + 2 * SHA256_SIZE + 1;

        if (strlen(line) <= 2 * SHA256_SIZE || line[2 * SHA256_SIZE] != ' ')
                return -EBADMSG;
        line[2 * SHA256_SIZE] = 0;
        if (hex_decode(line, hash.bytes, SHA256_SIZE) < 0)
                return -EBADMSG;
        if (read_number(&next, ' ', UINT64_MAX, &identity.device) < 0 ||
            read_number(&next, ' ', UINT64_MAX, &identity.inode) < 0 ||
            read_number(&next, ' ', UINT64_MAX, &identity.size) < 0 ||
            read_number(&next, '.', INT64_MAX, &changed) < 0 || read_number(&next, ' ', 999999999, &nanoseconds) < 0)
                return -EBADMSG;
        if (*next != '/' || text_problem(next, /* tab_allowed= */ false))
                return -EBADMSG;
        if (cache->count >= HASH_CACHE_MAX_ENTRIES ||
            (cache->count > 0 && strcmp(cache->entries[cache->count - 1].identity.path, next) >= 0))
                return -EBADMSG;
        identity.path = next;
        identity.changed = changed;
        identity.changed_nanoseconds = nanoseconds;
        return insert_entry(cache, cache->count, &identity, &hash);
}

int hash_cache_parse(Span text, HashCache **ret) {
        _cleanup_(hash_cache_freep) HashCache *cache = NULL;
        _cleanup_(free_pointer) char *copy = NULL;
        _cleanup_(buffer_done) Buffer again = {};
        int r;

        if (text.size > HASH_CACHE_MAX_BYTES || !span_starts_with(text, span_from_string(CACHE_HEAD)))
                return -EBADMSG;
        r = hash_cache_new(&cache);
        if (r < 0)
                return r;
        copy = strndup((const char *)text.data, text.size);
        if (!copy)
                return -ENOMEM;

        for (char *line = copy + strlen(CACHE_HEAD), *end; strncmp(line, "end ", 4) != 0; line = end + 1) {
                end = strchr(line, '\n');
                if (!end)
                        return -EBADMSG;
                *end = 0;
                r = parse_line(cache, line);
                if (r < 0)
                        return r;
        }

        /* The rest is right if this cache is written just so. */
        r = hash_cache_format(cache, &again);
        if (r < 0)
                return r;
        if (!span_equal(buffer_span(&again), text))
                return -EBADMSG;
        for (size_t i = 0; i < cache->count; i++)
                cache->entries[i].used = false;
        cache->changed = false;
        *ret = TAKE_POINTER(cache);
        return 0;
}

/* Whether nobody but root and ourselves can have written FD. */
static bool is_trustworthy(int fd, mode_t type) {
        struct stat st;

        return fstat(fd, &st) >= 0 && (st.st_mode & S_IFMT) == type && (st.st_uid == 0 || st.st_uid == geteuid()) &&
               (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int hash_cache_load(int folder, HashCache **ret) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_(close_fd) int fd = -EBADF;
        int r = -EPERM;

        if (is_trustworthy(folder, S_IFDIR))
                fd = file_open(folder, HASH_CACHE_FILE, O_RDONLY | O_NOFOLLOW, 0);
        if (fd >= 0 && is_trustworthy(fd, S_IFREG))
                r = file_read_fd(fd, HASH_CACHE_MAX_BYTES, &text);
        if (r >= 0)
                r = hash_cache_parse(buffer_span(&text), ret);
        if (r >= 0 || r == -ENOMEM)
                return r;
        return hash_cache_new(ret);
}

int hash_cache_save(HashCache *cache, int folder) {
        _cleanup_(buffer_done) Buffer text = {};
        size_t used = 0;
        int r;

        for (size_t i = 0; i < cache->count; i++)
                used += cache->entries[i].used;
        if (!cache->changed && used == cache->count)
                return 0;
        r = format_entries(cache, /* only_used= */ true, &text);
        if (r < 0)
                return r;
        r = file_replace_some_time(folder, HASH_CACHE_FILE, buffer_span(&text), 0600);
        if (r < 0)
                return r;
        for (size_t i = cache->count; i > 0; i--)
                if (!cache->entries[i - 1].used)
                        remove_entry(cache, i - 1);
        cache->changed = false;
        return 0;
}
