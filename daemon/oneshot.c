/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/oneshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/execution.h"
#include "daemon/ops/operation.h"
#include "daemon/record-json.h"
#include "daemon/util/file.h"
#include "daemon/util/utf8.h"

enum { EXIT_USAGE = 2 };

typedef struct Invocation {
        const Operation *operation;
        void *parameters; /* owned, of the operation's record */
        const char *root;
        const char *configuration;
        const char *keys;
        const char *variables;
        bool help;
} Invocation;

static void invocation_done(Invocation *invocation) {
        if (invocation->parameters)
                record_done(invocation->operation->parameters, invocation->parameters);
        free(invocation->parameters);
}

static int usage_error(const char *what, const char *about) {
        fputs("lanzad: ", stderr);
        utf8_print(stderr, about);
        fprintf(stderr, ": %s\nTry 'lanzad --oneshot --help'.\n", what);
        return EXIT_USAGE;
}

static bool is_positional(const Operation *operation, const Field *field) {
        return operation->positional && strcmp(field->name, operation->positional) == 0;
}

static void print_common(void) {
        printf("\nOptions of every verb:\n"
               "  --root=DIR             work on the tree below DIR; firmware variables stay untouched\n"
               "  --config=FILE          another configuration than /etc/lanza/lanzad.conf\n"
               "  --keys=DIR             another key store than the configured one; not below --root\n"
               "  --variables=FILE       a file that stands for the firmware's variables; not below --root\n"
               "  --help                 this text; behind a verb, that verb's options\n");
}

static void print_verbs(void) {
        printf("lanzad --oneshot VERB [OPTIONS]: one operation in the foreground, without a bus\n\nVerbs:\n");
        for (size_t i = 0; operation_at(i); i++)
                printf("  %-22s %s\n", operation_at(i)->verb, operation_at(i)->help);
        print_common();
        printf("\n"
               "Exit status: 0 done; 1 failed; 2 usage; 3 refused, with a reason that can be mended; 5 done in part;\n"
               "6 the machine would not boot as it stands.\n");
}

static const char *positional_help(const Operation *operation) {
        if (!operation->positional)
                return "";
        return record_field(operation->parameters, operation->positional)->type == FIELD_STRINGS ? " FILE..."
                                                                                                 : " [TOPLEVEL]";
}

