/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/encode.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

char *hex_encode(Span bytes) {
        static const char digits[] = "0123456789abcdef";
        char *text = malloc(2 * bytes.size + 1);

        if (!text)
                return NULL;
        for (size_t i = 0; i < bytes.size; i++) {
                text[2 * i] = digits[bytes.data[i] >> 4];
                text[2 * i + 1] = digits[bytes.data[i] & 15];
        }
        text[2 * bytes.size] = 0;
        return text;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        c = tolower((unsigned char)c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -EINVAL;
}

int hex_decode(const char *text, uint8_t *ret, size_t size) {
        if (strlen(text) != 2 * size)
                return -EINVAL;
        for (size_t i = 0; i < size; i++) {
                int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                ret[i] = high << 4 | low;
        }
        return 0;
}

char *base32_encode(Span bytes) {
        static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
        size_t length = (bytes.size * 8 + 4) / 5;
        char *text = malloc(length + 1);

        if (!text)
                return NULL;
        for (size_t i = 0; i < length; i++) {
                size_t bit = 5 * i, byte = bit / 8;
                unsigned window = bytes.data[byte] << 8 | (byte + 1 < bytes.size ? bytes.data[byte + 1] : 0);

                text[i] = alphabet[window >> (11 - bit % 8) & 31];
        }
        text[length] = 0;
        return text;
}
