/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every verb that writes can be asked, spelled once. Such a verb's parameters begin with these two. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/ops/record.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"

enum { TIMEOUT_DEFAULT = 120 };

typedef struct WriteParameters {
        bool dry_run;
        uint64_t timeout; /* seconds to wait for another operation; 0: not at all */
} WriteParameters;

/* BadConfiguration, for a parameter's value; the configuration is not to blame. */
int parameter_refused(Failure *failure, const char *format, ...) _printf_(2, 3);

#define WRITE_PARAMETER_FIELDS(structure)                                                                              \
        {.name = "dry-run",                                                                                            \
         .type = FIELD_BOOLEAN,                                                                                        \
         .offset = offsetof(structure, write.dry_run),                                                                 \
         .help = "say what would be done, and write nothing"},                                                         \
        {                                                                                                              \
                .name = "timeout", .type = FIELD_UNSIGNED, .offset = offsetof(structure, write.timeout),               \
                .help = "wait so long for another operation (default 120; 0: do not)", .argument = "SECONDS",          \
                .initial = TIMEOUT_DEFAULT                                                                             \
        }
