/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An owned list of owned strings; {} is an empty one. Warnings, paths and lists in results are of this type. */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/util/macro.h"

typedef struct StringList {
        char **items; /* COUNT strings; not NULL-terminated. Grows by the functions below alone */
        size_t count;
} StringList;

void string_list_done(StringList *list);

/* Appends a copy of STRING, or the formatted text. Both return -ENOMEM, and then nothing changed. */
int string_list_add(StringList *list, const char *string);
int string_list_add_format(StringList *list, const char *format, ...) _printf_(2, 3);

bool string_list_contains(const StringList *list, const char *string);

/* Sorts by bytes (strcmp). */
void string_list_sort(StringList *list);
