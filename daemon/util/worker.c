/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/thread.h"

typedef struct JobQueue {
        Job *first, **end; /* END: where the next one goes */
} JobQueue;

struct Worker {
        pthread_t thread;
        pthread_mutex_t lock; /* of all below */
        pthread_cond_t changed;
        JobQueue waiting, finished;
        Job *running;
        bool ending;
        int fd;
};

static void queue_init(JobQueue *queue) {
        *queue = (JobQueue){.end = &queue->first};
}

static void queue_push(JobQueue *queue, Job *job) {
        job->next = NULL;
        *queue->end = job;
        queue->end = &job->next;
}

static Job *queue_pop(JobQueue *queue) {
        Job *job = queue->first;

        if (!job)
                return NULL;
        queue->first = job->next;
        if (!queue->first)
                queue->end = &queue->first;
        return job;
}

static bool queue_remove(JobQueue *queue, const Job *job) {
        for (Job **place = &queue->first; *place; place = &(*place)->next) {
                if (*place != job)
                        continue;
                *place = job->next;
                if (!*place)
                        queue->end = place;
                return true;
        }
        return false;
}

/* The counter cannot overflow: the owner empties it. */
static void wake_owner(const Worker *worker) {
        const uint64_t one = 1;

        (void)!write(worker->fd, &one, sizeof(one));
}

static void *worker_main(void *argument) {
        Worker *worker = argument;

        pthread_mutex_lock(&worker->lock);
        while (true) {
                while (!worker->ending && !worker->waiting.first)
                        pthread_cond_wait(&worker->changed, &worker->lock);
                if (worker->ending)
                        break;
                worker->running = queue_pop(&worker->waiting);
                wake_owner(worker);
                pthread_mutex_unlock(&worker->lock);
                worker->running->run(worker->running);
                pthread_mutex_lock(&worker->lock);
                queue_push(&worker->finished, TAKE_POINTER(worker->running));
                wake_owner(worker);
                pthread_cond_signal(&worker->changed);
        }
        pthread_mutex_unlock(&worker->lock);
        return NULL;
}

int worker_new(Worker **ret) {
        Worker *worker = calloc(1, sizeof(*worker));
        int r;

        if (!worker)
                return -ENOMEM;
        pthread_mutex_init(&worker->lock, /* attr= */ NULL);
        pthread_cond_init(&worker->changed, /* attr= */ NULL);
        queue_init(&worker->waiting);
        queue_init(&worker->finished);
        worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = worker->fd < 0 ? -errno : thread_start(&worker->thread, worker_main, worker);
        if (r < 0) {
                close_fd(&worker->fd);
                free(worker);
                return r;
        }
        *ret = worker;
        return 0;
}

Worker *worker_free(Worker *worker) {
        pthread_mutex_lock(&worker->lock);
        worker->ending = true;
        pthread_cond_signal(&worker->changed);
        pthread_mutex_unlock(&worker->lock);
        pthread_join(worker->thread, /* retval= */ NULL);
        pthread_cond_destroy(&worker->changed);
        pthread_mutex_destroy(&worker->lock);
        close_fd(&worker->fd);
        free(worker);
        return NULL;
}

int worker_fd(const Worker *worker) {
        return worker->fd;
}

void worker_submit(Worker *worker, Job *job) {
        pthread_mutex_lock(&worker->lock);
        queue_push(&worker->waiting, job);
        pthread_cond_signal(&worker->changed);
        pthread_mutex_unlock(&worker->lock);
}

bool worker_cancel(Worker *worker, Job *job) {
        pthread_mutex_lock(&worker->lock);
        bool removed = queue_remove(&worker->waiting, job);
        pthread_mutex_unlock(&worker->lock);
        return removed;
}

const Job *worker_running(Worker *worker) {
        pthread_mutex_lock(&worker->lock);
        const Job *job = worker->running;
        pthread_mutex_unlock(&worker->lock);
        return job;
}

/* The thread, which waits for the same condition, does so only when it has no job: never while this waits for one. */
void worker_wait(Worker *worker, const Job *job) {
        pthread_mutex_lock(&worker->lock);
        while (!queue_remove(&worker->finished, job))
                pthread_cond_wait(&worker->changed, &worker->lock);
        pthread_mutex_unlock(&worker->lock);
}

Job *worker_take_finished(Worker *worker) {
        uint64_t count;

        pthread_mutex_lock(&worker->lock);
        Job *job = queue_pop(&worker->finished);
        if (!job)
                (void)!read(worker->fd, &count, sizeof(count));
        pthread_mutex_unlock(&worker->lock);
        return job;
}
