/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/util/string-list.h"

void close_fd(int *fd) {
        int saved = errno;

        if (*fd >= 0)
                close(*fd);
        *fd = -EBADF;
        errno = saved;
}

void free_pointer(char **pointer) {
        free(*pointer);
}

int file_open(int dir, const char *path, int flags, mode_t mode) {
        struct open_how how = {
                /* O_PATH allows no other flags (openat2(2), EINVAL). */
                .flags = (unsigned)flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY),
                .mode = mode,
                .resolve = RESOLVE_NO_MAGICLINKS | (dir == AT_FDCWD ? 0 : RESOLVE_BENEATH),
        };
        long fd;

        if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH))
                how.flags |= O_NONBLOCK;
        /* The kernel may ask for another try where a rename crossed the look-up (openat2(2), EAGAIN). */
        for (unsigned tries = 0; tries < 16; tries++) {
                fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN && errno != EINTR)
                        break;
        }
        return -errno;
}

int file_size_fd(int fd, uint64_t *ret) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        *ret = st.st_size;
        return 0;
}

int file_read_fd(int fd, size_t maximum, Buffer *ret) {
        _cleanup_(buffer_done) Buffer buffer = {};
        uint64_t size;
        ssize_t n;
        int r;

        r = file_size_fd(fd, &size);
        if (r < 0)
                return r;
        if (size > maximum)
                return -EFBIG;
        /* One byte more than expected: a file that grows meanwhile is noticed. */
        r = buffer_reserve(&buffer, size + 1);
        if (r < 0)
                return r;

        for (;;) {
                r = buffer_reserve(&buffer, 1);
                if (r < 0)
                        return r;
                n = pread(fd, buffer.data + buffer.size, buffer.allocated - buffer.size, buffer.size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                buffer.size += n;
                if (buffer.size > maximum)
                        return -EFBIG;
        }
        *ret = TAKE_STRUCT(buffer);
        return 0;
}

int file_read(int dir, const char *path, size_t maximum, Buffer *ret) {
        _cleanup_(close_fd) int fd = file_open(dir, path, O_RDONLY, 0);

        return fd < 0 ? fd : file_read_fd(fd, maximum, ret);
}

const char *file_error_text(int error) {
        return error == -EINVAL ? "It is no regular file" : strerror(-error);
}

int file_read_at(int fd, uint64_t offset, void *data, size_t size) {
        uint8_t *next = data;

        while (size > 0) {
                ssize_t n = pread(fd, next, size, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EBADMSG;
                next += n;
                offset += n;
                size -= n;
        }
        return 0;
}

bool file_owner_trusted(const struct stat *st) {
        return st->st_uid == 0 || st->st_uid == geteuid();
}

int file_write_fd(int fd, Span bytes) {
        while (bytes.size > 0) {
                ssize_t n = write(fd, bytes.data, bytes.size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                bytes.data += n;
                bytes.size -= n;
        }
        return 0;
}

static int create(int dir, const char *path, Span bytes, mode_t mode, bool durable) {
        _cleanup_(close_fd) int fd = file_open(dir, path, O_WRONLY | O_CREAT | O_EXCL, mode);
        int r;

        if (fd < 0)
                return fd;
        /* The mode that was asked for, whatever the umask. */
        r = fchmod(fd, mode) < 0 ? -errno : file_write_fd(fd, bytes);
        if (r >= 0 && durable && fsync(fd) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(dir, path, 0);
        return r;
}

int file_create(int dir, const char *path, Span bytes, mode_t mode) {
        return create(dir, path, bytes, mode, /* durable= */ true);
}

/* The folder part of PATH: "." where there is none. Owned. */
static char *parent_of(const char *path) {
        const char *slash = strrchr(path, '/');

        if (!slash)
                return strdup(".");
        return slash == path ? strdup("/") : strndup(path, slash - path);
}

static int replace(int dir, const char *path, Span bytes, mode_t mode, bool durable) {
        _cleanup_(free_pointer) char *temporary = NULL;
        int r;

        if (asprintf(&temporary, "%s.new", path) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        r = create(dir, temporary, bytes, mode, durable);
        if (r < 0)
                return r;
        if (renameat(dir, temporary, dir, path) < 0) {
                r = -errno;
                unlinkat(dir, temporary, 0);
                return r;
        }
        return 0;
}

int file_replace(int dir, const char *path, Span bytes, mode_t mode) {
        _cleanup_(free_pointer) char *parent = parent_of(path);
        int r;

        if (!parent)
                return -ENOMEM;
        r = replace(dir, path, bytes, mode, /* durable= */ true);
        return r < 0 ? r : folder_fsync(dir, parent);
}

int file_replace_some_time(int dir, const char *path, Span bytes, mode_t mode) {
        return replace(dir, path, bytes, mode, /* durable= */ false);
}

int folder_fsync(int dir, const char *path) {
        _cleanup_(close_fd) int fd = file_open(dir, path, O_RDONLY | O_DIRECTORY, 0);

        if (fd < 0)
                return fd;
        return fsync(fd) < 0 ? -errno : 0;
}

/* Opens the folder NAME in PARENT, beneath which it is, after making it if need be. */
static int folder_make_one(int parent, const char *name, mode_t mode) {
        int fd = file_open(parent, name, O_PATH | O_DIRECTORY, 0);

        if (fd != -ENOENT)
                return fd;
        if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
                return -errno;
        return file_open(parent, name, O_PATH | O_DIRECTORY, 0);
}

int folder_make(int dir, const char *path, mode_t mode) {
        _cleanup_(free_pointer) char *partial = strdup(path);
        _cleanup_(close_fd) int folder = -EBADF;
        char *rest;

        if (!partial)
                return -ENOMEM;
        /* One after another: mkdirat(2) on a longer path would follow links out of DIR. */
        for (char *name = strtok_r(partial, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
                int next = folder_make_one(folder >= 0 ? folder : dir, name, mode);

                if (next < 0)
                        return next;
                close_fd(&folder);
                folder = next;
        }
        return 0;
}

static void close_folder(DIR **folder) {
        if (*folder)
                closedir(*folder);
}

int folder_list(int dir, const char *path, size_t maximum, StringList *ret) {
        _cleanup_(string_list_done) StringList names = {};
        _cleanup_(close_folder) DIR *folder = NULL;
        _cleanup_(close_fd) int fd = file_open(dir, path, O_RDONLY | O_DIRECTORY, 0);
        int r;

        if (fd < 0)
                return fd;
        folder = fdopendir(fd);
        if (!folder)
                return -errno;
        TAKE_FD(fd);

        for (;;) {
                errno = 0;
                const struct dirent *entry = readdir(folder);

                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (names.count >= maximum)
                        return -E2BIG;
                r = string_list_add(&names, entry->d_name);
                if (r < 0)
                        return r;
        }
        string_list_sort(&names);
        *ret = TAKE_STRUCT(names);
        return 0;
}

char *path_join(const char *folder, const char *name) {
        size_t length = strlen(folder);
        char *path;

        while (length > 1 && folder[length - 1] == '/')
                length--;
        while (*name == '/')
                name++;
        if (length == 1 && folder[0] == '/')
                length = 0;
        return asprintf(&path, "%.*s/%s", (int)length, folder, name) < 0 ? NULL : path;
}
