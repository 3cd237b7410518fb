/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/crypto/stream-digest.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

void store_file_done(StoreFile *file) {
        if (file->identity.path)
                close_fd(&file->fd);
        file_identity_done(&file->identity);
        *file = (StoreFile){};
}

/* Fills everything but the path. */
static int identify(int fd, FileIdentity *ret, mode_t *ret_mode) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        ret->device = st.st_dev;
        ret->inode = st.st_ino;
        ret->size = st.st_size;
        ret->changed = st.st_ctim.tv_sec;
        ret->changed_nanoseconds = st.st_ctim.tv_nsec;
        *ret_mode = st.st_mode;
        return 0;
}

/* Whether that is how the closure is, and no trouble in reading it. */
static bool leads_nowhere(int error) {
        return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -ENAMETOOLONG || error == -ENXIO;
}

int store_file_open(int root, const char *path, uint64_t maximum, StoreFile *ret, Failure *failure) {
        _cleanup_(close_fd) int fd = root_open(root, path, O_RDONLY);
        _cleanup_(file_identity_done) FileIdentity identity = {};
        mode_t mode;
        int r;

        if (fd < 0 && leads_nowhere(fd))
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "Cannot open %s: %s", path, strerror(-fd));
        if (fd < 0)
                return failure_set_errno(failure, fd, "Cannot open %s", path);
        r = identify(fd, &identity, &mode);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot examine %s", path);
        if (!S_ISREG(mode))
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s is %s", path,
                                   S_ISDIR(mode) ? "a folder" : "no regular file");
        if (identity.size == 0)
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s is empty", path);
        if (identity.size > maximum)
                return failure_set(failure, CONDITION_BAD_BOOTSPEC,
                                   "%s has %" PRIu64 " bytes, more than the %" PRIu64 " allowed", path, identity.size,
                                   maximum);
        r = root_path_of(root, fd, &identity.path);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot tell the real path of %s", path);

        ret->fd = TAKE_FD(fd);
        ret->identity = TAKE_STRUCT(identity);
        return 0;
}

int store_file_unchanged(const StoreFile *file) {
        FileIdentity now = {.path = file->identity.path};
        mode_t mode;
        int r;

        r = identify(file->fd, &now, &mode);
        if (r < 0)
                return r;
        return file_identity_equal(&file->identity, &now) ? 0 : -ESTALE;
}

static int hash_content(const StoreFile *file, Sha256 *ret) {
        int r;

        (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        r = sha256_of_file(file->fd, file->identity.size, ret);
        return r == -EBADMSG ? -ESTALE : r;
}

int store_file_hash(const StoreFile *file, HashCache *cache, Sha256 *ret, Failure *failure) {
        const char *path = file->identity.path;
        struct timespec now;
        Sha256 hash;
        int r;

        if (cache && hash_cache_find(cache, &file->identity, ret))
                return 0;
        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return failure_set_errno(failure, -errno, "Cannot read the clock");
        r = hash_content(file, &hash);
        if (r >= 0)
                r = store_file_unchanged(file);
        if (r == -ESTALE)
                return failure_set_errno(failure, r, "%s changed while it was read", path);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read %s", path);
        if (cache) {
                r = hash_cache_add(cache, &file->identity, &hash, now.tv_sec);
                if (r < 0)
                        return r;
        }
        *ret = hash;
        return 0;
}
