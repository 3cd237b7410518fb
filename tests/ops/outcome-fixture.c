/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Running operations on a machine, and looking at what came of them. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/ops/context.h"
#include "tests/lib/scarce-memory.h"
#include "tests/ops/machine-fixture.h"

static SealedMemory *make_memory(const char *text) {
        SealedMemory *memory = NULL;

        g_assert_cmpint(sealed_memory_make("test", span_from_string(text), &memory), ==, 0);
        return memory;
}

/* TEXT is "NAME=CONTENT"; given again, it is one more. */
static void add_memory(MemoryList *list, const char *text) {
        g_auto(GStrv) parts = g_strsplit(text, "=", 2);

        g_assert_cmpint(memory_list_add(list, parts[0], make_memory(parts[1])), ==, 0);
}

static void set_parameter(const Record *record, void *parameters, const char *name, const char *text) {
        const Field *field = record_field(record, name);
        void *value;

        g_assert_nonnull(field);
        value = field_at(field, parameters);
        switch (field->type) {
        case FIELD_BOOLEAN:
                *(bool *)value = strcmp(text, "yes") == 0;
                break;
        case FIELD_UNSIGNED:
                *(uint64_t *)value = g_ascii_strtoull(text, NULL, 10);
                break;
        case FIELD_STRING:
                *(char **)value = strdup(text);
                break;
        case FIELD_MEMORY:
                *(SealedMemory **)value = make_memory(text);
                break;
        case FIELD_MEMORIES:
                add_memory(value, text);
                break;
        default:
                g_assert_not_reached();
        }
}

static bool note_waiting(void *userdata, const char *name, bool locked) {
        Machine *machine = userdata;

        g_free(machine->waited_for);
        machine->waited_for = g_strdup(name);
        return true;
}

static const char *const partition_uuids[] = {MACHINE_ESP_UUID, MACHINE_SECOND_UUID, NULL};

static Context *open_context(Machine *machine, Failure *failure) {
        Context *context = NULL;

        if (context_new(&machine->settings, machine->root, /* key_folder= */ NULL, /* variables_file= */ NULL, &context,
                        failure) < 0)
                return NULL;
        context->live = machine->is_live;
        context->runs_programs = !machine->is_service;
        context->any_folder = !machine->needs_mount;
        context->variables = machine->variables;
        context->now = machine->now;
        context->waiting = note_waiting;
        context->progress_userdata = machine;
        context->partition_uuids = partition_uuids;
        return context;
}

static Outcome *run(Machine *machine, const char *verb, va_list list) {
        Outcome *outcome = g_new0(Outcome, 1);
        void *parameters;
        Context *context;

        outcome->operation = operation_find(verb);
        g_assert_nonnull(outcome->operation);
        parameters = record_new(outcome->operation->parameters);
        outcome->result = g_malloc0(outcome->operation->result->size);
        for (const char *name; (name = va_arg(list, const char *));)
                set_parameter(outcome->operation->parameters, parameters, name, va_arg(list, const char *));

        scarce_memory_begin(machine->failing_allocation);
        context = open_context(machine, &outcome->failure);
        if (context) {
                outcome->status =
                        operation_run(outcome->operation, context, parameters, outcome->result, &outcome->failure);
                outcome->signatures = context->signatures;
                context->variables = NULL; /* the machine's */
                context_free(context);
        } else {
                outcome->status = outcome->failure.message ? condition_errno(outcome->failure.condition) : -ENOMEM;
        }
        machine->allocations = scarce_memory_end();
        record_done(outcome->operation->parameters, parameters);
        free(parameters);
        machine->now += 100;
        return outcome;
}

Outcome *machine_run(Machine *machine, const char *verb, ...) {
        va_list list;
        Outcome *outcome;

        va_start(list, verb);
        outcome = run(machine, verb, list);
        va_end(list);
        return outcome;
}

Outcome *machine_run_status(Machine *machine, int status, const char *verb, ...) {
        va_list list;
        Outcome *outcome;

        va_start(list, verb);
        outcome = run(machine, verb, list);
        va_end(list);
        if (outcome->status != status)
                g_test_message("%s: %s", verb, outcome->failure.message ?: "");
        g_assert_cmpint(outcome->status, ==, status);
        return outcome;
}

/* Whoever fails says why, in words, and by the condition's number. */
Outcome *machine_run_refused(Machine *machine, Condition condition, const char *verb, ...) {
        va_list list;
        Outcome *outcome;

        va_start(list, verb);
        outcome = run(machine, verb, list);
        va_end(list);
        g_assert_cmpint(outcome->status, <, 0);
        g_assert_nonnull(outcome->failure.message);
        g_test_message("%s: %s", verb, outcome->failure.message);
        g_assert_cmpstr(condition_name(outcome->failure.condition), ==, condition_name(condition));
        return outcome;
}

