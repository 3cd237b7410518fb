/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/thread.h"

#include <sched.h>
#include <signal.h>

/* Linux often leaves a thread that begins behind its creator, on the same processor, while another one idles, and there
 * it waits until its creator sleeps: a millisecond and more. Moved once, it may go where it likes; nothing depends on
 * it. */
static void move_to_another_processor(pthread_t thread) {
        cpu_set_t all, others;
        int here = sched_getcpu();

        if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(/* pid= */ 0, sizeof(all), &all) < 0)
                return;
        others = all;
        CPU_CLR(here, &others);
        if (CPU_COUNT(&others) > 0 && pthread_setaffinity_np(thread, sizeof(others), &others) == 0)
                (void)pthread_setaffinity_np(thread, sizeof(all), &all);
}

int thread_start(pthread_t *ret, void *(*run)(void *userdata), void *userdata) {
        sigset_t all, before;
        int r;

        sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &before);
        if (r != 0)
                return -r;
        r = pthread_create(ret, /* attr= */ NULL, run, userdata);
        pthread_sigmask(SIG_SETMASK, &before, /* oldset= */ NULL);
        if (r == 0)
                move_to_another_processor(*ret);
        return -r;
}
