/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Span is a borrowed range of bytes. Whatever parses hostile input takes one and asks it, instead of computing
 * pointers: each accessor checks its bounds without overflow. Integers are little-endian, as in PE, ESL and EFI. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Span {
        const uint8_t *data;
        size_t size;
} Span;

/* The bytes of a C string without its NUL. Lives as long as STRING. */
Span span_from_string(const char *string);

/* The LENGTH bytes at OFFSET. Returns -EBADMSG, and leaves *ret, if any of them lies outside SPAN. */
int span_slice(Span span, uint64_t offset, uint64_t length, Span *ret);

/* Reads an integer at OFFSET, of any alignment. Returns -EBADMSG, and leaves *ret, if it lies outside SPAN. */
int span_u8(Span span, uint64_t offset, uint8_t *ret);
int span_u16(Span span, uint64_t offset, uint16_t *ret);
int span_u32(Span span, uint64_t offset, uint32_t *ret);
int span_u64(Span span, uint64_t offset, uint64_t *ret);

bool span_equal(Span a, Span b);
bool span_starts_with(Span span, Span prefix);

/* The first control character of ASCII (0x00 to 0x1f, 0x7f) in TEXT, or NULL. A tab is none if TAB_ALLOWED. Bytes from
 * 0x80 on are left to who knows the encoding: those of C1 are found in UTF-8 only (daemon/util/utf8.h). */
const uint8_t *span_find_control(Span text, bool tab_allowed);

/* Offset of the first occurrence of NEEDLE at or after FROM, or -ENOENT (then *ret is left). An empty needle is found.
 */
int span_find(Span span, Span needle, size_t from, size_t *ret);
