/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes file systems durable (syncfs(2)) while its owner does something else: a store that was just written to can take
 * its disk many seconds. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Flush {
        const int *fds;
        size_t count;
        pthread_t thread;
        bool threaded, waited_for;
        int error;
} Flush;

/* Begins with the file systems of the COUNT descriptors FDS, which stay the caller's until flush_wait(). */
void flush_start(Flush *flush, const int *fds, size_t count);

/* Waits until all of them are durable: 0, or a negative errno. May be called again; the last time at the latest when
 * FLUSH's scope ends. */
int flush_wait(Flush *flush);
void flush_done(Flush *flush);
