/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/string-list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void string_list_done(StringList *list) {
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i]);
        free(list->items);
        *list = (StringList){};
}

/* There is room for as many as the next power of two says. */
static int make_room(StringList *list) {
        char **items;

        if (list->count & (list->count - 1))
                return 0;
        items = reallocarray(list->items, list->count > 0 ? 2 * list->count : 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        return 0;
}

/* Takes STRING over in any case; NULL counts as out of memory. */
static int add_owned(StringList *list, char *string) {
        if (!string)
                return -ENOMEM;
        if (make_room(list) < 0) {
                free(string);
                return -ENOMEM;
        }
        list->items[list->count++] = string;
        return 0;
}

int string_list_add(StringList *list, const char *string) {
        return add_owned(list, strdup(string));
}

int string_list_add_format(StringList *list, const char *format, ...) {
        va_list arguments;
        char *text;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        return add_owned(list, r < 0 ? NULL : text);
}

bool string_list_contains(const StringList *list, const char *string) {
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i], string) == 0)
                        return true;
        return false;
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void string_list_sort(StringList *list) {
        if (list->count > 1)
                qsort(list->items, list->count, sizeof(list->items[0]), compare);
}
