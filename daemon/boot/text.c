/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/text.h"

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at TEXT (NUL-terminated). Returns its bytes, or 0 if it is malformed. RFC 3629, section 4. */
static size_t utf8_decode(const uint8_t *text, uint32_t *ret) {
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
        uint32_t character = length < 2 ? text[0] : text[0] & (0x7f >> length);

        if (length == 0 || text[0] >= 0xf8)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
                character = character << 6 | (text[i] & 0x3f);
        }
        if (character < smallest[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
                return 0;
        *ret = character;
        return length;
}

const char *text_problem(const char *text, bool tab_allowed) {
        for (const uint8_t *next = (const uint8_t *)text; *next;) {
                uint32_t character;
                size_t length = utf8_decode(next, &character);

                if (length == 0)
                        return "is not UTF-8";
                if ((character < 0x20 && !(character == '\t' && tab_allowed)) ||
                    (character >= 0x7f && character < 0xa0))
                        return "has a control character";
                next += length;
        }
        return NULL;
}