static void print_parameters(const Operation *operation) {
        printf("lanzad --oneshot %s [OPTIONS]%s: %s\n\n", operation->verb, positional_help(operation), operation->help);
        for (size_t i = 0; i < operation->parameters->field_count; i++) {
                const Field *field = &operation->parameters->fields[i];
                char option[64];

                if (is_positional(operation, field) || field_is_memory(field))
                        continue;
                snprintf(option, sizeof(option), "--%s%s%s%s%s", field->name, field->implied ? "[" : "",
                         field->argument ? "=" : "", field->argument ? field->argument : "", field->implied ? "]" : "");
                printf("  %-22s%s %s\n", option, strlen(option) > 22 ? "\n                        " : "", field->help);
        }
        print_common();
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

static int out_of_memory(void) {
        fputs("lanzad: out of memory\n", stderr);
        return EXIT_FAILURE;
}

/* What an option sets: a text of the invocation, or a parameter of the operation. */
typedef struct Option {
        const char **text; /* NULL: */
        const Field *parameter;
} Option;

/* NAME is whole: an abbreviation of a flag that accepts a risk must not pass for it. */
static bool find_option(Invocation *invocation, const char *name, Option *ret) {
        const struct {
                const char *name;
                const char **text;
        } common[] = {
                {"root", &invocation->root},
                {"config", &invocation->configuration},
                {"keys", &invocation->keys},
                {"variables", &invocation->variables},
        };

        *ret = (Option){};
        for (size_t i = 0; i < ARRAY_LENGTH(common); i++)
                if (strcmp(common[i].name, name) == 0)
                        ret->text = common[i].text;
        if (!ret->text)
                ret->parameter = record_field(invocation->operation->parameters, name);
        return ret->text || (ret->parameter && !is_positional(invocation->operation, ret->parameter) &&
                             !field_is_memory(ret->parameter));
}

static bool takes_value(const Option *option) {
        return option->text || option->parameter->type != FIELD_BOOLEAN;
}

static int set_option(Invocation *invocation, const Option *option, const char *value) {
        if (!option->text)
                return set_parameter(option->parameter, invocation->parameters, value);
        *option->text = value;
        return 0;
}

/* Takes the option ARGUMENTS[*INDEX], and the argument behind it if that is its value: never where a value is implied.
 * Returns 0, or an exit status after a message. */
static int take_option(Invocation *invocation, int count, char *arguments[], int *index) {
        const char *argument = arguments[*index], *equals = strchr(argument, '='), *value = equals ? equals + 1 : NULL;
        _cleanup_(free_pointer) char *name = strndup(argument + 2, strcspn(argument + 2, "="));
        Option option;
        int r;

        if (!name)
                return out_of_memory();
        if (strcmp(argument, "--help") == 0) {
                invocation->help = true;
                return 0;
        }
        if (!find_option(invocation, name, &option))
                return usage_error("no such option", argument);
        if (!takes_value(&option) && value)
                return usage_error("this option takes no value", argument);
        if (!value && option.parameter)
                value = option.parameter->implied;
        if (takes_value(&option) && !value) {
                if (*index + 1 >= count)
                        return usage_error("its value is missing", argument);
                value = arguments[++*index];
        }
        r = set_option(invocation, &option, value);
        if (r == -ENOMEM)
                return out_of_memory();
        return r < 0 ? usage_error("this option takes a number", argument) : 0;
}

static int take_positional(Invocation *invocation, const char *argument) {
        const Operation *operation = invocation->operation;
        const Field *field = operation->positional ? record_field(operation->parameters, operation->positional) : NULL;

        if (!field || (field->type == FIELD_STRING && *(char **)field_at(field, invocation->parameters)))
                return usage_error("one argument too many", argument);
        return set_parameter(field, invocation->parameters, argument) < 0 ? out_of_memory() : 0;
}

/* The first of ARGUMENTS is the verb. Returns 0, or an exit status after a message. */
static int parse_arguments(Invocation *invocation, int count, char *arguments[]) {
        bool options = true;
        int r = 0;

        invocation->parameters = record_new(invocation->operation->parameters);
        if (!invocation->parameters)
                return out_of_memory();
        for (int i = 1; r == 0 && i < count; i++) {
                if (options && strcmp(arguments[i], "--") == 0)
                        options = false;
                else if (options && strncmp(arguments[i], "--", 2) == 0)
                        r = take_option(invocation, count, arguments, &i);
                else if (options && arguments[i][0] == '-')
                        r = usage_error("no such option", arguments[i]);
                else
                        r = take_positional(invocation, arguments[i]);
        }
        return r;
}

/* In ASCII: names in file systems have characters that terminals act on. */
static int print_json(json_t *json) {
        bool good = json && json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && putchar('\n') != EOF &&
                    fflush(stdout) == 0;

        json_decref(json);
        return good ? 0 : EXIT_FAILURE;
}

static void say(const char *before, const char *text) {
        fputs(before, stderr);
        utf8_print(stderr, text);
        fputc('\n', stderr);
}

static int print_failure(const Failure *failure) {
        const char *hint = failure_hint(failure);

        say("lanzad: ", failure->message ? failure->message : "out of memory");
        if (hint)
                say("", hint);
        print_json(failure_to_json(failure));
        return condition_exit_status(failure->condition);
}

static bool report_waiting(void *userdata, const char *name, bool locked) {
        bool *reported = userdata;

        if (!locked && !*reported)
                fprintf(stderr, "lanzad: Waiting for another operation, which has locked %s\n", name);
        *reported = !locked;
        return true;
}

static void print_warning(void *userdata, const char *warning) {
        say("lanzad: ", warning);
}

static int run(const Invocation *invocation, void *result, Failure *failure) {
        const Execution execution = {
                .root = invocation->root,
                .configuration = invocation->configuration,
                .keys = invocation->keys,
                .variables = invocation->variables,
                .runs_programs = true,
                .warn = print_warning,
        };
        bool reported = false;
        const OperationWatch watch = {.waiting = report_waiting, .userdata = &reported};

        return execution_run(&execution, invocation->operation, invocation->parameters, result, &watch, failure);
}

/* "Permission denied" says neither who is lacking it nor what to do. */
static void add_hint_for_others(int error, Failure *failure) {
        if ((error == -EACCES || error == -EPERM) && failure->condition == CONDITION_FAILED && geteuid() != 0)
                failure_set_hint(failure, "Run this as root: key store, ESP and firmware are root's.");
}

static int run_and_print(const Invocation *invocation) {
        _cleanup_(failure_done) Failure failure = {};
        void *result = calloc(1, invocation->operation->result->size);
        int r, printed;

        if (!result)
                return out_of_memory();
        r = run(invocation, result, &failure);
        if (r < 0) {
                add_hint_for_others(r, &failure);
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
