/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line: lanzactl [OPTIONS] VERB [ARGUMENTS]. */

#include "client/verb.h"

typedef struct Arguments {
        const Verb *verb; /* NULL: none was named */
        json_t *options;  /* those of the verb; owned */
        json_t *common;   /* those of every verb; owned */
} Arguments;

void arguments_done(Arguments *arguments);

/* Returns 0, or an exit status after a message. */
int arguments_parse(int count, char *words[], Arguments *ret);

void print_help(void);
void print_verb_help(const Verb *verb);
