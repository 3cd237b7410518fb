/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/dictionary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/bus-private.h"
#include "daemon/util/file.h"
#include "daemon/util/utf8.h"
#include "dbus/lanza1-names.h"

enum { NAME_SHOWN_MAX = 256 };

static const char *const signatures[] = {
        [FIELD_BOOLEAN] = "b",      [FIELD_UNSIGNED] = "t", [FIELD_UINT32] = "u",
        [FIELD_STRING] = "s",       [FIELD_STRINGS] = "as", [FIELD_PAIRS] = "a{ss}",
        [FIELD_RECORDS] = "aa{sv}", [FIELD_MEMORY] = "h",   [FIELD_MEMORIES] = "a(sh)",
};

static int read_string(sd_bus_message *message, char **ret) {
        const char *text;
        int r;

        r = sd_bus_message_read(message, "s", &text);
        if (r < 0)
                return r;
        if (strlen(text) > DICTIONARY_STRING_MAX)
                return -E2BIG;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int read_strings(sd_bus_message *message, StringList *list) {
        const char *text;
        int r;

        r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "s");
        while (r >= 0 && (r = sd_bus_message_read(message, "s", &text)) > 0)
                r = strlen(text) > DICTIONARY_STRING_MAX || list->count >= DICTIONARY_STRING_MAX
                            ? -E2BIG
                            : string_list_add(list, text);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_boolean(sd_bus_message *message, bool *ret) {
        int value, r;

        r = sd_bus_message_read(message, "b", &value);
        if (r >= 0)
                *ret = value;
        return r;
}

static int set_memory_error(const Field *field, const char *name, int r, sd_bus_error *error) {
        char size[64] = "";

        if (!sealed_memory_problem(r))
                return r;
        if (r == -EFBIG)
                snprintf(size, sizeof(size), ": at most %" PRIu64 " bytes are taken", field->maximum);
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "What the option '%s' hands over%s%.*s %s%s\nHand over a memfd with all of its seals, "
                                 "memfd_create(2) and F_ADD_SEALS of fcntl(2).",
                                 field->name, name ? " for " : "", NAME_SHOWN_MAX, name ? name : "",
                                 sealed_memory_problem(r), size);
}

static int set_limit_error(const Field *field, sd_bus_error *error) {
        _cleanup_(failure_done) Failure failure = {};

        failure_set(&failure, CONDITION_LIMITS_EXCEEDED, "The option '%s' has more than %d items", field->name,
                    DICTIONARY_MEMORIES_MAX);
        return bus_error_set_failure(error, &failure);
}

/* NAME is of an item of a list, or NULL. */
static int read_memory(sd_bus_message *message, const Field *field, const char *name, SealedMemory **ret,
                       sd_bus_error *error) {
        int fd, r;

        r = sd_bus_message_read(message, "h", &fd);
        if (r < 0)
                return r;
        r = sealed_memory_take(fd, field->maximum, ret);
        return r < 0 ? set_memory_error(field, name, r, error) : 0;
}

int dictionary_read_memory(sd_bus_message *message, const Field *field, void *structure, sd_bus_error *error) {
        return read_memory(message, field, /* name= */ NULL, field_at(field, structure), error);
}

static int read_named_memory(sd_bus_message *message, const Field *field, MemoryList *list, sd_bus_error *error) {
        SealedMemory *memory = NULL;
        const char *name;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        if (strlen(name) > DICTIONARY_STRING_MAX)
                return -E2BIG;
        if (list->count >= DICTIONARY_MEMORIES_MAX)
                return set_limit_error(field, error);
        r = read_memory(message, field, name, &memory, error);
        if (r >= 0)
                r = memory_list_add(list, name, memory);
        if (r == -EEXIST)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The option '%s' names %.*s twice",
                                         field->name, NAME_SHOWN_MAX, name);
        return r;
}

