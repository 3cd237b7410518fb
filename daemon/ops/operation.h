/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of the product. Each is a plain function of what it acts on (Context), what was asked (its parameters) and
 * what came of it (its result); the latter two are described by Records. Neither knows whether the bus, a person's
 * `lanzad --oneshot` or a test calls it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ops/record.h"
#include "daemon/util/failure.h"
#include "daemon/util/lock.h"

typedef struct Context Context;

/* What a run() that did not fail can say besides 0: exit statuses of their own. */
enum {
        OPERATION_IN_PART = 5, /* a generation was skipped, or one of several ESPs failed: see the result's warnings */
        OPERATION_WOULD_NOT_BOOT = 6, /* a finding, not a failure */
};

typedef struct Operation {
        const char *verb;
        const char *help; /* one line */
        bool mutates;     /* has --dry-run and --timeout, and takes the locks */
        const Record *parameters;
        const Record *result;
        const char *positional;    /* the parameter that an argument without a name fills; NULL: none */
        const char *configuration; /* the parameter, memory, whose text replaces the configuration; NULL: none */

        /* PARAMETERS and RESULT are structs of the records above; RESULT comes zeroed and is the caller's to free with
         * record_done(), also after a failure. Returns 0, one of the values above, or a negative errno with FAILURE
         * set. */
        int (*run)(Context *context, const void *parameters, void *result, Failure *failure);
} Operation;

/* Who is told while an operation runs, on its thread; see Context. Either function may be NULL. While waiting() is
 * asked (util/lock.h) nothing has been changed yet. */
typedef struct OperationWatch {
        void (*progress)(void *userdata, const char *phase, uint64_t done, uint64_t total);
        LockWaiting waiting;
        void *userdata;
} OperationWatch;

/* The operation of that verb, or NULL. */
const Operation *operation_find(const char *verb);

/* By position, to list them; NULL past the end. */
const Operation *operation_at(size_t index);

/* Runs OPERATION, and sees to it that every failure has a message. */
int operation_run(const Operation *operation, Context *context, const void *parameters, void *result, Failure *failure);
