/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/store-contents.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/boot/generation.h"
#include "daemon/boot/store-file.h"
#include "daemon/boot/store-link.h"
#include "daemon/util/file.h"

typedef struct Known {
        char *asked; /* as the bootspec names it */
        uint64_t maximum;
        StoreContent content;
} Known;

struct StoreContents {
        const Context *context;
        HashCache *cache;
        void *tree; /* of Known, by what was asked: see tsearch(3) */
};

static int compare(const void *first, const void *second) {
        const Known *a = first, *b = second;

        return a->maximum != b->maximum ? (a->maximum < b->maximum ? -1 : 1) : strcmp(a->asked, b->asked);
}

static void known_free(void *pointer) {
        Known *known = pointer;

        free(known->asked);
        free(known->content.path);
        free(known);
}

int store_contents_new(const Context *context, HashCache *cache, StoreContents **ret) {
        StoreContents *contents = calloc(1, sizeof(*contents));

        if (!contents)
                return -ENOMEM;
        contents->context = context;
        contents->cache = cache;
        *ret = contents;
        return 0;
}

StoreContents *store_contents_free(StoreContents *contents) {
        if (contents)
                tdestroy(contents->tree, known_free);
        free(contents);
        return NULL;
}

/* Whoever owns a folder on the way decides what is signed. What is missing is told by whoever opens it. */
static int check_in_store(const Context *context, const char *path, Failure *failure) {
        _cleanup_(free_pointer) char *real = NULL;
        struct stat st;
        int r = store_link_follow(context->root_fd, path, &real, &st);

        if (r == -EXDEV)
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s leads out of " GENERATION_STORE, path);
        return r == -ENOMEM ? r : 0;
}

static int read_content(const StoreContents *contents, const char *path, uint64_t maximum, StoreContent *ret,
                        Failure *failure) {
        _cleanup_(store_file_done) StoreFile file = {};
        StoreContent content = {};
        int r;

        r = check_in_store(contents->context, path, failure);
        if (r >= 0)
                r = store_file_open(contents->context->root_fd, path, maximum, &file, failure);
        if (r >= 0)
                r = store_file_hash(&file, contents->cache, &content.hash, failure);
        if (r < 0)
                return r;
        content.size = file.identity.size;
        content.path = strdup(file.identity.path);
        if (!content.path)
                return -ENOMEM;
        *ret = content;
        return 0;
}

static int add(StoreContents *contents, const char *path, uint64_t maximum, Known **ret, Failure *failure) {
        Known *known = calloc(1, sizeof(*known));
        int r;

        if (!known)
                return -ENOMEM;
        r = read_content(contents, path, maximum, &known->content, failure);
        if (r >= 0) {
                known->maximum = maximum;
                known->asked = strdup(path);
                r = known->asked && tsearch(known, &contents->tree, compare) ? 0 : -ENOMEM;
        }
        if (r < 0) {
                known_free(known);
                return r;
        }
        *ret = known;
        return 0;
}

int store_contents_find(StoreContents *contents, const char *path, uint64_t maximum, const StoreContent **ret,
                        Failure *failure) {
        const Known key = {.asked = (char *)path, .maximum = maximum};
        Known **found = tfind(&key, &contents->tree, compare), *known = found ? *found : NULL;
        int r = known ? 0 : add(contents, path, maximum, &known, failure);

        if (r < 0)
                return r;
        *ret = &known->content;
        return 0;
}
