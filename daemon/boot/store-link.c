/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/store-link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/boot/generation.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

enum { LINKS_MAX = 40 }; /* as Linux has it */

static const char store[] = GENERATION_STORE;

typedef struct Walk {
        int root;
        char here[PATH_MAX]; /* a folder of the store, or the store, without links */
        char rest[PATH_MAX]; /* what is still to be gone from here; begins without a slash */
        unsigned links;
} Walk;

/* Puts what follows the store's own path in PATH, with AFTER behind it, before us, from the store on. */
static int start_at(Walk *walk, const char *path, const char *after) {
        char rest[PATH_MAX];
        int n;

        if (strncmp(path, store, strlen(store)) != 0 || path[strlen(store)] != '/')
                return -EXDEV;
        n = snprintf(rest, sizeof(rest), "%s%s%s", path + strlen(store) + 1, *after ? "/" : "", after);
        if (n < 0 || (size_t)n >= sizeof(rest))
                return -ENAMETOOLONG;
        strcpy(walk->here, store);
        strcpy(walk->rest, rest);
        return 0;
}

static int follow(Walk *walk, int link) {
        char target[PATH_MAX], rest[PATH_MAX];
        ssize_t length = readlinkat(link, "", target, sizeof(target));
        int n;

        if (length < 0)
                return -errno;
        if ((size_t)length >= sizeof(target))
                return -ENAMETOOLONG;
        target[length] = 0;
        if (++walk->links > LINKS_MAX)
                return -ELOOP;
        if (target[0] == '/')
                return start_at(walk, target, walk->rest);
        n = snprintf(rest, sizeof(rest), "%s%s%s", target, *walk->rest ? "/" : "", walk->rest);
        if (n < 0 || (size_t)n >= sizeof(rest))
                return -ENAMETOOLONG;
        strcpy(walk->rest, rest);
        return 0;
}

/* HERE has no links: its last component can simply be dropped. */
static int go_up(Walk *walk) {
        char *slash = strrchr(walk->here, '/');

        if (strcmp(walk->here, store) == 0)
                return -EXDEV;
        *slash = 0;
        return 0;
}

static int enter(Walk *walk, const char *name) {
        _cleanup_(free_pointer) char *path = path_join(walk->here, name);
        _cleanup_(close_fd) int fd = -EBADF;
        struct stat st;

        if (!path)
                return -ENOMEM;
        if (strlen(path) >= sizeof(walk->here))
                return -ENAMETOOLONG;
        fd = root_open(walk->root, path, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode))
                return follow(walk, fd);
        strcpy(walk->here, path);
        return 0;
}

/* Takes the next component off the way. */
static int step(Walk *walk) {
        size_t length = strcspn(walk->rest, "/");
        char name[NAME_MAX + 1];

        if (length > NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(name, walk->rest, length);
        name[length] = 0;
        memmove(walk->rest, walk->rest + length, strlen(walk->rest + length) + 1);
        while (walk->rest[0] == '/')
                memmove(walk->rest, walk->rest + 1, strlen(walk->rest));
        if (length == 0 || strcmp(name, ".") == 0)
                return 0;
        return strcmp(name, "..") == 0 ? go_up(walk) : enter(walk, name);
}

int store_link_follow(int root, const char *path, char **ret, struct stat *ret_st) {
        Walk walk = {.root = root};
        struct stat st;
        char *copy;
        int r;

        r = start_at(&walk, path, "");
        while (r >= 0 && *walk.rest)
                r = step(&walk);
        if (r < 0)
                return r;
        if (strcmp(walk.here, store) == 0)
                return -EXDEV;

        _cleanup_(close_fd) int fd = root_open(root, walk.here, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        copy = strdup(walk.here);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        *ret_st = st;
        return 0;
}
