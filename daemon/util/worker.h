/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A thread that runs jobs one after the other, in the order they came. Everything but a job's run() is called by one
 * other thread, the owner's, which waits for worker_fd(). */

#include <stdbool.h>

#include "daemon/util/macro.h"

typedef struct Worker Worker;
typedef struct Job Job;

/* To be embedded; zeroed. It is the owner's again once worker_take_finished() hands it out or worker_cancel() says so.
 */
struct Job {
        void (*run)(Job *job); /* on the worker's thread */
        Job *next;             /* the worker's */
};

/* Starts the thread, with all signals blocked. A negative errno. */
int worker_new(Worker **ret);

/* Waits for the job that runs; those that wait are dropped. Returns NULL. */
Worker *worker_free(Worker *worker);
DEFINE_POINTER_CLEANUP(Worker *, worker_free)

/* Readable when a job began or ended. Borrowed. */
int worker_fd(const Worker *worker);

void worker_submit(Worker *worker, Job *job);

/* Takes JOB back if it still waits; false if it began. */
bool worker_cancel(Worker *worker, Job *job);

/* The job that runs just now, or NULL. */
const Job *worker_running(Worker *worker);

/* Waits until JOB, which was submitted and not taken, has ended, and takes it. */
void worker_wait(Worker *worker, const Job *job);

/* The next job that has ended, or NULL; once that is NULL, the descriptor is not readable until something happens. */
Job *worker_take_finished(Worker *worker);
