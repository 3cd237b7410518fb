/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whoever may rename a folder above the one that counts can put another one in its place. So each folder on the way is
 * looked at, also where links lead. */

#include "daemon/boot/trusted-way.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/macro.h"
#include "daemon/util/root.h"

enum { STEPS_MAX = 256 };

int trusted_way_refuse(const char *what, const char *path, const struct stat *st, Failure *failure) {
        failure_set(failure, CONDITION_BAD_CONFIGURATION,
                    "%s %s belongs to user %u and has mode %04o, so that others than root decide what is booted", what,
                    path, st->st_uid, st->st_mode & 07777);
        if (S_ISLNK(st->st_mode))
                failure_set_hint(failure, "Make it root's: chown -h root %s", path);
        else
                failure_set_hint(failure, "Make it root's: chown root %s; chmod 755 %s", path, path);
        return condition_errno(CONDITION_BAD_CONFIGURATION);
}

/* A way to a folder, link by link: WALKED is behind us, without links; REST is to come. */
typedef struct Way {
        char walked[PATH_MAX], rest[PATH_MAX];
} Way;

/* Puts TARGET before what is to come. */
static int follow(Way *way, const char *target) {
        char rest[PATH_MAX];

        if (snprintf(rest, sizeof(rest), "%s/%s", target, way->rest) >= (int)sizeof(rest))
                return -ENAMETOOLONG;
        strcpy(way->rest, rest);
        if (*target == '/')
                *way->walked = 0;
        return 0;
}

/* Goes one step on, to NAME, whose status is *RET. */
static int step(int root, Way *way, const char *name, struct stat *ret) {
        char path[PATH_MAX], target[PATH_MAX];
        _cleanup_(close_fd) int fd = -EBADF;
        ssize_t n;

        if (strcmp(name, "..") == 0)
                *(strrchr(way->walked, '/') ?: way->walked) = 0;
        if (snprintf(path, sizeof(path), "%s/%s", way->walked, strcmp(name, "..") == 0 ? "." : name) >=
            (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = root_open(root, path, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        if (fstat(fd, ret) < 0)
                return -errno;
        if (!S_ISLNK(ret->st_mode)) {
                if (strcmp(name, "..") != 0)
                        strcpy(way->walked, path);
                return 0;
        }
        n = readlinkat(fd, "", target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        return follow(way, target);
}

/* Who may rename what stands in a folder on the way decides where it leads. Of a sticky one that is who owns what
 * stands there. */
static bool is_trusted_on_the_way(const struct stat *st) {
        if (!file_owner_trusted(st))
                return false;
        return S_ISLNK(st->st_mode) || !(st->st_mode & (S_IWGRP | S_IWOTH)) || st->st_mode & S_ISVTX;
}

int trusted_way_check(int root, const char *path_to, Failure *failure) {
        Way way = {};
        int r;

        if (strlen(path_to) >= sizeof(way.rest))
                return -ENAMETOOLONG;
        strcpy(way.rest, path_to);
        for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
                char *name = way.rest + strspn(way.rest, "/"), part[PATH_MAX], path[2 * PATH_MAX];
                size_t length = strcspn(name, "/");
                struct stat st;

                if (length == 0)
                        return 0;
                snprintf(part, sizeof(part), "%.*s", (int)length, name);
                snprintf(path, sizeof(path), "%s/%s", way.walked, part);
                memmove(way.rest, name + length, strlen(name + length) + 1);
                if (strcmp(part, ".") == 0)
                        continue;
                r = step(root, &way, part, &st);
                if (r < 0)
                        return r;
                if (!is_trusted_on_the_way(&st))
                        return trusted_way_refuse(S_ISLNK(st.st_mode) ? "The link" : "The folder", path, &st, failure);
        }
        return -ELOOP;
}
