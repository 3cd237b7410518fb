/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How to notice what others change: where to look for changes, and a mark of what is there now. Two marks of one thing
 * differ if it changed between. A mark is made of names, sizes, inodes and times, of firmware variables of their
 * contents: no file is read. */

#include "daemon/ops/operation.h"

/* What can change, in the words of the bus. */
typedef enum WatchArea {
        WATCH_KEYS,
        WATCH_FIRMWARE,
        WATCH_ESP,
        WATCH_GENERATIONS,
        WATCH_AREAS,
} WatchArea;

/* "keys", "firmware", "esp", "generations" */
const char *watch_area_name(WatchArea area);

/* A folder that exists. Whatever lies on the way to a thing is watched for it: it may come, go, and be another one. */
typedef struct WatchPlace {
        uint64_t area;
        char *folder; /* as it is seen from here */
        char *name;   /* what counts in it; NULL: everything */
        char *id;     /* another one under the same path has another */
} WatchPlace;

extern const Record watch_place_record;

typedef struct Watch {
        RecordList places;
        char *marks[WATCH_AREAS];
} Watch;

void watch_done(Watch *watch);

/* What cannot be looked at, an ESP that is not mounted, has a mark of its own. -ENOMEM. */
int watch_read(const Context *context, Watch *ret);
