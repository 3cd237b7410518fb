/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives several files new contents at once: each is written beside its place, and when all of them are durable each
 * gets its name, by one rename. A failure before the first rename changes nothing. Files that are replaced are held
 * open until the renames are durable: vfat gives their clusters away at once otherwise. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "daemon/util/failure.h"
#include "daemon/util/span.h"

typedef struct FileExchange FileExchange;

/* Until it is freed this thread, and those that it starts, leave SIGHUP, SIGINT and SIGTERM pending: nothing without a
 * name is left behind. */
int file_exchange_new(FileExchange **ret);
FileExchange *file_exchange_free(FileExchange *exchange); /* removes what has no name yet; returns NULL */
DEFINE_POINTER_CLEANUP(FileExchange *, file_exchange_free)

/* Opens the regular file at PATH (links are followed) for reading, and holds it: the first is file 0. The descriptor is
 * borrowed. */
int file_exchange_open(FileExchange *exchange, const char *path, int *ret_fd, struct stat *ret_st, Failure *failure);

/* Writes BYTES for file INDEX, or for OTHER (which may be there or not) where that is not NULL; with the owner and mode
 * of the file that was opened. Once for each. */
int file_exchange_write(FileExchange *exchange, size_t index, const char *other, Span bytes, Failure *failure);

/* All of it gets its names, durably. */
int file_exchange_finish(FileExchange *exchange, Failure *failure);
