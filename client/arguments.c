/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/print.h"

static const Option common_options[] = {
        {.name = "json", .type = OPTION_STRING, .argument = "FORM", .help = "print JSON: pretty, short or off"},
        {.name = "quiet", .help = "print errors and warnings only"},
        {.name = "no-color", .help = "no colours (nor if NO_COLOR is set)"},
        {.name = "no-pager", .help = "no pager for what is longer than the screen"},
        {.name = "no-ask-password", .help = "never ask for a password"},
        {.name = "root",
         .type = OPTION_STRING,
         .argument = "DIR",
         .help = "work on the tree below DIR, without the service; firmware variables stay untouched"},
        {.name = "config",
         .type = OPTION_STRING,
         .argument = "FILE",
         .help = "another configuration than /etc/lanza/lanzad.conf, without the service unless root syncs"},
        {.name = "keys",
         .type = OPTION_STRING,
         .argument = "DIR",
         .help = "another key store than the configured one, without the service"},
        {.name = "variables",
         .type = OPTION_STRING,
         .argument = "FILE",
         .help = "a file that stands for the firmware's variables, without the service"},
        {.name = "version", .help = "print the version"},
        {.name = "help", .help = "this text; with a verb, that verb's options"},
        {},
};

void arguments_done(Arguments *arguments) {
        json_decref(arguments->options);
        json_decref(arguments->common);
        *arguments = (Arguments){};
}

static void print_options(Options options, const char *positional) {
        for (const Option *option = options; option && option->name; option++) {
                char text[64];

                if (positional && strcmp(positional, option->name) == 0)
                        continue;
                snprintf(text, sizeof(text), "--%s%s%s%s%s", option->name, option->implied ? "[" : "",
                         option->argument ? "=" : "", option->argument ? option->argument : "",
                         option->implied ? "]" : "");
                printf("  %-22s%s %s\n", text, strlen(text) > 22 ? "\n                        " : "", option->help);
        }
}

void print_help(void) {
        printf("lanzactl [OPTIONS] VERB [ARGUMENTS]: Secure Boot of this machine\n\nVerbs:\n");
        for (size_t i = 0; verb_at(i); i++)
                printf("  %-22s %s\n", verb_at(i)->name, verb_at(i)->help);
        printf("\nOptions of every verb:\n");
        print_options(common_options, /* positional= */ NULL);
        printf("\nExit status: 0 done; 1 failed; 2 usage; 3 refused, with a reason that can be mended; 4 not authorised;\n"
               "5 done in part; 6 the machine would not boot as it stands; 7 no service, and not root.\n");
}

void print_verb_help(const Verb *verb) {
        const Option *positional = verb->positional ? option_find(verb->options, verb->positional) : NULL;

        printf("lanzactl %s [OPTIONS]%s%s: %s\n\n", verb->name, positional ? " " : "",
               positional ? positional->argument : "", verb->help);
        print_options(verb->options, verb->positional);
        printf("\nOptions of every verb:\n");
        print_options(common_options, /* positional= */ NULL);
}

static int usage_error(const Arguments *arguments, const char *what, const char *about) {
        complain_about(about, what);
        if (arguments->verb)
                fprintf(stderr, "Try 'lanzactl %s --help'.\n", arguments->verb->name);
        else
                fputs("Try 'lanzactl --help'.\n", stderr);
        return STATUS_USAGE;
}

static json_t *parse_unsigned(const char *text) {
        char *end;

        if (*text < '0' || *text > '9')
                return NULL;
        errno = 0;
        long long value = strtoll(text, &end, 10);
        return errno != 0 || *end ? NULL : json_integer(value);
}

/* NULL if VALUE is none of the option's type. */
static json_t *option_value(const Option *option, const char *value) {
        switch (option->type) {
        case OPTION_BOOLEAN:
                return json_true();
        case OPTION_UNSIGNED:
                return parse_unsigned(value);
        case OPTION_STRING:
        case OPTION_STRINGS:
                /* What is no UTF-8 is no JSON either. */
                return json_string(value);
        }
        return NULL;
}

/* Takes the option WORDS[*INDEX], and the word behind it if that is its value: never where a value is implied. */
static int take_option(Arguments *arguments, int count, char *words[], int *index) {
        const char *word = words[*index], *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
        char name[64];

        snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        const Option *option = option_find(common_options, name);
        json_t *into = option ? arguments->common : arguments->options;
        if (!option && arguments->verb)
                option = option_find(arguments->verb->options, name);
        if (!option ||
            (arguments->verb && arguments->verb->positional && strcmp(arguments->verb->positional, name) == 0))
                return usage_error(arguments, arguments->verb ? "no such option" : "no such option in front of a verb",
                                   word);
        if (option->type == OPTION_BOOLEAN && value)
                return usage_error(arguments, "this option takes no value", word);
        if (!value)
                value = option->implied;
        if (option->type != OPTION_BOOLEAN && !value) {
                if (*index + 1 >= count)
                        return usage_error(arguments, "its value is missing", word);
                value = words[++*index];
        }
        json_t *json = option_value(option, value);
        if (!json)
                return usage_error(arguments,
                                   option->type == OPTION_UNSIGNED ? "this option takes a number" : "this is no UTF-8",
                                   word);
        json_object_set_new(into, name, json);
        return 0;
}

static int take_positional(Arguments *arguments, const char *word) {
        const char *name = arguments->verb->positional;
        json_t *value = json_string(word), *all;

        if (!value)
                return usage_error(arguments, "this is no UTF-8", word);
        all = name ? json_object_get(arguments->options, name) : NULL;
        if (!name || json_is_string(all)) {
                json_decref(value);
                return usage_error(arguments, "one argument too many", word);
        }
        if (option_find(arguments->verb->options, name)->type == OPTION_STRING)
                json_object_set_new(arguments->options, name, value);
        else if (all)
                json_array_append_new(all, value);
        else
                json_object_set_new(arguments->options, name, json_pack("[o]", value));
        return 0;
}

static int take_word(Arguments *arguments, const char *word) {
        if (!arguments->verb) {
                arguments->verb = verb_find(word);
                return arguments->verb ? 0 : usage_error(arguments, "no such verb", word);
        }
        return take_positional(arguments, word);
}

static int check_json(const Arguments *arguments) {
        const char *form = json_string_value(json_object_get(arguments->common, "json"));

        if (form && strcmp(form, "pretty") != 0 && strcmp(form, "short") != 0 && strcmp(form, "off") != 0)
                return usage_error(arguments, "pretty, short and off are known", "--json");
        return 0;
}

int arguments_parse(int count, char *words[], Arguments *ret) {
        bool options = true;
        int r = 0;

        *ret = (Arguments){.options = json_object(), .common = json_object()};
        if (!ret->options || !ret->common) {
                complain("out of memory");
                return STATUS_FAILED;
        }
        for (int i = 0; r == 0 && i < count; i++) {
                if (options && strcmp(words[i], "--") == 0)
                        options = false;
                else if (options && strncmp(words[i], "--", 2) == 0)
                        r = take_option(ret, count, words, &i);
                else if (options && words[i][0] == '-')
                        r = usage_error(ret, "no such option", words[i]);
                else
                        r = take_word(ret, words[i]);
        }
        return r != 0 ? r : check_json(ret);
}
