/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/execution.h"

#include "daemon/config.h"
#include "daemon/ops/context.h"

int execution_run(const Execution *execution, const Operation *operation, const void *parameters, void *result,
                  const OperationWatch *watch, Failure *failure) {
        _cleanup_(context_freep) Context *context = NULL;
        _cleanup_(config_done) Settings settings = {};
        _cleanup_(string_list_done) StringList warnings = {};
        int r;

        r = config_load(execution->root, execution->configuration, &settings, &warnings, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; execution->warn && i < warnings.count; i++)
                execution->warn(execution->userdata, warnings.items[i]);
        r = context_new(&settings, execution->root, execution->keys, execution->variables, &context, failure);
        if (r < 0)
                return r;
        if (watch) {
                context->progress = watch->progress;
                context->waiting = watch->waiting;
                context->progress_userdata = watch->userdata;
        }
        return operation_run(operation, context, parameters, result, failure);
}
