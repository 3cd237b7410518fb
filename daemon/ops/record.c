/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/record.h"

#include <stdlib.h>
#include <string.h>

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

static void field_done(const Field *field, void *value) {
        switch (field->type) {
        case FIELD_BOOLEAN:
        case FIELD_UNSIGNED:
                break;
        case FIELD_STRING:
                free(*(char **)value);
                break;
        case FIELD_STRINGS:
                string_list_done(value);
                break;
        case FIELD_RECORDS:
                record_list_done(value, field->record);
                break;
        }
}

void record_done(const Record *record, void *structure) {
        for (size_t i = 0; i < record->field_count; i++)
                field_done(&record->fields[i], field_at(&record->fields[i], structure));
        memset(structure, 0, record->size);
}

const Field *record_field(const Record *record, const char *name) {
        for (size_t i = 0; i < record->field_count; i++)
                if (strcmp(record->fields[i].name, name) == 0)
                        return &record->fields[i];
        return NULL;
}
