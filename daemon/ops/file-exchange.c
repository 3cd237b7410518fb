/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/file-exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/file.h"

enum { NAME_TRIES_MAX = 256, NAME_MAX_BYTES = 32 };

/* A name in a folder. */
typedef struct Place {
        int folder;
        char *name;
} Place;

typedef struct Item {
        char *path; /* as it was given */
        Place place;
        int held;
        struct stat st;
        Place target; /* where it gets its name; without a name: at its own place */
        char temporary[NAME_MAX_BYTES];
        bool is_written; /* and has no name yet */
} Item;

struct FileExchange {
        Item *items;
        size_t count;
        sigset_t signals; /* that were held back before */
};

int file_exchange_new(FileExchange **ret) {
        FileExchange *exchange = calloc(1, sizeof(*exchange));
        sigset_t ends;

        if (!exchange)
                return -ENOMEM;
        sigemptyset(&ends);
        sigaddset(&ends, SIGHUP);
        sigaddset(&ends, SIGINT);
        sigaddset(&ends, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &ends, &exchange->signals);
        *ret = exchange;
        return 0;
}

static void place_done(Place *place) {
        if (place->name)
                close_fd(&place->folder);
        free(place->name);
        *place = (Place){};
}

static const Place *target_of(const Item *item) {
        return item->target.name ? &item->target : &item->place;
}

FileExchange *file_exchange_free(FileExchange *exchange) {
        for (size_t i = 0; exchange && i < exchange->count; i++) {
                Item *item = &exchange->items[i];

                if (item->is_written)
                        unlinkat(target_of(item)->folder, item->temporary, 0);
                close_fd(&item->held);
                place_done(&item->place);
                place_done(&item->target);
                free(item->path);
        }
        if (exchange) {
                free(exchange->items);
                pthread_sigmask(SIG_SETMASK, &exchange->signals, /* oldset= */ NULL);
        }
        free(exchange);
        return NULL;
}

/* Splits PATH at its last slash. */
static int place_open(const char *path, Place *ret) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_(free_pointer) char *folder = slash ? strndup(path, slash - path + 1) : strdup(".");
        Place place = {.name = strdup(name)};

        if (!folder || !place.name) {
                free(place.name);
                return -ENOMEM;
        }
        place.folder = *name ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (place.folder < 0) {
                free(place.name);
                return *name ? -errno : -EISDIR;
        }
        *ret = place;
        return 0;
}

