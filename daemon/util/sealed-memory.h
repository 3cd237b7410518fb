/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory files (memfd_create(2)) that nobody can change any more, whoever else holds a descriptor: sealed against
 * writing, growing, shrinking and further sealing. That is how bytes are handed from one process to another. A plain
 * file, a pipe or a socket will not do: it can change after it was looked at, or make its reader wait for ever. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/util/buffer.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"

typedef struct SealedMemory {
        int fd; /* readable, with a position that others may move: to be read at offsets only */
        uint64_t size;
} SealedMemory;

/* Takes the memory behind FD; FD itself stays the caller's. Looks at it without reading anything.
 *
 * Returns -EMEDIUMTYPE if it is no memory file at all, -EACCES if it cannot be read, -EPERM if a seal is missing,
 * -EFBIG if it has more than MAXIMUM bytes: sealed_memory_problem() says these in words. Other errors are -EMFILE and
 * -ENOMEM. */
int sealed_memory_take(int fd, uint64_t maximum, SealedMemory **ret);

/* The end of a sentence that begins with what the memory is for, "is not sealed …"; NULL for other errors than these.
 */
const char *sealed_memory_problem(int error);

/* Makes one of BYTES; NAME is for whoever looks at open files. */
int sealed_memory_make(const char *name, Span bytes, SealedMemory **ret);

SealedMemory *sealed_memory_free(SealedMemory *memory); /* NULL is fine; returns NULL */
DEFINE_POINTER_CLEANUP(SealedMemory *, sealed_memory_free)

/* All of it. The caller owns *ret. */
int sealed_memory_read(const SealedMemory *memory, Buffer *ret);

/* Whether both are the same memory, or both NULL. Then they have, and will ever have, the same bytes. */
bool sealed_memory_same(const SealedMemory *a, const SealedMemory *b);
