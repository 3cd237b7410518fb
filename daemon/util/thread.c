/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *userdata), void *userdata) {
        sigset_t all, before;
        int r;

        sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &before);
        if (r != 0)
                return -r;
        r = pthread_create(ret, /* attr= */ NULL, run, userdata);
        pthread_sigmask(SIG_SETMASK, &before, /* oldset= */ NULL);
        return -r;
}
