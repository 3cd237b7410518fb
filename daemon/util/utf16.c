/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/utf16.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/util/buffer.h"

/* Reads one character at *OFFSET and moves on. */
static int read_character(Span bytes, size_t *offset, uint32_t *ret) {
        uint16_t high, low;

        if (span_u16(bytes, *offset, &high) < 0)
                return -EBADMSG;
        *offset += 2;
        *ret = high;
        if (high < 0xd800 || high > 0xdfff)
                return 0;
        if (high > 0xdbff || span_u16(bytes, *offset, &low) < 0 || low < 0xdc00 || low > 0xdfff)
                return -EBADMSG;
        *offset += 2;
        *ret = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (low - 0xdc00);
        return 0;
}

static int append_character(Buffer *text, uint32_t c) {
        uint8_t bytes[4];
        size_t size;

        if (c < 0x80) {
                bytes[0] = c;
                size = 1;
        } else if (c < 0x800) {
                bytes[0] = 0xc0 | c >> 6;
                size = 2;
        } else if (c < 0x10000) {
                bytes[0] = 0xe0 | c >> 12;
                size = 3;
        } else {
                bytes[0] = 0xf0 | c >> 18;
                size = 4;
        }
        for (size_t i = 1; i < size; i++)
                bytes[i] = 0x80 | (c >> (6 * (size - 1 - i)) & 0x3f);
        return buffer_append(text, (Span){bytes, size});
}

int utf16_to_utf8(Span bytes, char **ret, size_t *ret_size) {
        _cleanup_(buffer_done) Buffer text = {};
        size_t offset = 0;
        uint32_t c;
        int r;

        while (offset < bytes.size) {
                r = read_character(bytes, &offset, &c);
                if (r < 0)
                        return r;
                if (c == 0)
                        break;
                r = append_character(&text, c);
                if (r < 0)
                        return r;
        }
        r = buffer_append_u8(&text, 0);
        if (r < 0)
                return r;
        *ret = (char *)TAKE_POINTER(text.data);
        if (ret_size)
                *ret_size = offset;
        return 0;
}