void outcome_free(Outcome *outcome) {
        record_done(outcome->operation->result, outcome->result);
        g_free(outcome->result);
        failure_done(&outcome->failure);
        g_free(outcome);
}

static char *join(const StringList *list) {
        GString *text = g_string_new(NULL);

        for (size_t i = 0; i < list->count; i++)
                g_string_append_printf(text, "%s%s", i > 0 ? "\n" : "", list->items[i]);
        return g_string_free(text, /* free_segment= */ FALSE);
}

static char *get(const Record *record, const void *structure, const char *path) {
        g_auto(GStrv) parts = g_strsplit(path, ".", 3);
        const Field *field = record_field(record, parts[0]);
        const RecordList *list;
        const void *value;
        size_t index;

        if (!field)
                g_error("there is no field %s", parts[0]);
        value = field_at_const(field, structure);
        switch (field->type) {
        case FIELD_BOOLEAN:
                return g_strdup(*(const bool *)value ? "yes" : "no");
        case FIELD_UNSIGNED:
                return g_strdup_printf("%" G_GUINT64_FORMAT, *(const uint64_t *)value);
        case FIELD_UINT32:
                return g_strdup_printf("%" PRIu32, *(const uint32_t *)value);
        case FIELD_STRING:
                return g_strdup(*(char *const *)value ?: "-");
        case FIELD_STRINGS:
        case FIELD_PAIRS:
                return join(value);
        case FIELD_RECORDS:
                list = value;
                if (!parts[1])
                        return g_strdup_printf("%zu", list->count);
                index = g_ascii_strtoull(parts[1], NULL, 10);
                g_assert_cmpuint(index, <, list->count);
                return get(field->record, (const char *)list->items + index * field->record->size, parts[2]);
        case FIELD_MEMORY:
        case FIELD_MEMORIES:
                break;
        }
        g_assert_not_reached();
}

char *outcome_get(const Outcome *outcome, const char *path) {
        return get(outcome->operation->result, outcome->result, path);
}

void outcome_assert(const Outcome *outcome, const char *path, const char *expected) {
        g_autofree char *value = outcome_get(outcome, path);

        g_assert_cmpstr(value, ==, expected);
}

void outcome_assert_same_steps(const Outcome *rehearsed, const Outcome *real) {
        static const char *const fields[] = {
                "images-written",   "images-kept",     "images-removed",  "contents-written",
                "contents-removed", "contents-kept",   "loaders-written", "left-alone",
                "left-out",         "entries-removed", "default-entry",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
                g_autofree char *path = g_strdup_printf("partitions.0.%s", fields[i]);
                g_autofree char *value = outcome_get(real, path);

                outcome_assert(rehearsed, path, value);
        }
}

static int compare_lines(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sorted(const char *text) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        qsort(lines, g_strv_length(lines), sizeof(*lines), compare_lines);
        return g_strjoinv("\n", lines);
}

void outcome_assert_lines(const Outcome *outcome, const char *path, const char *expected) {
        g_autofree char *value = outcome_get(outcome, path), *found = sorted(value), *wanted = sorted(expected);

        g_assert_cmpstr(found, ==, wanted);
}

static void assert_has(const char *text, const char *part) {
        if (!text || !strstr(text, part))
                g_error("\"%s\" does not contain \"%s\"", text, part);
}

void outcome_assert_has(const Outcome *outcome, const char *path, const char *text) {
        g_autofree char *value = outcome_get(outcome, path);

        assert_has(value, text);
}

void outcome_assert_message(const Outcome *outcome, const char *text) {
        assert_has(outcome->failure.message, text);
}

void outcome_assert_hint(const Outcome *outcome, const char *text) {
        assert_has(failure_hint(&outcome->failure), text);
}

static void print(const Record *record, const void *structure, GString *text) {
        for (size_t i = 0; i < record->field_count; i++) {
                const Field *field = &record->fields[i];
                const RecordList *list = field_at_const(field, structure);
                g_autofree char *value = get(record, structure, field->name);

                g_string_append_printf(text, "%s=%s\n", field->name, value);
                for (size_t n = 0; field->type == FIELD_RECORDS && n < list->count; n++)
                        print(field->record, (const char *)list->items + n * field->record->size, text);
        }
}

char *outcome_text(const Outcome *outcome) {
        GString *text = g_string_new(NULL);

        print(outcome->operation->result, outcome->result, text);
        return g_string_free(text, /* free_segment= */ FALSE);
}
