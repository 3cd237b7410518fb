/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/util/file.h"

/* Of folders that are made on the way to another: a system where only root may enter /var does not work. */
enum { PARENT_MODE = 0755 };

int root_open(int root, const char *path, int flags) {
        /* openat2(2) takes none of the other flags together with O_PATH. */
        uint64_t more = flags & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NOCTTY;
        struct open_how how = {
                .flags = (unsigned)flags | more,
                .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT,
        };
        long fd;

        if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH))
                how.flags |= O_NONBLOCK;
        /* The kernel may ask for another try where a rename crossed the look-up (openat2(2), EAGAIN). */
        for (unsigned tries = 0; tries < 16; tries++) {
                fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN && errno != EINTR)
                        break;
        }
        return -errno;
}

/* The path that the kernel shows for FD. */
static int path_of(int fd, char ret[static PATH_MAX]) {
        char link[sizeof("/proc/self/fd/-2147483648")];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%i", fd);
        n = readlink(link, ret, PATH_MAX);
        if (n < 0)
                return errno == ENOENT ? -ENOSYS : -errno;
        if (n >= PATH_MAX)
                return -ENAMETOOLONG;
        ret[n] = 0;
        return 0;
}

static int is_same_file(int a, int b) {
        struct stat first, second;

        if (fstat(a, &first) < 0 || fstat(b, &second) < 0)
                return -errno;
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

int root_path_of(int root, int fd, char **ret) {
        _cleanup_(close_fd) int again = -EBADF;
        char outside[PATH_MAX], prefix[PATH_MAX];
        const char *path;
        size_t length;
        char *copy;
        int r;

        r = path_of(fd, outside);
        if (r < 0)
                return r;
        r = path_of(root, prefix);
        if (r < 0)
                return r;
        length = strcmp(prefix, "/") == 0 ? 0 : strlen(prefix);
        if (strncmp(outside, prefix, length) != 0 || (outside[length] != '/' && outside[length] != 0))
                return -EXDEV;
        path = outside[length] ? outside + length : "/";

        /* A removed file's path has " (deleted)" behind it; and one that was moved may be another's by now. */
        again = root_open(root, path, O_PATH | O_NOFOLLOW);
        if (again < 0)
                return again == -ENOENT ? -EXDEV : again;
        r = is_same_file(fd, again);
        if (r <= 0)
                return r < 0 ? r : -EXDEV;

        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

/* Makes the folder NAME in PARENT, durably, with MODE whatever the umask. That it is there already is fine. */
static int make_folder(int parent, const char *name, mode_t mode) {
        _cleanup_(close_fd) int folder = -EBADF;

        if (mkdirat(parent, name, mode) < 0)
                return errno == EEXIST ? 0 : -errno;
        folder = file_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (folder < 0)
                return folder;
        if (fchmod(folder, mode) < 0)
                return -errno;
        return folder_fsync(parent, ".");
}

/* Opens the folder PATH, or makes it in PARENT, the folder above it, as NAME. */
static int open_or_make(int root, const char *path, int parent, const char *name, mode_t mode) {
        int fd = root_open(root, path, O_PATH | O_DIRECTORY), r;

        if (fd != -ENOENT)
                return fd;
        r = make_folder(parent, name, mode);
        return r < 0 ? r : root_open(root, path, O_PATH | O_DIRECTORY);
}

int root_make_folder(int root, const char *path, mode_t mode) {
        _cleanup_(free_pointer) char *partial = strdup(path);
        _cleanup_(close_fd) int folder = -EBADF;

        if (!partial)
                return -ENOMEM;
        folder = root_open(root, "/", O_PATH | O_DIRECTORY);
        if (folder < 0)
                return folder;

        for (char *name = partial + strspn(partial, "/"); *name; name += strspn(name, "/")) {
                char *end = name + strcspn(name, "/"), separator = *end;
                bool is_last = end[strspn(end, "/")] == 0;
                int next;

                *end = 0;
                next = strcmp(name, "..") == 0
                               ? -EINVAL
                               : open_or_make(root, partial, folder, name, is_last ? mode : PARENT_MODE);
                if (next < 0)
                        return next;
                close(folder);
                folder = next;
                *end = separator;
                name = end;
        }
        return root_open(root, path, O_RDONLY | O_DIRECTORY);
}
