/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Buffer is an owned, growing run of bytes; {} is an empty one. Integers are appended little-endian. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/macro.h"
#include "daemon/util/span.h"

typedef struct Buffer {
        uint8_t *data;
        size_t size;
        size_t allocated;
} Buffer;

/* Frees the content; the buffer is empty afterwards. */
void buffer_done(Buffer *buffer);

/* The same for secrets: overwrites the content first. Growing wipes too, if only ever grown by buffer_reserve() first.
 */
void buffer_wipe(Buffer *buffer);

/* The content, valid until the buffer changes. */
Span buffer_span(const Buffer *buffer);

/* Makes room for at least MORE bytes beyond the size. All of these return -ENOMEM, and then nothing changed. */
int buffer_reserve(Buffer *buffer, size_t more);
int buffer_append(Buffer *buffer, Span bytes);
int buffer_append_string(Buffer *buffer, const char *string);
int buffer_append_format(Buffer *buffer, const char *format, ...) _printf_(2, 3);
int buffer_append_zero(Buffer *buffer, size_t count);
int buffer_append_u8(Buffer *buffer, uint8_t value);
int buffer_append_u16(Buffer *buffer, uint16_t value);
int buffer_append_u32(Buffer *buffer, uint32_t value);
int buffer_append_u64(Buffer *buffer, uint64_t value);
