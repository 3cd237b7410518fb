/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/oneshot.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/ops/context.h"
#include "daemon/ops/operation.h"
#include "daemon/record-json.h"

enum { EXIT_USAGE = 2, OPTIONS_MAX = 32 };

/* Options that every verb has, by their place in the table; a verb's own parameters follow behind them. */
enum { OPTION_ROOT, OPTION_CONFIG, OPTION_KEYS, OPTION_HELP, OPTION_PARAMETERS };

typedef struct Invocation {
        const Operation *operation;
        void *parameters; /* owned, of the operation's record */
        const char *root;
        const char *configuration;
        const char *keys;
        bool help;
} Invocation;

static void invocation_done(Invocation *invocation) {
        if (invocation->parameters)
                record_done(invocation->operation->parameters, invocation->parameters);
        free(invocation->parameters);
}

static int usage_error(const char *what, const char *about) {
        fprintf(stderr, "lanzad: %s: %s\nTry 'lanzad --oneshot --help'.\n", about, what);
        return EXIT_USAGE;
}

static void print_verbs(void) {
        printf("lanzad --oneshot VERB [OPTIONS]: one operation in the foreground, without a bus\n\nVerbs:\n");
        for (size_t i = 0; operation_at(i); i++)
                printf("  %-22s %s\n", operation_at(i)->verb, operation_at(i)->help);
        printf("\nOptions of every verb:\n"
               "  --root=DIR             work on the tree below DIR; firmware variables stay untouched\n"
               "  --config=FILE          another configuration; an absolute path is below --root\n"
               "  --keys=DIR             another key store than the configured one; not below --root\n"
               "  --help                 this text; behind a verb, that verb's options\n\n"
               "Exit status: 0 done; 1 failed; 2 usage; 3 refused, with a reason that can be mended; 5 done in part;\n"
               "6 the machine would not boot as it stands.\n");
}

static void print_parameters(const Operation *operation) {
        printf("lanzad --oneshot %s [OPTIONS]%s%s: %s\n\n", operation->verb, operation->positional ? " " : "",
               operation->positional ? "[TOPLEVEL]" : "", operation->help);
        for (size_t i = 0; i < operation->parameters->field_count; i++) {
                const Field *field = &operation->parameters->fields[i];
                char option[64];

                if (operation->positional && strcmp(field->name, operation->positional) == 0)
                        continue;
                snprintf(option, sizeof(option), "--%s%s%s", field->name, field->argument ? "=" : "",
                         field->argument ? field->argument : "");
                printf("  %-22s %s\n", option, field->help);
        }
}

static int parse_unsigned(const char *text, uint64_t *ret) {
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (errno != 0 || *end)
                return -EINVAL;
        *ret = value;
        return 0;
}

static int set_parameter(const Field *field, void *parameters, const char *text) {
        void *value = field_at(field, parameters);

        switch (field->type) {
        case FIELD_BOOLEAN:
                *(bool *)value = true;
                return 0;
        case FIELD_UNSIGNED:
                return parse_unsigned(text, value);
        case FIELD_STRING:
                free(*(char **)value);
                *(char **)value = strdup(text);
                return *(char **)value ? 0 : -ENOMEM;
        case FIELD_STRINGS:
                return string_list_add(value, text);
        default:
                return -EINVAL;
        }
}

/* The table for getopt_long(3), made from the operation's parameters. */
static int fill_options(const Record *parameters, struct option options[static OPTIONS_MAX + 1]) {
        static const struct option common[OPTION_PARAMETERS] = {
                [OPTION_ROOT] = {"root", required_argument, NULL, 0},
                [OPTION_CONFIG] = {"config", required_argument, NULL, 0},
                [OPTION_KEYS] = {"keys", required_argument, NULL, 0},
                [OPTION_HELP] = {"help", no_argument, NULL, 0},
        };

        if (OPTION_PARAMETERS + parameters->field_count > OPTIONS_MAX)
                return -E2BIG;
        memset(options, 0, (OPTIONS_MAX + 1) * sizeof(*options));
        memcpy(options, common, sizeof(common));
        for (size_t i = 0; i < parameters->field_count; i++)
                options[OPTION_PARAMETERS + i] = (struct option){
                        .name = parameters->fields[i].name,
                        .has_arg = parameters->fields[i].type == FIELD_BOOLEAN ? no_argument : required_argument,
                };
        return 0;
}

