/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text for the console and for EFI variables: UTF-16, of limited size, NUL-terminated at all times. What does not fit
 * is dropped: a message is then cut, never more. */

#include "stubs/bytes.h"

enum {
        TEXT_MAX = 1024,
        TEXT_BYTES_MAX = 255, /* of one %b: any ESP path */
};

typedef struct Text {
        uint16_t data[TEXT_MAX + 1];
        size_t length; /* in UTF-16 units, without the NUL */
} Text;

void text_clear(Text *text);

/* Appends FORMAT, in which
 *   %s  const char *      a C string, ASCII
 *   %b  Bytes             the first TEXT_BYTES_MAX bytes and "..."; what is not printable ASCII as "?"
 *   %w  const uint16_t *  UTF-16 with a NUL, control characters as "?"
 *   %x  Bytes             bytes as lower-case hexadecimal
 *   %u  uint64_t          decimal
 *   %0u uint64_t          decimal of at least two digits
 *   %%                    a percent sign */
void text_append(Text *text, const char *format, ...);
void text_append_list(Text *text, const char *format, __builtin_va_list arguments);

/* How many units of TEXT, which ends with a NUL, go on a line of COLUMNS: whole words, as many as fit. A word that is
 * longer than a line gets lines of its own, and stays in one piece for who reads a serial console. */
size_t text_line(const uint16_t *text, size_t columns);
