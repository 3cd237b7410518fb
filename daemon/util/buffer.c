/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_done(Buffer *buffer) {
        free(buffer->data);
        *buffer = (Buffer){};
}

void buffer_wipe(Buffer *buffer) {
        if (buffer->data)
                explicit_bzero(buffer->data, buffer->allocated);
        buffer_done(buffer);
}

Span buffer_span(const Buffer *buffer) {
        return (Span){buffer->data, buffer->size};
}

int buffer_reserve(Buffer *buffer, size_t more) {
        size_t needed, allocated;
        uint8_t *data;

        if (__builtin_add_overflow(buffer->size, more, &needed))
                return -ENOMEM;
        if (needed <= buffer->allocated)
                return 0;
        if (__builtin_mul_overflow(buffer->allocated, (size_t)2, &allocated) || allocated < needed)
                allocated = needed;

        data = realloc(buffer->data, allocated);
        if (!data)
                return -ENOMEM;
        buffer->data = data;
        buffer->allocated = allocated;
        return 0;
}

int buffer_append(Buffer *buffer, Span bytes) {
        int r = buffer_reserve(buffer, bytes.size);
        if (r < 0)
                return r;
        if (bytes.size > 0)
                memcpy(buffer->data + buffer->size, bytes.data, bytes.size);
        buffer->size += bytes.size;
        return 0;
}

int buffer_append_string(Buffer *buffer, const char *string) {
        return buffer_append(buffer, span_from_string(string));
}

int buffer_append_format(Buffer *buffer, const char *format, ...) {
        char *text;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0)
                return -ENOMEM;
        r = buffer_append_string(buffer, text);
        free(text);
        return r;
}

int buffer_append_zero(Buffer *buffer, size_t count) {
        int r = buffer_reserve(buffer, count);
        if (r < 0)
                return r;
        if (count > 0)
                memset(buffer->data + buffer->size, 0, count);
        buffer->size += count;
        return 0;
}

static int append_integer(Buffer *buffer, uint64_t value, unsigned bytes) {
        uint8_t encoded[sizeof(value)];

        for (unsigned i = 0; i < bytes; i++)
                encoded[i] = value >> (8 * i);
        return buffer_append(buffer, (Span){encoded, bytes});
}

int buffer_append_u8(Buffer *buffer, uint8_t value) {
        return append_integer(buffer, value, sizeof(value));
}

int buffer_append_u16(Buffer *buffer, uint16_t value) {
        return append_integer(buffer, value, sizeof(value));
}

int buffer_append_u32(Buffer *buffer, uint32_t value) {
        return append_integer(buffer, value, sizeof(value));
}

int buffer_append_u64(Buffer *buffer, uint64_t value) {
        return append_integer(buffer, value, sizeof(value));
}
