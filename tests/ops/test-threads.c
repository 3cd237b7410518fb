/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many threads there are at once on a machine with many processors: the service's sandbox has a limit. */

#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/ahead.h"
#include "daemon/util/thread.h"
#include "tests/ops/machine-fixture.h"

/* Of the service besides those that an operation starts: the one that waits for the bus, the one that reads, and the
 * one that writes, which runs the operation. */
enum { PROCESSORS = 256, GENERATIONS = 20, OWN_THREADS = 3 };

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
        CPU_ZERO_S(size, set);
        for (unsigned i = 0; i < PROCESSORS; i++)
                CPU_SET_S(i, size, set);
        return 0;
}

/* The linker lets whoever calls thread_start() call __wrap_thread_start(), and so on (tests/build.mk). */
int __real_thread_start(pthread_t *ret, void *(*run)(void *userdata), void *userdata);
int __real_pthread_join(pthread_t thread, void **ret);
int __wrap_thread_start(pthread_t *ret, void *(*run)(void *userdata), void *userdata);
int __wrap_pthread_join(pthread_t thread, void **ret);

static atomic_uint running, most;

/* Each counts until it was waited for: so how many there are does not depend on who is faster. */
int __wrap_thread_start(pthread_t *ret, void *(*run)(void *userdata), void *userdata) {
        unsigned now = ++running;

        if (now > most)
                most = now;
        return __real_thread_start(ret, run, userdata);
}

int __wrap_pthread_join(pthread_t thread, void **ret) {
        running--;
        return __real_pthread_join(thread, ret);
}

static unsigned read_limit(void) {
        g_autofree char *path = g_build_filename(g_getenv("LANZA_SOURCE"), "units/lanzad.service", NULL), *text = NULL;
        const char *line;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        line = strstr(text, "\nTasksMax=");
        g_assert_nonnull(line);
        return strtoul(line + strlen("\nTasksMax="), NULL, 10);
}

static void test_sync(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        for (unsigned number = 3; number <= GENERATIONS; number++)
                machine_add_generation(machine, &(MachineGeneration){.number = number});
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_test_message("%u threads", most);
        /* Those that sign, and at least one that makes a file system durable or hashes meanwhile. */
        g_assert_cmpuint(most, >, AHEAD_THREADS_MAX);
        g_assert_cmpuint(most + OWN_THREADS, <=, read_limit());
        g_assert_cmpuint(running, ==, 0);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/threads/a-sync-starts-fewer-than-the-service-may-have", test_sync);
        return g_test_run();
}
