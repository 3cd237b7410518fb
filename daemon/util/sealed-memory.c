/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/sealed-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/file.h"

enum {
        SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
        FIRST_FD = 3, /* not one of the standard descriptors */
};

SealedMemory *sealed_memory_free(SealedMemory *memory) {
        if (memory)
                close_fd(&memory->fd);
        free(memory);
        return NULL;
}

/* The seals come first: only then is the size final. */
static int check(int fd, uint64_t maximum, uint64_t *ret_size) {
        int seals = fcntl(fd, F_GET_SEALS), flags = fcntl(fd, F_GETFL);
        struct stat st;

        if (seals < 0 || flags < 0 || flags & O_PATH)
                return -EMEDIUMTYPE;
        if ((flags & O_ACCMODE) == O_WRONLY)
                return -EACCES;
        if ((seals & SEALS) != SEALS)
                return -EPERM;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EMEDIUMTYPE;
        if ((uint64_t)st.st_size > maximum)
                return -EFBIG;
        *ret_size = st.st_size;
        return 0;
}

static int adopt(int fd, uint64_t size, SealedMemory **ret) {
        SealedMemory *memory = malloc(sizeof(*memory));

        if (!memory)
                return -ENOMEM;
        *memory = (SealedMemory){fd, size};
        *ret = memory;
        return 0;
}

int sealed_memory_take(int fd, uint64_t maximum, SealedMemory **ret) {
        _cleanup_(close_fd) int copy = -EBADF;
        uint64_t size;
        int r;

        r = check(fd, maximum, &size);
        if (r < 0)
                return r;
        copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
        if (copy < 0)
                return -errno;
        r = adopt(copy, size, ret);
        if (r >= 0)
                (void)TAKE_FD(copy);
        return r;
}

const char *sealed_memory_problem(int error) {
        switch (error) {
        case -EMEDIUMTYPE:
                return "is no memory file";
        case -EACCES:
                return "is open for writing only";
        case -EPERM:
                return "is not sealed against writing, growing, shrinking and further sealing";
        case -EFBIG:
                return "is too large";
        default:
                return NULL;
        }
}

int sealed_memory_make(const char *name, Span bytes, SealedMemory **ret) {
        _cleanup_(close_fd) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return -errno;
        r = file_write_fd(fd, bytes);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        r = adopt(fd, bytes.size, ret);
        if (r >= 0)
                (void)TAKE_FD(fd);
        return r;
}

int sealed_memory_read(const SealedMemory *memory, Buffer *ret) {
        _cleanup_(buffer_wipe) Buffer buffer = {};
        int r;

        r = buffer_reserve(&buffer, memory->size);
        if (r >= 0)
                r = file_read_at(memory->fd, 0, buffer.data, memory->size);
        if (r < 0)
                return r;
        buffer.size = memory->size;
        *ret = TAKE_STRUCT(buffer);
        return 0;
}

bool sealed_memory_same(const SealedMemory *a, const SealedMemory *b) {
        struct stat first, second;

        if (!a || !b)
                return a == b;
        return fstat(a->fd, &first) == 0 && fstat(b->fd, &second) == 0 && first.st_dev == second.st_dev &&
               first.st_ino == second.st_ino;
}
