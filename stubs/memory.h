/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The functions that a C compiler expects to exist even without a C library, with their usual meaning. memory.c has
 * them for the firmware; on the host they are the C library's. */

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