static int read_memories(sd_bus_message *message, const Field *field, MemoryList *list, sd_bus_error *error) {
        int r;

        r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "(sh)");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, SD_BUS_TYPE_STRUCT, "sh")) > 0) {
                r = read_named_memory(message, field, list, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_value(sd_bus_message *message, const Field *field, void *value, sd_bus_error *error) {
        switch (field->type) {
        case FIELD_BOOLEAN:
                return read_boolean(message, value);
        case FIELD_UNSIGNED:
                return sd_bus_message_read(message, "t", value);
        case FIELD_STRING:
                return read_string(message, value);
        case FIELD_STRINGS:
                return read_strings(message, value);
        case FIELD_MEMORY:
                return read_memory(message, field, /* name= */ NULL, value, error);
        case FIELD_MEMORIES:
                return read_memories(message, field, value, error);
        case FIELD_UINT32:
        case FIELD_PAIRS:
        case FIELD_RECORDS:
                break;
        }
        return -EOPNOTSUPP;
}

static const Field *find_option(const Record *record, const char *const *withheld, const char *name) {
        for (size_t i = 0; withheld && withheld[i]; i++)
                if (strcmp(withheld[i], name) == 0)
                        return NULL;
        return record_field(record, name);
}

static int read_variant(sd_bus_message *message, const Field *field, void *structure, sd_bus_error *error) {
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(message, &type, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, signatures[field->type]) != 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The option '%s' is of type '%s', not '%s'",
                                         field->name, signatures[field->type], contents);
        r = sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents);
        if (r >= 0)
                r = read_value(message, field, field_at(field, structure), error);
        if (r == -E2BIG)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The option '%s' has more than %d bytes",
                                         field->name, DICTIONARY_STRING_MAX);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_entry(sd_bus_message *message, const Record *record, const char *const *withheld, uid_t uid,
                      uint64_t *seen, void *structure, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        const Field *field = find_option(record, withheld, name);
        if (!field)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "There is no option '%s' here",
                                         strlen(name) <= 64 ? name : "…");
        uint64_t bit = UINT64_C(1) << (field - record->fields);
        if (*seen & bit)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "The option '%s' is given twice", name);
        *seen |= bit;
        if (field->root_only && uid != 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Only root may give the option '%s'\n%s",
                                         name, "Leave it out, or run this as root.");
        return read_variant(message, field, structure, error);
}

