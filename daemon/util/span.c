/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/span.h"

#include <errno.h>
#include <string.h>

Span span_from_string(const char *string) {
        return (Span){(const uint8_t *)string, strlen(string)};
}

int span_slice(Span span, uint64_t offset, uint64_t length, Span *ret) {
        if (offset > span.size || length > span.size - offset)
                return -EBADMSG;

        *ret = (Span){length > 0 || span.data ? span.data + offset : NULL, length};
        return 0;
}

static int read_integer(Span span, uint64_t offset, unsigned bytes, uint64_t *ret) {
        uint64_t value = 0;
        Span slice;
        int r;

        r = span_slice(span, offset, bytes, &slice);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < bytes; i++)
                value |= (uint64_t)slice.data[i] << (8 * i);
        *ret = value;
        return 0;
}

int span_u8(Span span, uint64_t offset, uint8_t *ret) {
        uint64_t value;
        int r = read_integer(span, offset, sizeof(*ret), &value);
        if (r >= 0)
                *ret = value;
        return r;
}

int span_u16(Span span, uint64_t offset, uint16_t *ret) {
        uint64_t value;
        int r = read_integer(span, offset, sizeof(*ret), &value);
        if (r >= 0)
                *ret = value;
        return r;
}

int span_u32(Span span, uint64_t offset, uint32_t *ret) {
        uint64_t value;
        int r = read_integer(span, offset, sizeof(*ret), &value);
        if (r >= 0)
                *ret = value;
        return r;
}

int span_u64(Span span, uint64_t offset, uint64_t *ret) {
        return read_integer(span, offset, sizeof(*ret), ret);
}

bool span_equal(Span a, Span b) {
        return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool span_starts_with(Span span, Span prefix) {
        return span.size >= prefix.size && span_equal((Span){span.data, prefix.size}, prefix);
}

const uint8_t *span_find_control(Span text, bool tab_allowed) {
        for (size_t i = 0; i < text.size; i++)
                if ((text.data[i] < 0x20 && !(text.data[i] == '\t' && tab_allowed)) || text.data[i] == 0x7f)
                        return text.data + i;
        return NULL;
}

int span_find(Span span, Span needle, size_t from, size_t *ret) {
        const uint8_t *found;

        if (from > span.size)
                return -ENOENT;
        if (needle.size == 0) {
                *ret = from;
                return 0;
        }
        found = memmem(span.data + from, span.size - from, needle.data, needle.size);
        if (!found)
                return -ENOENT;
        *ret = found - span.data;
        return 0;
}
