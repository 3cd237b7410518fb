/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A power cut in the middle of a rename can leave both names on vfat, and then both folder entries claim the same
 * clusters. Removing one of them would free the clusters of the other, and removing both would free them twice. Linux
 * shows two unrelated inodes, so that it is one file can only be told by its bytes. Until the file system was checked
 * (fsck.vfat takes one of the two away) neither name may be touched.
 *
 * Whoever can write to the volume can leave thousands of files of one size there: so files are hashed, each once, and
 * not compared two by two. */

#include "daemon/esp/twins.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/crypto/stream-digest.h"
#include "daemon/esp/esp-names.h"
#include "daemon/util/file.h"

/* A file by its bytes. What can't be read counts as equal to any of its size: nobody knows that it is not. */
typedef struct Content {
        uint64_t size;
        bool readable;
        Sha256 hash; /* zero if not readable */
        size_t name; /* index */
} Content;

/* What can't be read comes first among those of its size. */
static int compare_contents(const void *a, const void *b) {
        const Content *x = a, *y = b;

        if (x->size != y->size)
                return x->size < y->size ? -1 : 1;
        if (x->readable != y->readable)
                return x->readable ? 1 : -1;
        return memcmp(x->hash.bytes, y->hash.bytes, SHA256_SIZE);
}

static int compare_sizes(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return *x == *y ? 0 : *x < *y ? -1 : 1;
}

static int read_content(int folder, const char *name, uint64_t size, Content *ret) {
        _cleanup_(close_fd) int fd = file_open(folder, name, O_RDONLY | O_NOFOLLOW, 0);
        Content content = {.size = size};
        int r = fd < 0 ? fd : sha256_of_file(fd, size, &content.hash);

        if (r == -ENOMEM)
                return r;
        content.readable = r >= 0;
        *ret = content;
        return 0;
}

/* The sizes of the leftovers that may have a twin, sorted. */
typedef struct Sizes {
        uint64_t *items;
        size_t count;
} Sizes;

static void sizes_done(Sizes *sizes) {
        free(sizes->items);
}

static int collect_sizes(const EspLeftover *leftovers, size_t count, Sizes *ret) {
        ret->items = calloc(count + 1, sizeof(ret->items[0]));
        if (!ret->items)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                if (leftovers[i].size > 0)
                        ret->items[ret->count++] = leftovers[i].size;
        qsort(ret->items, ret->count, sizeof(ret->items[0]), compare_sizes);
        return 0;
}

static bool may_be_twin(int folder, const char *name, const Sizes *sizes, uint64_t *ret_size) {
        struct stat st;

        if (temporary_name_valid(name) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return false;
        *ret_size = st.st_size;
        return bsearch(ret_size, sizes->items, sizes->count, sizeof(sizes->items[0]), compare_sizes);
}

typedef struct Contents {
        Content *items; /* sorted */
        size_t count;
} Contents;

static void contents_done(Contents *contents) {
        free(contents->items);
}

static int read_contents(int folder, const StringList *names, const Sizes *sizes, Contents *ret) {
        uint64_t size;
        int r;

        ret->items = calloc(names->count + 1, sizeof(ret->items[0]));
        if (!ret->items)
                return -ENOMEM;
        for (size_t i = 0; i < names->count; i++) {
                if (!may_be_twin(folder, names->items[i], sizes, &size))
                        continue;
                r = read_content(folder, names->items[i], size, &ret->items[ret->count]);
                if (r < 0)
                        return r;
                ret->items[ret->count++].name = i;
        }
        qsort(ret->items, ret->count, sizeof(ret->items[0]), compare_contents);
        return 0;
}

/* The first that is not before CONTENT; its index is COUNT if there is none. */
static size_t lower_bound(const Contents *contents, const Content *content) {
        size_t from = 0, to = contents->count;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (compare_contents(&contents->items[middle], content) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

static int find_twin(int folder, const Contents *contents, const EspLeftover *leftover, const Content **ret) {
        Content own = {.size = leftover->size};
        const Content *first = &contents->items[lower_bound(contents, &own)], *end = contents->items + contents->count;
        int r;

        *ret = NULL;
        if (first == end || first->size != leftover->size)
                return 0;
        r = read_content(folder, strrchr(leftover->path, '/') + 1, leftover->size, &own);
        if (r < 0)
                return r;
        if (own.readable && first->readable)
                first = &contents->items[lower_bound(contents, &own)];
        if (first != end && (!own.readable || !first->readable || compare_contents(first, &own) == 0))
                *ret = first;
        return 0;
}

int twins_find(int folder, const char *path, const StringList *names, EspLeftover *leftovers, size_t count) {
        _cleanup_(sizes_done) Sizes sizes = {};
        _cleanup_(contents_done) Contents contents = {};
        const Content *twin;
        int r;

        r = collect_sizes(leftovers, count, &sizes);
        if (r < 0 || sizes.count == 0)
                return r;
        r = read_contents(folder, names, &sizes, &contents);
        for (size_t i = 0; r >= 0 && i < count; i++) {
                if (leftovers[i].size == 0)
                        continue;
                r = find_twin(folder, &contents, &leftovers[i], &twin);
                if (r < 0 || !twin)
                        continue;
                leftovers[i].twin = path_join(path, names->items[twin->name]);
                r = leftovers[i].twin ? 0 : -ENOMEM;
        }
        return r;
}
