/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/record-json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/file.h"
#include "daemon/util/utf8.h"
#include "dbus/lanza1-names.h"

/* jansson refuses text that is no UTF-8. */
static json_t *text_to_json(const char *text) {
        _cleanup_(free_pointer) char *repaired = utf8_repair(text);

        return repaired ? json_string(repaired) : NULL;
}

static json_t *strings_to_json(const StringList *list) {
        json_t *array = json_array();

        for (size_t i = 0; i < list->count; i++)
                json_array_append_new(array, text_to_json(list->items[i]));
        return array;
}

static json_t *pairs_to_json(const StringList *list) {
        json_t *object = json_object();

        for (size_t i = 0; i + 1 < list->count; i += 2)
                json_object_set_new(object, list->items[i], text_to_json(list->items[i + 1]));
        return object;
}

static json_t *records_to_json(const Record *record, const RecordList *list) {
        json_t *array = json_array();

        for (size_t i = 0; i < list->count; i++)
                json_array_append_new(array, record_to_json(record, (const char *)list->items + i * record->size));
        return array;
}

static json_t *field_to_json(const Field *field, const void *value) {
        switch (field->type) {
        case FIELD_BOOLEAN:
                return json_boolean(*(const bool *)value);
        case FIELD_UNSIGNED:
                return json_integer(*(const uint64_t *)value);
        case FIELD_UINT32:
                return json_integer(*(const uint32_t *)value);
        case FIELD_STRING:
                return text_to_json(*(char *const *)value);
        case FIELD_STRINGS:
                return strings_to_json(value);
        case FIELD_PAIRS:
                return pairs_to_json(value);
        case FIELD_RECORDS:
                return records_to_json(field->record, value);
        case FIELD_MEMORY:
        case FIELD_MEMORIES:
                break;
        }
        return NULL;
}

json_t *record_to_json(const Record *record, const void *structure) {
        json_t *object = json_object();

        for (size_t i = 0; object && i < record->field_count; i++) {
                const Field *field = &record->fields[i];

                if (field_is_absent(field, structure))
                        continue;
                if (json_object_set_new(object, field->name, field_to_json(field, field_at_const(field, structure))) <
                    0) {
                        json_decref(object);
                        return NULL;
                }
        }
        return object;
}

json_t *failure_to_json(const Failure *failure) {
        json_t *error = json_object(), *object = json_object();
        const char *hint = failure_hint(failure);
        char name[128];

        snprintf(name, sizeof(name), LANZA1_ERROR_PREFIX "%s", condition_name(failure->condition));
        json_object_set_new(error, "name", json_string(name));
        json_object_set_new(error, "message", text_to_json(failure->message ? failure->message : ""));
        if (hint)
                json_object_set_new(error, "hint", text_to_json(hint));
        json_object_set_new(object, "error", error);
        return object;
}