static int take_option(Invocation *invocation, int index, const char *value) {
        switch (index) {
        case OPTION_ROOT:
                invocation->root = value;
                return 0;
        case OPTION_CONFIG:
                invocation->configuration = value;
                return 0;
        case OPTION_KEYS:
                invocation->keys = value;
                return 0;
        case OPTION_HELP:
                invocation->help = true;
                return 0;
        default:
                return set_parameter(&invocation->operation->parameters->fields[index - OPTION_PARAMETERS],
                                     invocation->parameters, value);
        }
}

/* Returns 0, or an exit status after a message. */
static int parse_arguments(Invocation *invocation, int count, char *arguments[]) {
        const Record *parameters = invocation->operation->parameters;
        struct option options[OPTIONS_MAX + 1];
        int index, c;

        if (fill_options(parameters, options) < 0)
                return usage_error("too many options", invocation->operation->verb);
        invocation->parameters = calloc(1, parameters->size);
        if (!invocation->parameters)
                return EXIT_FAILURE;

        opterr = 0;
        optind = 1;
        while ((c = getopt_long(count, arguments, "", options, &index)) >= 0) {
                if (c != 0)
                        return usage_error("unknown option, or its value is missing", arguments[optind - 1]);
                if (take_option(invocation, index, optarg) < 0)
                        return usage_error("not a value of this option", optarg);
        }
        for (; optind < count; optind++) {
                const Field *field = invocation->operation->positional
                                             ? record_field(parameters, invocation->operation->positional)
                                             : NULL;

                if (!field || *(char **)field_at(field, invocation->parameters))
                        return usage_error("one argument too many", arguments[optind]);
                if (set_parameter(field, invocation->parameters, arguments[optind]) < 0)
                        return EXIT_FAILURE;
        }
        return 0;
}

static int print_json(json_t *json) {
        bool good =
                json && json_dumpf(json, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;

        json_decref(json);
        return good ? 0 : EXIT_FAILURE;
}

static int print_failure(const Failure *failure) {
        const char *hint = failure_hint(failure);

        fprintf(stderr, "lanzad: %s\n", failure->message);
        if (hint)
                fprintf(stderr, "%s\n", hint);
        print_json(failure_to_json(failure));
        return condition_exit_status(failure->condition);
}

static int run(const Invocation *invocation, void *result, Failure *failure) {
        _cleanup_(context_freep) Context *context = NULL;
        _cleanup_(config_done) Settings settings = {};
        _cleanup_(string_list_done) StringList warnings = {};
        int r;

        r = config_load(invocation->root, invocation->configuration, &settings, &warnings, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; i < warnings.count; i++)
                fprintf(stderr, "lanzad: %s\n", warnings.items[i]);
        r = context_new(&settings, invocation->root, invocation->keys, &context, failure);
        if (r < 0)
                return r;
        return operation_run(invocation->operation, context, invocation->parameters, result, failure);
}

static int run_and_print(const Invocation *invocation) {
        _cleanup_(failure_done) Failure failure = {};
        void *result = calloc(1, invocation->operation->result->size);
        int r, printed;

        if (!result)
                return EXIT_FAILURE;
        r = run(invocation, result, &failure);
        if (r < 0) {
                r = print_failure(&failure);
        } else {
                printed = print_json(record_to_json(invocation->operation->result, result));
                r = printed != 0 ? printed : r;
        }
        record_done(invocation->operation->result, result);
        free(result);
        return r;
}

int oneshot_main(int count, char *arguments[]) {
        _cleanup_(invocation_done) Invocation invocation = {};
        int r;

        if (count < 1)
                return usage_error("a verb is missing", "--oneshot");
        if (strcmp(arguments[0], "--help") == 0) {
                print_verbs();
                return EXIT_SUCCESS;
        }
        invocation.operation = operation_find(arguments[0]);
        if (!invocation.operation)
                return usage_error("no such verb", arguments[0]);
        r = parse_arguments(&invocation, count, arguments);
        if (r != 0)
                return r;
        if (invocation.help) {
                print_parameters(invocation.operation);
                return EXIT_SUCCESS;
        }
        return run_and_print(&invocation);
}
