/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/lock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

/* flock(2) has no timeout, and signals are not for threads: waiting is asking again. */
enum { POLL_MS = 50 };

static uint64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int set_canceled(const char *name, Failure *failure) {
        return failure_set(failure, CONDITION_CANCELED,
                           "Canceled while it waited for another operation, which has locked %s", name);
}

int folder_lock(int fd, const char *name, uint64_t timeout_ms, LockWaiting waiting, void *userdata, Failure *failure) {
        const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        uint64_t start = now_ms();
        bool waited = false;

        for (;;) {
                bool locked = flock(fd, LOCK_EX | LOCK_NB) >= 0;

                if (locked && (!waited || !waiting || waiting(userdata, name, /* locked= */ true)))
                        return 0;
                if (locked) {
                        flock(fd, LOCK_UN);
                        return set_canceled(name, failure);
                }
                if (errno == EINTR)
                        continue;
                if (errno != EWOULDBLOCK)
                        return failure_set_errno(failure, -errno, "Cannot lock %s", name);
                if (now_ms() - start >= timeout_ms)
                        return failure_set(failure, CONDITION_BUSY, "Another operation that is running has locked %s",
                                           name);
                if (waiting && !waiting(userdata, name, /* locked= */ false))
                        return set_canceled(name, failure);
                waited = true;
                nanosleep(&pause, NULL);
        }
}
