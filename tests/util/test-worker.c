/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/worker.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <semaphore.h>

#include "tests/lib/scarce-memory.h"

/* A job that says when it began, and ends when it may. */
typedef struct TestJob {
        Job job;
        sem_t begun, may_end;
        unsigned *turns, turn;
} TestJob;

static void run_job(Job *job) {
        TestJob *self = (TestJob *)job;

        sem_post(&self->begun);
        sem_wait(&self->may_end);
        self->turn = ++*self->turns;
}

static TestJob *job_new(unsigned *turns) {
        TestJob *job = g_new0(TestJob, 1);

        job->job.run = run_job;
        job->turns = turns;
        g_assert_cmpint(sem_init(&job->begun, 0, 0), ==, 0);
        g_assert_cmpint(sem_init(&job->may_end, 0, 0), ==, 0);
        return job;
}

static void job_free(TestJob *job) {
        sem_destroy(&job->begun);
        sem_destroy(&job->may_end);
        g_free(job);
}

/* Waits for the descriptor until a job has ended. */
static Job *take(Worker *worker) {
        Job *job;

        while (!(job = worker_take_finished(worker))) {
                struct pollfd wanted = {.fd = worker_fd(worker), .events = POLLIN};

                g_assert_cmpint(poll(&wanted, 1, 60 * 1000), ==, 1);
        }
        return job;
}

static void test_order(void) {
        _cleanup_(worker_freep) Worker *worker = NULL;
        struct pollfd quiet = {.events = POLLIN};
        unsigned turns = 0;
        TestJob *jobs[3];

        g_assert_cmpint(worker_new(&worker), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++) {
                jobs[i] = job_new(&turns);
                sem_post(&jobs[i]->may_end);
                worker_submit(worker, &jobs[i]->job);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++) {
                g_assert_true(take(worker) == &jobs[i]->job);
                g_assert_cmpuint(jobs[i]->turn, ==, i + 1);
                job_free(jobs[i]);
        }
        g_assert_null(worker_running(worker));
        g_assert_null(worker_take_finished(worker));
        quiet.fd = worker_fd(worker);
        g_assert_cmpint(poll(&quiet, 1, 0), ==, 0);
}

static void test_cancel(void) {
        _cleanup_(worker_freep) Worker *worker = NULL;
        unsigned turns = 0;
        TestJob *first = job_new(&turns), *second = job_new(&turns), *third = job_new(&turns);

        g_assert_cmpint(worker_new(&worker), ==, 0);
        worker_submit(worker, &first->job);
        worker_submit(worker, &second->job);
        worker_submit(worker, &third->job);
        sem_wait(&first->begun);
        g_assert_true(worker_running(worker) == &first->job);
        g_assert_false(worker_cancel(worker, &first->job));
        g_assert_true(worker_cancel(worker, &third->job)); /* the last one: the next goes behind the second */
        g_assert_false(worker_cancel(worker, &third->job));
        worker_submit(worker, &third->job);
        g_assert_true(worker_cancel(worker, &second->job));
        sem_post(&first->may_end);
        sem_post(&third->may_end);
        g_assert_true(take(worker) == &first->job);
        g_assert_true(take(worker) == &third->job);
        g_assert_cmpuint(turns, ==, 2);
        g_assert_false(worker_cancel(worker, &third->job));
        job_free(first);
        job_free(second);
        job_free(third);
}

static void test_wait(void) {
        _cleanup_(worker_freep) Worker *worker = NULL;
        unsigned turns = 0;
        TestJob *first = job_new(&turns), *second = job_new(&turns), *third = job_new(&turns);

        g_assert_cmpint(worker_new(&worker), ==, 0);
        sem_post(&first->may_end);
        sem_post(&second->may_end);
        worker_submit(worker, &first->job);
        worker_submit(worker, &second->job);
        worker_submit(worker, &third->job);
        worker_wait(worker, &second->job);
        g_assert_cmpuint(second->turn, ==, 2);
        worker_wait(worker, &first->job); /* has ended already */
        g_assert_null(worker_take_finished(worker));
        sem_post(&third->may_end);
        worker_wait(worker, &third->job);
        g_assert_cmpuint(third->turn, ==, 3);
        worker_submit(worker, &first->job); /* the thread went on waiting for more */
        sem_post(&first->may_end);
        worker_wait(worker, &first->job);
        g_assert_cmpuint(first->turn, ==, 4);
        job_free(first);
        job_free(second);
        job_free(third);
}

static void test_end(void) {
        Worker *worker = NULL;
        unsigned turns = 0;
        TestJob *first = job_new(&turns), *second = job_new(&turns);

        g_assert_cmpint(worker_new(&worker), ==, 0);
        worker_submit(worker, &first->job);
        worker_submit(worker, &second->job);
        sem_wait(&first->begun);
        sem_post(&first->may_end);
        sem_post(&second->may_end);
        g_assert_null(worker_free(worker));
        g_assert_cmpuint(first->turn, ==, 1);
        job_free(first);
        job_free(second);
}

static void test_scarce_memory(void) {
        Worker *worker = NULL;

        scarce_memory_begin(1);
        g_assert_cmpint(worker_new(&worker), ==, -ENOMEM);
        scarce_memory_end();
        g_assert_null(worker);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/worker/runs-jobs-one-after-the-other-in-their-order", test_order);
        g_test_add_func("/util/worker/takes-back-what-has-not-begun", test_cancel);
        g_test_add_func("/util/worker/lets-its-owner-wait-for-one-job", test_wait);
        g_test_add_func("/util/worker/ends-after-the-job-that-runs", test_end);
        g_test_add_func("/util/worker/needs-memory", test_scarce_memory);
        return g_test_run();
}
