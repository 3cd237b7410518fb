/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory with a descriptor, sealed against every change: what the service takes in place of files, and gives back. */

#include <stdbool.h>
#include <stddef.h>

/* What is read from FROM, to its end, in sealed memory. Returns its descriptor, -EFBIG if there are more than MAXIMUM
 * bytes, or another negative errno. */
int memory_take(int from, const char *name, size_t maximum);

/* Writes what MEMORY holds to the file TO. Returns 0 or a negative errno. */
int memory_write(int memory, int to);

/* Whether both hold the same bytes; they differ if one cannot be read. */
bool memory_equal(int one, int other);
