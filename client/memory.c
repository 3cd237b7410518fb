/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 16384 };

static int write_all(int to, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(to, data, size);

                if (n < 0 && errno != EINTR)
                        return -errno;
                data += n > 0 ? n : 0;
                size -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}

/* At most MAXIMUM bytes. */
static int copy(int from, int to, size_t maximum) {
        char data[PIECE_BYTES];
        size_t copied = 0;
        ssize_t n;
        int r = 0;

        while (r >= 0 && (n = read(from, data, sizeof(data))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                copied += (size_t)n;
                r = copied > maximum ? -EFBIG : write_all(to, data, (size_t)n);
        }
        return r;
}

int memory_take(int from, const char *name, size_t maximum) {
        static const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        int memory = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

        if (memory < 0)
                return -errno;
        r = copy(from, memory, maximum);
        if (r >= 0 && fcntl(memory, F_ADD_SEALS, seals) < 0)
                r = -errno;
        if (r >= 0)
                return memory;
        close(memory);
        return r;
}

int memory_write(int memory, int to) {
        return lseek(memory, 0, SEEK_SET) < 0 ? -errno : copy(memory, to, SIZE_MAX);
}

/* NULL if it cannot be read, or is empty. */
static void *map(int memory, size_t *ret_size) {
        struct stat st;
        void *data;

        if (fstat(memory, &st) < 0)
                return NULL;
        *ret_size = (size_t)st.st_size;
        data = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, memory, 0);
        return data == MAP_FAILED ? NULL : data;
}

bool memory_equal(int one, int other) {
        size_t size, other_size;
        void *data = map(one, &size), *other_data = map(other, &other_size);
        bool equal = data && other_data && size == other_size && memcmp(data, other_data, size) == 0;

        if (data)
                munmap(data, size);
        if (other_data)
                munmap(other_data, other_size);
        return equal;
}
