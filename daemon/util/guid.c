/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/guid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/util/encode.h"

/* Where in the stored form the text's N-th byte stands. */
static const uint8_t text_order[GUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static bool dash_before(size_t byte) {
        return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int guid_parse(Span text, Guid *ret) {
        Guid guid;
        size_t at = 0;

        if (text.size != GUID_TEXT_SIZE - 1)
                return -EINVAL;
        for (size_t i = 0; i < GUID_SIZE; i++) {
                char digits[3] = {};

                if (dash_before(i) && text.data[at++] != '-')
                        return -EINVAL;
                memcpy(digits, text.data + at, 2);
                at += 2;
                if (hex_decode(digits, &guid.bytes[text_order[i]], 1) < 0)
                        return -EINVAL;
        }
        *ret = guid;
        return 0;
}

void guid_format(const Guid *guid, char ret[static GUID_TEXT_SIZE]) {
        char *next = ret;

        for (size_t i = 0; i < GUID_SIZE; i++)
                next += sprintf(next, "%s%02x", dash_before(i) ? "-" : "", guid->bytes[text_order[i]]);
}

bool guid_equal(const Guid *a, const Guid *b) {
        return memcmp(a->bytes, b->bytes, GUID_SIZE) == 0;
}

int guid_random(Guid *ret) {
        Guid guid;
        ssize_t n;

        n = getrandom(guid.bytes, GUID_SIZE, 0);
        if (n != GUID_SIZE)
                return n < 0 ? -errno : -EIO;
        guid.bytes[7] = (guid.bytes[7] & 0x0f) | 0x40;
        guid.bytes[8] = (guid.bytes[8] & 0x3f) | 0x80;
        *ret = guid;
        return 0;
}
