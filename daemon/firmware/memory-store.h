/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The variables of a firmware that is only in memory: what edk2-variables.c decides about and variables-memory.c keeps
 * in a file. */

#include "daemon/crypto/digest.h"
#include "daemon/firmware/efi-time.h"
#include "daemon/util/buffer.h"
#include "daemon/util/guid.h"

typedef struct MemoryVariable {
        Guid vendor;
        char *name;
        uint32_t attributes;
        EfiTime timestamp;
        Sha256 signer; /* of a variable that its first signer alone may change; else zero */
        Buffer data;
} MemoryVariable;

typedef struct MemoryStore {
        MemoryVariable *variables;
        size_t count;
        uint64_t capacity; /* bytes for all variables with their headers */
} MemoryStore;

void memory_store_done(MemoryStore *store);

/* The variable, or NULL. Valid until the store changes. */
MemoryVariable *memory_store_find(const MemoryStore *store, const Guid *vendor, const char *name);

/* Creates or replaces a variable; its timestamp and signer stay, or are zero in a new one. */
int memory_store_set(MemoryStore *store, const Guid *vendor, const char *name, uint32_t attributes, Span data);

void memory_store_remove(MemoryStore *store, MemoryVariable *variable);

/* Bytes that a variable takes, and that all take. */
uint64_t memory_store_size_of(const char *name, size_t data_size);
uint64_t memory_store_used(const MemoryStore *store);
