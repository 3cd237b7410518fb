/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input as each kind of what goes into a message, which is then broken into lines: text stays within its bounds,
 * has no control characters, and no line loses any of it. */

#include <stdlib.h>
#include <string.h>

#include "stubs/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check_lines(const Text *text, size_t columns) {
        for (size_t offset = 0; offset < text->length;) {
                size_t length = text_line(text->data + offset, columns);
                require(offset + length <= text->length);
                uint16_t next = text->data[offset + length];
                require(next == 0 || next == ' ');
                offset += length + 1;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        enum { MAX = 4096 };
        static uint16_t units[MAX / 2 + 1];
        static Text text;
        uint64_t number = 0;

        if (size > MAX)
                return 0;
        memcpy(units, data, size & ~(size_t)1);
        units[size / 2] = 0;
        memcpy(&number, data, size < sizeof number ? size : sizeof number);

        text_clear(&text);
        text_append(&text, "%b, %w: %x %u %0u%% %s", (Bytes){data, size}, units, (Bytes){data, size}, number, number,
                    "end");
        require(text.length <= TEXT_MAX && text.data[text.length] == 0);
        for (size_t i = 0; i < text.length; i++)
                require(text.data[i] >= 0x20 && text.data[i] != 0x7f);
        check_lines(&text, 1 + number % 100);
        return 0;
}
