/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The real implementation of the volume's operations.
 *
 * Every path is split into its folder, which is opened beneath the root without following anything out of it, and a
 * name in that folder, on which the *at() calls work.
 *
 * A barrier on vfat takes both calls: syncfs(2) writes out data, FAT and folders, but sends the disk no flush there;
 * fsync(2) of a folder does. */

#include "daemon/esp/esp-io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/util/file.h"

enum { FOLDER_ENTRIES_MAX = 1 << 20, PART_BYTES = 64 * 1024 };

struct EspFile {
        int fd;
};

static int root_of(const EspIo *io) {
        return ((const EspSystemIo *)io)->root_fd;
}

/* Opens the folder that PATH stands in; *ret_name points to the rest of PATH. */
static int open_parent(const EspIo *io, const char *path, const char **ret_name) {
        const char *slash = strrchr(path, '/');
        _cleanup_(free_pointer) char *folder = slash ? strndup(path, slash - path) : strdup(".");

        if (!folder)
                return -ENOMEM;
        *ret_name = slash ? slash + 1 : path;
        return file_open(root_of(io), folder, O_RDONLY | O_DIRECTORY, 0);
}

static int open_file(const EspIo *io, const char *path, int flags, EspFile **ret) {
        const char *name;
        _cleanup_(close_fd) int folder = open_parent(io, path, &name);
        _cleanup_(close_fd) int fd = -EBADF;
        EspFile *file;

        if (folder < 0)
                return folder;
        fd = file_open(folder, name, flags | O_NOFOLLOW, flags & O_CREAT ? 0600 : 0);
        if (fd < 0)
                return fd;
        file = malloc(sizeof(*file));
        if (!file)
                return -ENOMEM;
        file->fd = TAKE_FD(fd);
        *ret = file;
        return 0;
}

/* One folder, whose parent is there. */
static int make_folder(const EspIo *io, const char *path) {
        const char *name;
        _cleanup_(close_fd) int parent = open_parent(io, path, &name);

        if (parent < 0)
                return parent;
        return mkdirat(parent, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int system_make_folders(EspIo *io, const char *folder) {
        _cleanup_(free_pointer) char *partial = strdup(folder);
        int r = 0;

        if (!partial)
                return -ENOMEM;
        for (char *slash = strchr(partial, '/'); slash && r >= 0; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                r = make_folder(io, partial);
                *slash = '/';
        }
        return r < 0 ? r : make_folder(io, partial);
}

static int system_list(EspIo *io, const char *folder, StringList *ret) {
        int r = folder_list(root_of(io), folder, FOLDER_ENTRIES_MAX, ret);

        return r == -ENOENT ? 0 : r;
}

static int system_create(EspIo *io, const char *path, EspFile **ret) {
        return open_file(io, path, O_WRONLY | O_CREAT | O_EXCL, ret);
}

/* Large writes get large pieces of memory for the file's pages, and these are the ones that nobody has touched for
 * long: in a virtual machine, whose host takes them away meanwhile, that made a copy take twice as long. */
static int write_in_parts(int fd, Span bytes) {
        int r = 0;

        while (r >= 0 && bytes.size > 0) {
                size_t part = bytes.size < PART_BYTES ? bytes.size : PART_BYTES;

                r = file_write_fd(fd, (Span){bytes.data, part});
                bytes.data += part;
                bytes.size -= part;
        }
        return r;
}

/* The disk begins with the first piece while the next is being read, instead of with all of them at the barrier. That
 * is a wish and no more: the barrier is what counts. */
static int system_write(EspIo *io, EspFile *file, Span bytes) {
        int r = write_in_parts(file->fd, bytes);

        if (r >= 0)
                (void)sync_file_range(file->fd, /* offset= */ 0, /* nbytes= */ 0, SYNC_FILE_RANGE_WRITE);
        return r;
}

static int system_hold(EspIo *io, const char *path, EspFile **ret) {
        return open_file(io, path, O_RDONLY, ret);
}

static int system_close(EspIo *io, EspFile *file) {
        int r = close(file->fd) < 0 && errno != EINTR ? -errno : 0;

        free(file);
        return r;
}

static int system_rename(EspIo *io, const char *from, const char *to) {
        const char *name;
        _cleanup_(close_fd) int folder = open_parent(io, from, &name);

        if (folder < 0)
                return folder;
        return renameat(folder, name, folder, strrchr(to, '/') + 1) < 0 ? -errno : 0;
}

static int system_remove(EspIo *io, const char *path) {
        const char *name;
        _cleanup_(close_fd) int folder = open_parent(io, path, &name);

        if (folder < 0)
                return folder;
        return unlinkat(folder, name, 0) < 0 ? -errno : 0;
}

static int system_barrier(EspIo *io) {
        if (syncfs(root_of(io)) < 0 || fsync(root_of(io)) < 0)
                return -errno;
        return 0;
}

static int system_free_bytes(EspIo *io, uint64_t *ret) {
        struct statvfs st;

        if (fstatvfs(root_of(io), &st) < 0)
                return -errno;
        *ret = (uint64_t)st.f_bavail * st.f_frsize;
        return 0;
}

void esp_system_io_init(EspSystemIo *system, int root_fd) {
        *system = (EspSystemIo){
                .io =
                        {
                                .make_folders = system_make_folders,
                                .list = system_list,
                                .create = system_create,
                                .write = system_write,
                                .hold = system_hold,
                                .close = system_close,
                                .rename = system_rename,
                                .remove = system_remove,
                                .barrier = system_barrier,
                                .free_bytes = system_free_bytes,
                        },
                .root_fd = root_fd,
        };
}
