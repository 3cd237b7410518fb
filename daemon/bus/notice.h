/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the bus what changed, whoever did it, once.
 *
 * What is there is looked at on the reader's thread, and held against what was there before: what differs is told. A
 * look is made some time after inotify(7) or the mount table say that something happens, so that a burst is one signal;
 * when a caller asks for it; and on the writer's thread after an operation of our own. As long as such an operation
 * waits or runs, the area that it works on is its own: looks leave it out, and its end tells. */

#include "daemon/bus/bus-private.h"
#include "daemon/ops/state.h"

/* What was seen at one time. */
typedef struct Look {
        SystemState state;
        int r;                       /* negative: nothing was seen, */
        Failure failure;             /* and why */
        bool modified[WATCH_AREAS];  /* a file was written to before */
        uint64_t ended[WATCH_AREAS]; /* operations of our own that had ended before */
} Look;

void look_done(Look *look);

/* Looks. On any thread; LOOK was begun. */
void look_run(Look *look, const BusHost *host);

/* Looks for the first time. */
int notice_new(Bus *bus, Notice **ret);
Notice *notice_free(Notice *notice); /* returns NULL */

/* Before the look is run that this begins. */
void notice_begin(Notice *notice, Look *look);

/* Tells what is different from before. */
void notice_take(Notice *notice, Look *look);

/* The same for an operation on AREA that has just ended; LOOK came after it. */
void notice_take_own(Notice *notice, WatchArea area, Look *look);

/* Something may have happened: looks before long. */
void notice_soon(Notice *notice);

/* The look that is to be run on the reader's thread, NULL if none is due; then, when it was. */
Job *notice_next_job(Notice *notice);
bool notice_finish_job(Notice *notice, const Job *job); /* false: the job is another's */
