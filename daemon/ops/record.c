/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/file.h"

void *record_new(const Record *record) {
        void *structure = calloc(1, record->size > 0 ? record->size : 1);

        for (size_t i = 0; structure && i < record->field_count; i++)
                if (record->fields[i].type == FIELD_UNSIGNED)
                        *(uint64_t *)field_at(&record->fields[i], structure) = record->fields[i].initial;
        return structure;
}

void *record_list_add(RecordList *list, const Record *record) {
        void *items = reallocarray(list->items, list->count + 1, record->size);

        if (!items)
                return NULL;
        list->items = items;
        return memset((char *)items + list->count++ * record->size, 0, record->size);
}

void record_list_done(RecordList *list, const Record *record) {
        for (size_t i = 0; i < list->count; i++)
                record_done(record, (char *)list->items + i * record->size);
        free(list->items);
        *list = (RecordList){};
}

int memory_list_add(MemoryList *list, const char *name, SealedMemory *memory) {
        _cleanup_(sealed_memory_freep) SealedMemory *taken = memory;
        _cleanup_(free_pointer) char *copy = NULL;
        NamedMemory *items;

        if (memory_list_find(list, name))
                return -EEXIST;
        copy = strdup(name);
        items = reallocarray(list->items, list->count + 1, sizeof(*items));
        if (items)
                list->items = items;
        if (!copy || !items)
                return -ENOMEM;
        items[list->count++] = (NamedMemory){TAKE_POINTER(copy), TAKE_POINTER(taken)};
        return 0;
}

const SealedMemory *memory_list_find(const MemoryList *list, const char *name) {
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i].name, name) == 0)
                        return list->items[i].memory;
        return NULL;
}

void memory_list_done(MemoryList *list) {
        for (size_t i = 0; i < list->count; i++) {
                free(list->items[i].name);
                sealed_memory_free(list->items[i].memory);
        }
        free(list->items);
        *list = (MemoryList){};
}

static void field_done(const Field *field, void *value) {
        switch (field->type) {
        case FIELD_BOOLEAN:
        case FIELD_UNSIGNED:
        case FIELD_UINT32:
                break;
        case FIELD_STRING:
                free(*(char **)value);
                break;
        case FIELD_STRINGS:
        case FIELD_PAIRS:
                string_list_done(value);
                break;
        case FIELD_RECORDS:
                record_list_done(value, field->record);
                break;
        case FIELD_MEMORY:
                sealed_memory_free(*(SealedMemory **)value);
                break;
        case FIELD_MEMORIES:
                memory_list_done(value);
                break;
        }
}

void record_done(const Record *record, void *structure) {
        for (size_t i = 0; i < record->field_count; i++)
                field_done(&record->fields[i], field_at(&record->fields[i], structure));
        if (record->size > 0) /* a struct without fields may be none at all */
                memset(structure, 0, record->size);
}

bool field_is_absent(const Field *field, const void *structure) {
        const void *value = field_at_const(field, structure);

        switch (field->type) {
        case FIELD_BOOLEAN:
                return field->sparse && !*(const bool *)value;
        case FIELD_UNSIGNED:
                return field->sparse && *(const uint64_t *)value == 0;
        case FIELD_UINT32:
                return field->sparse && *(const uint32_t *)value == 0;
        case FIELD_STRING:
                return !*(char *const *)value;
        case FIELD_STRINGS:
        case FIELD_PAIRS:
                return field->sparse && ((const StringList *)value)->count == 0;
        case FIELD_RECORDS:
                return field->sparse && ((const RecordList *)value)->count == 0;
        case FIELD_MEMORY:
        case FIELD_MEMORIES:
                return true; /* never part of a result */
        }
        return false;
}

const Field *record_field(const Record *record, const char *name) {
        for (size_t i = 0; i < record->field_count; i++)
                if (strcmp(record->fields[i].name, name) == 0)
                        return &record->fields[i];
        return NULL;
}
