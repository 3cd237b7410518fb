/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How far work is, on standard error: on a terminal one line that is drawn anew and leaves nothing behind, elsewhere a
 * line for each phase. */

#include <stdint.h>

#include "client/verb.h"

typedef struct Progress {
        bool shown;
        bool redraws; /* one line, over and over */
        bool drawn;
        char phase[64]; /* the one that was said last */
} Progress;

Progress progress_new(const Session *session);

/* DONE and TOTAL are in units of the phase; TOTAL 0: not known. */
void progress_show(Progress *progress, const char *operation, const char *phase, uint64_t done, uint64_t total);

/* Takes the line away: something else is about to be said. */
void progress_clear(Progress *progress);
