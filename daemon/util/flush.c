/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/flush.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/thread.h"

/* Whether one of the first COUNT descriptors stands for the same file system. */
static bool is_among(const int *fds, size_t count, int fd) {
        struct stat st, other;

        if (fstat(fd, &st) < 0)
                return false;
        for (size_t i = 0; i < count; i++)
                if (fstat(fds[i], &other) >= 0 && other.st_dev == st.st_dev)
                        return true;
        return false;
}

static void *flush_all(void *userdata) {
        Flush *flush = userdata;

        for (size_t i = 0; i < flush->count && flush->error == 0; i++)
                if (!is_among(flush->fds, i, flush->fds[i]) && syncfs(flush->fds[i]) < 0)
                        flush->error = -errno;
        return NULL;
}

void flush_start(Flush *flush, const int *fds, size_t count) {
        *flush = (Flush){.fds = fds, .count = count};
        flush->threaded = count > 0 && thread_start(&flush->thread, flush_all, flush) >= 0;
}

int flush_wait(Flush *flush) {
        if (flush->waited_for)
                return flush->error;
        if (flush->threaded)
                pthread_join(flush->thread, /* retval= */ NULL);
        else
                flush_all(flush);
        flush->waited_for = true;
        return flush->error;
}

void flush_done(Flush *flush) {
        if (flush->threaded)
                (void)flush_wait(flush);
}
