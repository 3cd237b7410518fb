/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names with a number each, found as FAT finds them: without regard to case. A volume may hold tens of thousands. */

#include <stddef.h>

typedef struct NameIndexEntry {
        char *name;
        size_t value;
} NameIndexEntry;

typedef struct NameIndex {
        NameIndexEntry *entries; /* sorted by fat_name_compare(), then by value, after name_index_sort() */
        size_t count, allocated;
} NameIndex;

void name_index_done(NameIndex *index);
int name_index_add(NameIndex *index, const char *name, size_t value); /* copies NAME; a name may come twice */
void name_index_sort(NameIndex *index);

/* The entries [*RET_FROM, *RET_TO) have NAME; an empty range if none has. */
void name_index_find(const NameIndex *index, const char *name, size_t *ret_from, size_t *ret_to);