int dictionary_read(sd_bus_message *message, const Record *record, const char *const *withheld, uid_t uid,
                    void *structure, sd_bus_error *error) {
        uint64_t seen = 0;
        int r;

        r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = read_entry(message, record, withheld, uid, &seen, structure, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* D-Bus takes nothing but UTF-8. */
static int append_text(sd_bus_message *message, const char *text) {
        _cleanup_(free_pointer) char *repaired = utf8_repair(text);

        return repaired ? sd_bus_message_append_basic(message, SD_BUS_TYPE_STRING, repaired) : -ENOMEM;
}

static int append_strings(sd_bus_message *message, const StringList *list) {
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "s");
        for (size_t i = 0; r >= 0 && i < list->count; i++)
                r = append_text(message, list->items[i]);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_pair(sd_bus_message *message, const char *name, const char *value) {
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_DICT_ENTRY, "ss");
        if (r >= 0)
                r = append_text(message, name);
        if (r >= 0)
                r = append_text(message, value);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_pairs(sd_bus_message *message, const StringList *list) {
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "{ss}");
        for (size_t i = 0; r >= 0 && i + 1 < list->count; i += 2)
                r = append_pair(message, list->items[i], list->items[i + 1]);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int dictionary_append_list(sd_bus_message *message, const Record *record, const RecordList *list) {
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "a{sv}");
        for (size_t i = 0; r >= 0 && i < list->count; i++)
                r = dictionary_append(message, record, (const char *)list->items + i * record->size,
                                      /* exit_status= */ 0);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int dictionary_append_value(sd_bus_message *message, const Field *field, const void *value) {
        switch (field->type) {
        case FIELD_BOOLEAN:
                return sd_bus_message_append(message, "b", (int)*(const bool *)value);
        case FIELD_UNSIGNED:
                return sd_bus_message_append(message, "t", *(const uint64_t *)value);
        case FIELD_UINT32:
                return sd_bus_message_append(message, "u", *(const uint32_t *)value);
        case FIELD_STRING:
                return append_text(message, *(char *const *)value);
        case FIELD_STRINGS:
                return append_strings(message, value);
        case FIELD_PAIRS:
                return append_pairs(message, value);
        case FIELD_RECORDS:
                return dictionary_append_list(message, field->record, value);
        case FIELD_MEMORY:
        case FIELD_MEMORIES:
                break;
        }
        return -EOPNOTSUPP;
}

static int append_field(sd_bus_message *message, const Field *field, const void *structure) {
        int r;

        if (field_is_absent(field, structure))
                return 0;
        r = sd_bus_message_open_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", field->name);
        if (r >= 0)
                r = sd_bus_message_open_container(message, SD_BUS_TYPE_VARIANT, signatures[field->type]);
        if (r >= 0)
                r = dictionary_append_value(message, field, field_at_const(field, structure));
        if (r >= 0)
                r = sd_bus_message_close_container(message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int dictionary_append(sd_bus_message *message, const Record *record, const void *structure, int exit_status) {
        int r;

        r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
        for (size_t i = 0; r >= 0 && i < record->field_count; i++)
                r = append_field(message, &record->fields[i], structure);
        if (r >= 0 && exit_status > 0)
                r = sd_bus_message_append(message, "{sv}", LANZA1_EXIT_STATUS, "t", (uint64_t)exit_status);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_strings(const StringList *a, const StringList *b) {
        for (size_t i = 0; a->count == b->count && i < a->count; i++)
                if (!same_text(a->items[i], b->items[i]))
                        return false;
        return a->count == b->count;
}

static bool same_memories(const MemoryList *a, const MemoryList *b) {
        for (size_t i = 0; a->count == b->count && i < a->count; i++)
                if (!same_text(a->items[i].name, b->items[i].name) ||
                    !sealed_memory_same(a->items[i].memory, b->items[i].memory))
                        return false;
        return a->count == b->count;
}

static bool same_records(const Record *record, const RecordList *a, const RecordList *b) {
        for (size_t i = 0; a->count == b->count && i < a->count; i++)
                if (!dictionary_equal(record, (const char *)a->items + i * record->size,
                                      (const char *)b->items + i * record->size))
                        return false;
        return a->count == b->count;
}

bool dictionary_same_value(const Field *field, const void *a, const void *b) {
        switch (field->type) {
        case FIELD_BOOLEAN:
                return *(const bool *)a == *(const bool *)b;
        case FIELD_UNSIGNED:
                return *(const uint64_t *)a == *(const uint64_t *)b;
        case FIELD_UINT32:
                return *(const uint32_t *)a == *(const uint32_t *)b;
        case FIELD_STRING:
                return same_text(*(char *const *)a, *(char *const *)b);
        case FIELD_STRINGS:
        case FIELD_PAIRS:
                return same_strings(a, b);
        case FIELD_MEMORY:
                return sealed_memory_same(*(SealedMemory *const *)a, *(SealedMemory *const *)b);
        case FIELD_MEMORIES:
                return same_memories(a, b);
        case FIELD_RECORDS:
                return same_records(field->record, a, b);
        }
        return false;
}

bool dictionary_equal(const Record *record, const void *a, const void *b) {
        for (size_t i = 0; i < record->field_count; i++) {
                const Field *field = &record->fields[i];

                if (!dictionary_same_value(field, field_at_const(field, a), field_at_const(field, b)))
                        return false;
        }
        return true;
}
