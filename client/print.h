/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a person reads. Whatever names come from an ESP or a firmware variable are shown without their control
 * characters: they could steer a terminal. */

#include "client/verb.h"

/* "lanzactl: MESSAGE" on standard error. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* "lanzactl: ABOUT: WHAT", ABOUT being what somebody typed, or a shell made of a pattern. */
void complain_about(const char *about, const char *what);

/* A failure as {"error": {"name": …, "message": …, "hint": …}}: JSON on standard output where it was asked for; and, if
 * SAY, message and hint on standard error. */
void print_error(const Session *session, json_t *result, bool say);

/* Prints RESULT as JSON, if that was asked for, and returns whether it was. */
bool print_json(const Session *session, json_t *result);

/* TEXT without control characters. */
void print_text(const char *text);

/* Whether the terminal, if there is one, knows nothing but lines. */
bool terminal_is_dumb(void);

typedef enum Color {
        COLOR_PLAIN,
        COLOR_BOLD,
        COLOR_GOOD,
        COLOR_BAD,
        COLOR_WEAK,
} Color;

void print_colored(const Session *session, Color color, const char *text);

/* "  LABEL: " of a column of facts. */
void print_label(const char *label);

/* The strings in the array that RESULT has under NAME, a line each, behind PREFIX. */
void print_lines(json_t *result, const char *name, const char *prefix);

/* "warnings" of RESULT, on standard error. */
void print_warnings(json_t *result);

/* A size as a person reads it: "1.5 MiB". */
#define SIZE_TEXT_MAX 32
const char *size_text(json_int_t bytes, char text[SIZE_TEXT_MAX]);

/* "2036-01-31"; "" for 0. */
#define DATE_TEXT_MAX 32
const char *date_text(json_int_t seconds, char text[DATE_TEXT_MAX]);

/* What RESULT has under NAME: "", 0 and false if it has none. */
const char *text_of(json_t *result, const char *name);
json_int_t number_of(json_t *result, const char *name);
bool truth_of(json_t *result, const char *name);

/* A table, or nothing where there are no rows: an array of rows, each an array of strings. The widths are those of the
 * longest cells, in characters. Columns at the end in which nothing stands are left out. */
void print_table(const Session *session, const char *const headings[], size_t columns, json_t *rows);
