/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/thread.h"

#include <glib.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>

typedef struct Seen {
        sem_t may_look;
        sigset_t blocked;
        cpu_set_t processors;
} Seen;

static void *look(void *userdata) {
        Seen *seen = userdata;

        sem_wait(&seen->may_look);
        pthread_sigmask(SIG_SETMASK, /* set= */ NULL, &seen->blocked);
        sched_getaffinity(/* pid= */ 0, sizeof(seen->processors), &seen->processors);
        return NULL;
}

static void test_start(void) {
        sigset_t before, after;
        cpu_set_t processors;
        pthread_t thread;
        Seen seen = {};

        pthread_sigmask(SIG_SETMASK, /* set= */ NULL, &before);
        g_assert_cmpint(sched_getaffinity(/* pid= */ 0, sizeof(processors), &processors), ==, 0);
        g_assert_cmpint(sem_init(&seen.may_look, 0, 0), ==, 0);
        g_assert_cmpint(thread_start(&thread, look, &seen), ==, 0);
        sem_post(&seen.may_look);
        g_assert_cmpint(pthread_join(thread, /* retval= */ NULL), ==, 0);
        g_assert_cmpint(sigismember(&seen.blocked, SIGTERM), ==, 1);
        g_assert_true(CPU_EQUAL(&seen.processors, &processors));

        pthread_sigmask(SIG_SETMASK, /* set= */ NULL, &after);
        g_assert_cmpint(sigismember(&after, SIGTERM), ==, sigismember(&before, SIGTERM));
        sem_destroy(&seen.may_look);
}

/* As for a unit with CPUAffinity=: there is nowhere to move to. */
static void test_one_processor(void) {
        cpu_set_t all, one;

        g_assert_cmpint(sched_getaffinity(/* pid= */ 0, sizeof(all), &all), ==, 0);
        CPU_ZERO(&one);
        for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
                if (CPU_ISSET(i, &all))
                        CPU_SET(i, &one);
        g_assert_cmpint(sched_setaffinity(/* pid= */ 0, sizeof(one), &one), ==, 0);
        test_start();
        g_assert_cmpint(sched_setaffinity(/* pid= */ 0, sizeof(all), &all), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/thread/gets-no-signals-and-all-processors", test_start);
        g_test_add_func("/util/thread/starts-where-there-is-one-processor", test_one_processor);
        return g_test_run();
}
