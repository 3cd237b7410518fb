/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries a plan out, so that a power cut at any moment leaves a machine that boots: files are written under temporary
 * names, made durable together, renamed, made durable again; then only the next kind of step begins. A second run from
 * whatever state a cut left finishes the job. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/esp/esp-io.h"
#include "daemon/esp/plan.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"

/* Where the bytes come from. Called just before they are written, one at a time, in the plan's order. */
typedef struct ApplySources {
        void *userdata;

        /* Opens the content for reading from its beginning; the descriptor is closed by apply. Its bytes are hashed
         * again while they are copied: other bytes than CONTENT's hash stop the run before anything is renamed. */
        int (*open_content)(void *userdata, const WantedContent *content, int *ret_fd, Failure *failure);

        /* Assembles and signs. RET is empty before and freed after it was written. */
        int (*build_image)(void *userdata, const WantedImage *image, Buffer *ret, Failure *failure);
        int (*build_loader)(void *userdata, Buffer *ret, Failure *failure);

        /* May be NULL. DONE and TOTAL are bytes of all steps that write. */
        void (*progress)(void *userdata, StepKind phase, uint64_t done, uint64_t total);

        /* Made durable (syncfs) before anything on the volume gets its name or goes: the file systems of the store and
         * of the profiles, so that no durable image names a toplevel that is not. Not even these if the plan is empty.
         */
        const int *durable_fds;
        size_t durable_count;
} ApplySources;

typedef struct ApplyResult {
        StringList images_written, images_removed;     /* file names */
        StringList contents_written, contents_removed; /* file names */
        StringList entries_removed;                    /* file names */
        StringList loaders_written;                    /* paths; loader/loader.conf too */
        size_t images_kept, contents_kept;
        uint64_t bytes_written; /* of all files */
        uint64_t bytes_removed; /* in whole clusters: what became free by removing images and contents */
        bool all_written; /* also after a failure: whatever the plan writes is there, durably; only garbage is left */
} ApplyResult;

void apply_result_done(ApplyResult *result);

/* Carries PLAN out; WANTED is the one it was made of. An empty plan does nothing at all.
 *
 * CONDITION_ESP_FULL (with the bytes that are missing), CONDITION_ESP_READ_ONLY, or what a source reported. In each
 * case the volume is as good as before: what was renamed is complete, temporary files are removed as far as possible,
 * and *ret (always set) says what was done until then. */
int apply_plan(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources, ApplyResult *ret,
               Failure *failure);

/* The two halves of it, for when other volumes are written between: all up to the last step that writes, and what is
 * removed after that. The second is for RESULT of the first, if that succeeded. */
int apply_writes(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources, ApplyResult *ret,
                 Failure *failure);
int apply_garbage(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources, ApplyResult *result,
                  Failure *failure);
