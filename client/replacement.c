/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/replacement.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/memory.h"

enum { NAME_TRIES_MAX = 256 };

static const int ends[] = {SIGHUP, SIGINT, SIGTERM};
static const Replacement *guarded;
static size_t guarded_count;

static void remove_written(const Replacement *replacement) {
        if (replacement->is_written)
                (void)unlinkat(replacement->folder, replacement->temporary, 0);
}

static void on_end(int number) {
        for (size_t i = 0; i < guarded_count; i++)
                remove_written(&guarded[i]);
        (void)raise(number); /* this time it ends the program */
}

void replacement_guard(const Replacement *files, size_t count) {
        const struct sigaction action = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND};
        struct sigaction was;

        guarded_count = 0;
        guarded = files;
        guarded_count = count;
        for (size_t i = 0; count > 0 && i < sizeof(ends) / sizeof(*ends); i++)
                if (sigaction(ends[i], NULL, &was) >= 0 && was.sa_handler != SIG_IGN)
                        (void)sigaction(ends[i], &action, NULL);
}

/* While a file and what is known of it change together. */
static void hold_ends(sigset_t *ret_was) {
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
                sigaddset(&set, ends[i]);
        sigprocmask(SIG_BLOCK, &set, ret_was);
}

static int check_regular(const struct stat *st) {
        if (S_ISDIR(st->st_mode))
                return -EISDIR;
        return S_ISREG(st->st_mode) ? 0 : -EINVAL;
}

int replacement_open(Replacement *replacement, const char *path) {
        replacement->source = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (replacement->source < 0 || fstat(replacement->source, &replacement->st) < 0)
                return -errno;
        return check_regular(&replacement->st);
}

/* PATH leads through no link at its end. */
static int open_place(Replacement *replacement, const char *path) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

        if (!*name) {
                free(folder);
                return -EISDIR;
        }
        replacement->name = strdup(name);
        if (folder && replacement->name)
                replacement->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        free(folder);
        return replacement->folder < 0 ? -errno : 0;
}

/* From here on the folder is held: what PATH leads to may have changed since the file was opened, and be anybody's. */
static int open_own_place(Replacement *replacement, const char *path) {
        char *real = realpath(path, NULL);
        struct stat st;
        int r;

        if (!real)
                return -errno;
        r = open_place(replacement, real);
        free(real);
        if (r < 0)
                return r;
        if (fstatat(replacement->folder, replacement->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return st.st_dev == replacement->st.st_dev && st.st_ino == replacement->st.st_ino ? 0 : -ESTALE;
}

/* A rename would put a file in place of a device, or of the link that /dev/stdout is. */
static int open_other_place(Replacement *replacement, const char *path) {
        struct stat st;
        int r;

        r = open_place(replacement, path);
        if (r < 0)
                return r;
        if (fstatat(replacement->folder, replacement->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        r = check_regular(&st);
        if (r >= 0) /* one that cannot be read is replaced all the same */
                replacement->replaced =
                        openat(replacement->folder, replacement->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        return r;
}

int replacement_place(Replacement *replacement, const char *path, const char *other, bool writes) {
        int r;

        r = other ? open_other_place(replacement, other) : open_own_place(replacement, path);
        if (r < 0 || !writes)
                return r;
        return faccessat(replacement->folder, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int create_temporary(Replacement *replacement) {
        sigset_t was;
        int fd = -1, error;

        hold_ends(&was);
        for (unsigned tries = 0; tries < NAME_TRIES_MAX && fd < 0; tries++) {
                snprintf(replacement->temporary, sizeof(replacement->temporary), ".lanzactl-%u-%u", (unsigned)getpid(),
                         tries);
                fd = openat(replacement->folder, replacement->temporary,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0 && errno != EEXIST)
                        break;
        }
        error = errno;
        replacement->is_written = fd >= 0;
        sigprocmask(SIG_SETMASK, &was, NULL);
        return fd < 0 ? -error : fd;
}

/* Where a file system knows neither owners nor modes they are right already. */
static int take_after(int fd, const struct stat *was) {
        struct stat now;
        int r;

        r = fstat(fd, &now);
        if (r >= 0 && (now.st_uid != was->st_uid || now.st_gid != was->st_gid))
                r = fchown(fd, was->st_uid, was->st_gid);
        if (r >= 0 && ((now.st_mode ^ was->st_mode) & 07777) != 0)
                r = fchmod(fd, was->st_mode & 07777);
        return r < 0 ? -errno : 0;
}

int replacement_write(Replacement *replacement, int memory) {
        int fd = create_temporary(replacement), r;

        if (fd < 0)
                return fd;
        r = memory_write(memory, fd);
        if (r >= 0)
                r = take_after(fd, &replacement->st);
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        close(fd);
        return r;
}

int replacement_finish(Replacement *replacement) {
        sigset_t was;
        int r;

        if (!replacement->is_written)
                return 0;
        hold_ends(&was);
        r = renameat(replacement->folder, replacement->temporary, replacement->folder, replacement->name) < 0 ? -errno
                                                                                                              : 0;
        replacement->is_written = r < 0;
        sigprocmask(SIG_SETMASK, &was, NULL);
        if (r < 0)
                return r;
        return fsync(replacement->folder) < 0 ? -errno : 0;
}

static void close_any(int *fd) {
        if (*fd >= 0)
                close(*fd);
}

void replacement_done(Replacement *replacement) {
        remove_written(replacement);
        replacement->is_written = false;
        close_any(&replacement->source);
        close_any(&replacement->folder);
        close_any(&replacement->replaced);
        free(replacement->name);
        *replacement = REPLACEMENT_NONE;
}
