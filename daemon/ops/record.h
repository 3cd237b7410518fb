/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What goes into an operation and what comes out of it, described once.
 *
 * Parameters and results are plain structs. A Record is the table of a struct's fields: name, type and place. From that
 * one table the command line is parsed, JSON is printed, a D-Bus dictionary is read and written, and memory is freed; a
 * field that is added to a table appears everywhere. Names are the documented ones, in lower case with dashes, but
 * where another program's form is spoken. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/sealed-memory.h"
#include "daemon/util/string-list.h"

typedef enum FieldType {
        FIELD_BOOLEAN,  /* bool */
        FIELD_UNSIGNED, /* uint64_t */
        FIELD_UINT32,   /* uint32_t; results only */
        FIELD_STRING,   /* char *, owned; NULL: absent */
        FIELD_STRINGS,  /* StringList */
        FIELD_PAIRS,    /* StringList: name, value, name, value, …; results only */
        FIELD_RECORDS,  /* RecordList of the field's record */
        FIELD_MEMORY,   /* SealedMemory *, owned; NULL: absent. A caller of the bus hands it in, or gets it as the whole
                           answer: no form on the command line, and none in JSON */
        FIELD_MEMORIES, /* MemoryList; the same */
} FieldType;

typedef struct Record Record;

typedef struct Field {
        const char *name;
        FieldType type;
        size_t offset;
        const Record *record; /* of FIELD_RECORDS' items */
        const char *help;     /* parameters: one line for a person */
        const char *argument; /* parameters: what stands behind "=" in the help; NULL for a boolean */
        const char *implied;  /* parameters: the value of an option that is given without one; NULL: it needs one */
        bool sparse;          /* results: absent where it is 0 or empty, as a string always is where it is NULL */
        uint64_t maximum;     /* of memory: bytes in each */
        uint64_t initial;     /* parameters: the value of an unsigned one that is not given */
        bool root_only;       /* parameters: nobody but root may give it, whatever polkit allows */
} Field;

struct Record {
        const Field *fields;
        size_t field_count;
        size_t size; /* of the struct */
};

typedef struct RecordList {
        void *items; /* COUNT structs of the record's size, owned */
        size_t count;
} RecordList;

typedef struct NamedMemory {
        char *name;
        SealedMemory *memory;
} NamedMemory;

/* Its names differ from each other. */
typedef struct MemoryList {
        NamedMemory *items; /* owned */
        size_t count;
} MemoryList;

/* FIELD(SyncResult, bytes_written, FIELD_UNSIGNED, "bytes-written") */
#define FIELD(structure, member, kind, text)                                                                           \
        { .name = (text), .type = (kind), .offset = offsetof(structure, member) }
/* A field that is absent where it is 0 or empty. */
#define FIELD_SPARSE(structure, member, kind, text)                                                                    \
        { .name = (text), .type = (kind), .offset = offsetof(structure, member), .sparse = true }
#define FIELD_LIST(structure, member, item_record, text)                                                               \
        { .name = (text), .type = FIELD_RECORDS, .offset = offsetof(structure, member), .record = &(item_record) }
#define RECORD(structure, table)                                                                                       \
        { .fields = (table), .field_count = ARRAY_LENGTH(table), .size = sizeof(structure) }

/* Appends a zeroed struct of RECORD to LIST; valid until the next one is added. NULL if memory is short. */
void *record_list_add(RecordList *list, const Record *record);
void record_list_done(RecordList *list, const Record *record);

/* Appends MEMORY, which is taken over, also on failure, under a copy of NAME. -EEXIST if there is one of that name. */
int memory_list_add(MemoryList *list, const char *name, SealedMemory *memory);

/* The memory of that name, or NULL. Borrowed. */
const SealedMemory *memory_list_find(const MemoryList *list, const char *name);
void memory_list_done(MemoryList *list);

/* Whether such a value is memory: it can be handed in on the bus, and not be written down. */
static inline bool field_is_memory(const Field *field) {
        return field->type == FIELD_MEMORY || field->type == FIELD_MEMORIES;
}

/* A struct as it is if nothing was given. To be ended with record_done() and free(); NULL if memory is short. */
void *record_new(const Record *record);

/* Frees what the struct's fields own and zeroes it. */
void record_done(const Record *record, void *structure);

/* Whether a result leaves FIELD out, as STRUCTURE has it. */
bool field_is_absent(const Field *field, const void *structure);

/* The field of that name, or NULL. */
const Field *record_field(const Record *record, const char *name);

/* A field's place in STRUCTURE. */
static inline void *field_at(const Field *field, void *structure) {
        return (char *)structure + field->offset;
}

static inline const void *field_at_const(const Field *field, const void *structure) {
        return (const char *)structure + field->offset;
}