/* A link's own folder may be another. */
static int hold(Item *item) {
        _cleanup_(free_pointer) char *real = realpath(item->path, NULL);
        int r;

        if (!real)
                return -errno;
        r = place_open(real, &item->place);
        if (r < 0)
                return r;
        item->held =
                openat(item->place.folder, item->place.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (item->held < 0 || fstat(item->held, &item->st) < 0)
                return -errno;
        if (S_ISDIR(item->st.st_mode))
                return -EISDIR;
        return S_ISREG(item->st.st_mode) ? 0 : -EINVAL;
}

static int add(FileExchange *exchange, const char *path, Item **ret) {
        Item *items = reallocarray(exchange->items, exchange->count + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        exchange->items = items;
        items[exchange->count] = (Item){.path = strdup(path), .held = -EBADF};
        if (!items[exchange->count].path)
                return -ENOMEM;
        *ret = &items[exchange->count++];
        return 0;
}

int file_exchange_open(FileExchange *exchange, const char *path, int *ret_fd, struct stat *ret_st, Failure *failure) {
        Item *item;
        int r;

        r = add(exchange, path, &item);
        if (r < 0)
                return r;
        r = hold(item);
        if (r == -EINVAL)
                return failure_set_errno(failure, r, "%s is no regular file", path);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot open %s", path);
        *ret_fd = item->held;
        *ret_st = item->st;
        return 0;
}

/* Beside the place, under a name that nobody else has. Returns a descriptor. */
static int create_temporary(Item *item) {
        int fd = -1;

        for (unsigned tries = 0; tries < NAME_TRIES_MAX && fd < 0; tries++) {
                snprintf(item->temporary, sizeof(item->temporary), ".lanzad-%u-%u", (unsigned)getpid(), tries);
                fd = openat(target_of(item)->folder, item->temporary,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0 && errno != EEXIST)
                        break;
        }
        item->is_written = fd >= 0;
        return fd < 0 ? -errno : fd;
}

/* Of what the file was; where a file system knows neither, they are right already. */
static int set_owner_and_mode(int fd, const struct stat *was) {
        struct stat now;

        if (fstat(fd, &now) < 0)
                return -errno;
        if ((now.st_uid != was->st_uid || now.st_gid != was->st_gid) && fchown(fd, was->st_uid, was->st_gid) < 0)
                return -errno;
        if (((now.st_mode ^ was->st_mode) & 07777) != 0 && fchmod(fd, was->st_mode & 07777) < 0)
                return -errno;
        return 0;
}

static int write_item(Item *item, Span bytes) {
        _cleanup_(close_fd) int fd = create_temporary(item);
        int r;

        if (fd < 0)
                return fd;
        r = file_write_fd(fd, bytes);
        return r < 0 ? r : set_owner_and_mode(fd, &item->st);
}

/* A rename would put a file in place of a device, or of the link that /dev/stdout is. */
static int check_target(const Place *target) {
        struct stat st;

        if (fstatat(target->folder, target->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

int file_exchange_write(FileExchange *exchange, size_t index, const char *other, Span bytes, Failure *failure) {
        Item *item = &exchange->items[index];
        int r;

        r = other ? place_open(other, &item->target) : 0;
        if (r >= 0 && other)
                r = check_target(&item->target);
        if (r == -EINVAL)
                return failure_set_errno(failure, r, "%s is no regular file, and is not replaced", other);
        if (r >= 0)
                r = write_item(item, bytes);
        return r < 0 ? failure_set_errno(failure, r, "Cannot write %s", other ?: item->path) : 0;
}

/* Whether an earlier item stands on the same file system. */
static bool is_flushed(const FileExchange *exchange, size_t count) {
        struct stat st, other;

        if (fstat(target_of(&exchange->items[count])->folder, &st) < 0)
                return false;
        for (size_t i = 0; i < count; i++)
                if (fstat(target_of(&exchange->items[i])->folder, &other) >= 0 && other.st_dev == st.st_dev)
                        return true;
        return false;
}

/* As daemon/esp/esp-io.c has it: syncfs(2) alone sends the disk no flush on vfat. */
static int make_durable(const FileExchange *exchange, Failure *failure) {
        for (size_t i = 0; i < exchange->count; i++) {
                int folder = target_of(&exchange->items[i])->folder;

                if (!is_flushed(exchange, i) && (syncfs(folder) < 0 || fsync(folder) < 0))
                        return failure_set_errno(failure, -errno, "Cannot make %s durable", exchange->items[i].path);
        }
        return 0;
}

static int give_name(Item *item, Failure *failure) {
        const Place *target = target_of(item);

        if (renameat(target->folder, item->temporary, target->folder, target->name) < 0)
                return failure_set_errno(failure, -errno, "Cannot replace %s", target->name);
        item->is_written = false;
        return 0;
}

static bool has_written(const FileExchange *exchange) {
        for (size_t i = 0; i < exchange->count; i++)
                if (exchange->items[i].is_written)
                        return true;
        return false;
}

int file_exchange_finish(FileExchange *exchange, Failure *failure) {
        int r;

        if (!has_written(exchange))
                return 0;
        r = make_durable(exchange, failure);
        for (size_t i = 0; r >= 0 && i < exchange->count; i++)
                if (exchange->items[i].is_written)
                        r = give_name(&exchange->items[i], failure);
        return r < 0 ? r : make_durable(exchange, failure);
}
