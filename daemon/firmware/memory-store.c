/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/memory-store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* AUTHENTICATED_VARIABLE_HEADER of edk2, and the alignment of what follows it. */
enum { VARIABLE_HEADER_SIZE = 60, ALIGNMENT = 4 };

static void memory_variable_done(MemoryVariable *variable) {
        free(variable->name);
        buffer_done(&variable->data);
        *variable = (MemoryVariable){};
}

void memory_store_done(MemoryStore *store) {
        for (size_t i = 0; i < store->count; i++)
                memory_variable_done(&store->variables[i]);
        free(store->variables);
        *store = (MemoryStore){};
}

MemoryVariable *memory_store_find(const MemoryStore *store, const Guid *vendor, const char *name) {
        for (size_t i = 0; i < store->count; i++) {
                MemoryVariable *variable = &store->variables[i];

                if (guid_equal(&variable->vendor, vendor) && strcmp(variable->name, name) == 0)
                        return variable;
        }
        return NULL;
}

static int add_variable(MemoryStore *store, MemoryVariable *variable) {
        MemoryVariable *variables = reallocarray(store->variables, store->count + 1, sizeof(*variables));
        if (!variables)
                return -ENOMEM;
        store->variables = variables;
        store->variables[store->count++] = TAKE_STRUCT(*variable);
        return 0;
}

int memory_store_set(MemoryStore *store, const Guid *vendor, const char *name, uint32_t attributes, Span data) {
        MemoryVariable *present = memory_store_find(store, vendor, name);
        _cleanup_(memory_variable_done) MemoryVariable created = {.vendor = *vendor, .attributes = attributes};
        int r;

        r = buffer_append(&created.data, data);
        if (r < 0)
                return r;
        if (present) {
                buffer_done(&present->data);
                present->data = TAKE_STRUCT(created.data);
                present->attributes = attributes;
                return 0;
        }
        created.name = strdup(name);
        if (!created.name)
                return -ENOMEM;
        return add_variable(store, &created);
}

void memory_store_remove(MemoryStore *store, MemoryVariable *variable) {
        size_t index = variable - store->variables;

        memory_variable_done(variable);
        memmove(variable, variable + 1, (store->count - index - 1) * sizeof(*variable));
        store->count--;
}

uint64_t memory_store_size_of(const char *name, size_t data_size) {
        uint64_t name_size = 2 * (strlen(name) + 1);

        return VARIABLE_HEADER_SIZE + (name_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT +
               (data_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

uint64_t memory_store_used(const MemoryStore *store) {
        uint64_t used = 0;

        for (size_t i = 0; i < store->count; i++)
                used += memory_store_size_of(store->variables[i].name, store->variables[i].data.size);
        return used;
}
