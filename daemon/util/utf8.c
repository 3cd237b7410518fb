/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The length of the sequence that BYTE begins, or 0; RET is what BYTE adds to the code point. */
static unsigned sequence_length(uint8_t byte, uint32_t *ret) {
        if (byte < 0x80)
                return *ret = byte, 1;
        if (byte >= 0xc2 && byte < 0xe0)
                return *ret = byte & 0x1f, 2;
        if (byte >= 0xe0 && byte < 0xf0)
                return *ret = byte & 0x0f, 3;
        if (byte >= 0xf0 && byte < 0xf5)
                return *ret = byte & 0x07, 4;
        return 0;
}

int utf8_check(Span text) {
        static const uint32_t smallest[] = {0, 1, 0x80, 0x800, 0x10000};

        for (size_t i = 0; i < text.size;) {
                uint32_t point;
                unsigned length = sequence_length(text.data[i], &point);

                if (length == 0 || length > text.size - i)
                        return -EBADMSG;
                for (unsigned k = 1; k < length; k++) {
                        if ((text.data[i + k] & 0xc0) != 0x80)
                                return -EBADMSG;
                        point = point << 6 | (text.data[i + k] & 0x3f);
                }
                if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
                        return -EBADMSG;
                i += length;
        }
        return 0;
}

/* The bytes of the character that TEXT begins with; 0 if it begins with none. */
static size_t character_length(const char *text) {
        for (size_t length = 1; length <= 4 && text[length - 1]; length++)
                if (utf8_check((Span){(const uint8_t *)text, length}) >= 0)
                        return length;
        return 0;
}

char *utf8_repair(const char *text) {
        static const char replacement[] = "\xef\xbf\xbd";
        char *repaired = calloc(strlen(text) + 1, strlen(replacement)), *end = repaired;

        if (!repaired)
                return NULL;
        while (*text) {
                size_t length = character_length(text);

                end = mempcpy(end, length > 0 ? text : replacement, length > 0 ? length : strlen(replacement));
                text += length > 0 ? length : 1;
        }
        return repaired;
}

void utf8_print(FILE *stream, const char *text) {
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                /* U+0080 to U+009F */
                bool is_c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;

                fputc(is_c1 || *p < 0x20 || *p == 0x7f ? '?' : *p, stream);
                p += is_c1;
        }
}
