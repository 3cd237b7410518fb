/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What lanzactl can be asked. A verb and its options stand in one table each: from it arguments are parsed and help is
 * printed. What was asked becomes one JSON object ({"dry-run": true, "microsoft": "all"}), and so does what comes of
 * it, whether the service or a program of its own did the work. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum OptionType {
        OPTION_BOOLEAN,
        OPTION_UNSIGNED,
        OPTION_STRING,
        OPTION_STRINGS, /* as many as are given, an array; only without a name */
} OptionType;

typedef struct Option {
        const char *name;
        OptionType type;
        const char *argument; /* what stands behind "=" in the help; NULL for a boolean */
        const char *implied;  /* the value of an option that is given without one; NULL: it needs one */
        const char *help;
} Option;

/* Ends with an option without name. */
typedef const Option *Options;

typedef enum Format {
        FORMAT_TEXT,
        FORMAT_PRETTY,
        FORMAT_SHORT,
} Format;

/* What holds for a whole run of the program. */
typedef struct Session {
        Format format;
        bool quiet;
        bool color;  /* on standard output */
        bool pages;  /* what is longer than the screen goes through a pager */
        bool ask;    /* a polkit agent may ask for a password */
        bool hook;   /* activation has called: a service that is taken away is no reason to leave it undone */
        json_t *own; /* options that only a program of its own can take: root, config, keys, variables; they keep away
                        the bus, but for the configuration of a sync by root, which is handed over */
} Session;

typedef struct Verb {
        const char *name;
        const char *help; /* one line */
        Options options;
        const char *positional; /* the option that an argument without a name fills; NULL: none */

        /* OPTIONS is what was given. Prints the result; returns the exit status. */
        int (*run)(Session *session, json_t *options);
} Verb;

/* Exit statuses of lanzactl.1. */
enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_REFUSED = 3,
        STATUS_NOT_AUTHORISED = 4,
        STATUS_IN_PART = 5,
        STATUS_WOULD_NOT_BOOT = 6,
        STATUS_NO_SERVICE = 7,
};

extern const Verb setup_verb, status_verb, security_verb, create_keys_verb, enroll_keys_verb, list_enrolled_keys_verb,
        sync_verb, list_verb, gc_verb, sign_verb, monitor_verb;

/* By position; NULL past the end. */
const Verb *verb_at(size_t index);
const Verb *verb_find(const char *name);

/* The option NAME of OPTIONS, or NULL. NAME is whole: an abbreviation of a flag that accepts a risk must not pass for
 * it. */
const Option *option_find(Options options, const char *name);

/* What every verb that writes can be asked. */
#define WRITE_OPTIONS                                                                                                  \
        {.name = "dry-run", .help = "say what would be done, and write nothing"}, {                                    \
                .name = "timeout", .type = OPTION_UNSIGNED, .argument = "SECONDS",                                     \
                .help = "wait so long for another operation (default 120; 0: do not)"                                  \
        }

/* What enroll-keys and setup share. */
#define ENROLL_OPTIONS                                                                                                 \
        {.name = "microsoft",                                                                                          \
         .type = OPTION_STRING,                                                                                        \
         .argument = "CLASS,...",                                                                                      \
         .implied = "all",                                                                                             \
         .help = "also Microsoft's certificates: windows, third-party, option-rom; without a class, all"},             \
                {.name = "yes-this-might-brick-my-machine",                                                            \
                 .help = "no device of this machine needs firmware that its vendor signed"},                           \
        {                                                                                                              \
                .name = "timestamp", .type = OPTION_UNSIGNED, .argument = "TIME",                                      \
                .help = "sign for at least this time (seconds since 1970)"                                             \
        }
