/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run of an operation on one system: the same for the bus and for --oneshot. */

#include "daemon/ops/operation.h"

typedef struct Execution {
        const char *root;          /* the tree; NULL: the running system */
        const char *configuration; /* NULL: the usual files */
        const char *keys;          /* a key store that is not below ROOT; NULL: the configured one */
        const char *variables;     /* a file that stands for the firmware, not below ROOT; NULL: the machine's own */

        bool runs_programs; /* whether generations' own programs may be run */

        /* Told what is odd in the configuration, a sentence each. May be NULL. */
        void (*warn)(void *userdata, const char *warning);
        void *userdata;
} Execution;

/* Reads the configuration anew, or takes the one that is among the parameters, and runs OPERATION; as operation_run().
 * WATCH may be NULL. May be called on any thread.
 */
int execution_run(const Execution *execution, const Operation *operation, const void *parameters, void *result,
                  const OperationWatch *watch, Failure *failure);
