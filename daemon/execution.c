/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/execution.h"

#include "daemon/config.h"
#include "daemon/ops/context.h"

/* The configuration that the caller handed in, or NULL. */
static const SealedMemory *handed_in(const Operation *operation, const void *parameters) {
        const Field *field =
                operation->configuration ? record_field(operation->parameters, operation->configuration) : NULL;

        return field ? *(SealedMemory *const *)field_at_const(field, parameters) : NULL;
}

static int load_settings(const Execution *execution, const SealedMemory *memory, Settings *ret, StringList *warnings,
                         Failure *failure) {
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        if (!memory)
                return config_load(execution->root, execution->configuration, ret, warnings, failure);
        r = sealed_memory_read(memory, &text);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the configuration that was handed over");
        return config_load_text(buffer_span(&text), "configuration", ret, warnings, failure);
}

int execution_run(const Execution *execution, const Operation *operation, const void *parameters, void *result,
                  const OperationWatch *watch, Failure *failure) {
        _cleanup_(context_freep) Context *context = NULL;
        _cleanup_(config_done) Settings settings = {};
        _cleanup_(string_list_done) StringList warnings = {};
        int r;

        r = load_settings(execution, handed_in(operation, parameters), &settings, &warnings, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; execution->warn && i < warnings.count; i++)
                execution->warn(execution->userdata, warnings.items[i]);
        r = context_new(&settings, execution->root, execution->keys, execution->variables, &context, failure);
        if (r < 0)
                return r;
        context->runs_programs = execution->runs_programs;
        if (watch) {
                context->progress = watch->progress;
                context->waiting = watch->waiting;
                context->progress_userdata = watch->userdata;
        }
        return operation_run(operation, context, parameters, result, failure);
}
