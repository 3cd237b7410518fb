/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/generation.h"

/* A system that no profile lists. Any user can add paths to the store, and a path that is still being built belongs to
 * a builder: that root names it is what makes it good, that it is finished and root's is what can be checked. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/util/file.h"
#include "daemon/util/root.h"

/* Why PATH is nothing to be booted without a word of any profile; NULL if there is no reason. */
static const char *store_objection(int root, const char *path, struct stat *st) {
        static const char store[] = GENERATION_STORE "/";
        _cleanup_(close_fd) int fd = root_open(root, path, O_PATH);
        _cleanup_(free_pointer) char *real = NULL;

        if (fd < 0)
                return "cannot be opened";
        if (fstat(fd, st) < 0 || root_path_of(root, fd, &real) < 0)
                return "cannot be examined";
        if (strncmp(real, store, strlen(store)) != 0)
                return "is not in " GENERATION_STORE;
        if (!file_owner_trusted(st))
                return "does not belong to root";
        return st->st_mode & (S_IWGRP | S_IWOTH) ? "can be written by others than root" : NULL;
}

static int refuse(const char *toplevel, const char *path, const char *objection, Failure *failure) {
        failure_set(failure, CONDITION_FOREIGN_TOPLEVEL, "%s is not signed: %s %s", toplevel, path, objection);
        failure_set_hint(failure, "Name a finished system of the store, or one that a profile lists.");
        return condition_errno(CONDITION_FOREIGN_TOPLEVEL);
}

static int check_unlisted(int root, const char *toplevel, const char *path, struct stat *st, Failure *failure) {
        const char *objection = store_objection(root, path, st);

        return objection ? refuse(toplevel, path, objection, failure) : 0;
}

static int check_unlisted_files(int root, const Generation *generation, Failure *failure) {
        struct stat st;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < generation->variants.count; i++) {
                const Bootspec *bootspec = generation->variants.items[i].bootspec;

                r = check_unlisted(root, generation->toplevel, bootspec->kernel, &st, failure);
                if (r >= 0 && bootspec->initrd)
                        r = check_unlisted(root, generation->toplevel, bootspec->initrd, &st, failure);
                if (r >= 0 && bootspec->stub)
                        r = check_unlisted(root, generation->toplevel, bootspec->stub, &st, failure);
                /* Root runs it. */
                if (r >= 0 && bootspec->initrd_secrets)
                        r = check_unlisted(root, generation->toplevel, bootspec->initrd_secrets, &st, failure);
        }
        return r;
}

static uint64_t next_number(const GenerationList *list) {
        uint64_t newest = 0;

        for (size_t i = 0; i < list->count; i++)
                if (!list->items[i].profile && list->items[i].number > newest)
                        newest = list->items[i].number;
        return newest < UINT64_MAX ? newest + 1 : newest;
}

/* Fills ALL, which is empty, with the one generation. */
static int make_unlisted(int root, const char *toplevel, uint64_t number, GenerationList *all, Failure *failure) {
        _cleanup_(generation_list_done) GenerationList one = {.items = calloc(1, sizeof(Generation)), .count = 1};
        Generation *generation = one.items;
        struct stat st;
        int r;

        if (!generation) {
                one.count = 0;
                return -ENOMEM;
        }
        r = check_unlisted(root, toplevel, toplevel, &st, failure);
        if (r < 0)
                return r;
        generation->number = number;
        generation->made = st.st_ctime; /* mtime is 1 in the store */
        generation->link = strdup(toplevel);
        if (!generation->link)
                return -ENOMEM;
        r = toplevel_resolve(root, toplevel, &generation->toplevel);
        if (r < 0 && r != -ENOMEM)
                return refuse(toplevel, "it", "is no folder directly in " GENERATION_STORE, failure);
        if (r < 0)
                return r;
        r = bootspec_load(root, generation->toplevel, &generation->bootspec, failure);
        return r < 0 ? r : generation_list_append(all, &one);
}

int generation_list_add_unlisted(int root, const char *toplevel, GenerationList *list, Failure *failure) {
        _cleanup_(generation_list_done) GenerationList all = {};
        int r;

        r = make_unlisted(root, toplevel, next_number(list), &all, failure);
        if (r >= 0)
                r = check_unlisted_files(root, all.items, failure);
        if (r >= 0)
                r = generation_list_append(&all, list);
        if (r < 0)
                return r;
        *list = TAKE_STRUCT(all);
        return 0;
}
