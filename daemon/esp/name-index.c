/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/name-index.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"

void name_index_done(NameIndex *index) {
        for (size_t i = 0; i < index->count; i++)
                free(index->entries[i].name);
        free(index->entries);
        *index = (NameIndex){};
}

int name_index_add(NameIndex *index, const char *name, size_t value) {
        char *copy;

        if (index->count == index->allocated) {
                size_t allocated = index->allocated ? 2 * index->allocated : 16;
                NameIndexEntry *entries = reallocarray(index->entries, allocated, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                index->entries = entries;
                index->allocated = allocated;
        }
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        index->entries[index->count++] = (NameIndexEntry){copy, value};
        return 0;
}

static int compare(const void *a, const void *b) {
        const NameIndexEntry *x = a, *y = b;
        int r = fat_name_compare(x->name, y->name);

        return r != 0 ? r : (x->value > y->value) - (x->value < y->value);
}

void name_index_sort(NameIndex *index) {
        if (index->count > 1)
                qsort(index->entries, index->count, sizeof(index->entries[0]), compare);
}

/* The first entry that does not sort before NAME; with PAST, the first that sorts behind it. */
static size_t bound(const NameIndex *index, const char *name, bool past) {
        size_t low = 0, high = index->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = fat_name_compare(index->entries[middle].name, name);

                if (order < 0 || (past && order == 0))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void name_index_find(const NameIndex *index, const char *name, size_t *ret_from, size_t *ret_to) {
        *ret_from = bound(index, name, /* past= */ false);
        *ret_to = bound(index, name, /* past= */ true);
}
