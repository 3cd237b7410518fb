/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/memory.h"

#include <stdint.h>

/* Compiled with -fno-builtin: otherwise the compiler would recognise each loop and make it a call of itself. */

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
        uint8_t *restrict target = to;
        const uint8_t *restrict source = from;

        for (size_t i = 0; i < size; i++)
                target[i] = source[i];
        return to;
}

void *memmove(void *to, const void *from, size_t size) {
        uint8_t *target = to;
        const uint8_t *source = from;

        if ((uintptr_t)to <= (uintptr_t)from)
                for (size_t i = 0; i < size; i++)
                        target[i] = source[i];
        else
                for (size_t i = size; i > 0; i--)
                        target[i - 1] = source[i - 1];
        return to;
}

void *memset(void *to, int value, size_t size) {
        uint8_t *target = to;

        for (size_t i = 0; i < size; i++)
                target[i] = (uint8_t)value;
        return to;
}

int memcmp(const void *a, const void *b, size_t size) {
        const uint8_t *left = a, *right = b;

        for (size_t i = 0; i < size; i++)
                if (left[i] != right[i])
                        return left[i] < right[i] ? -1 : 1;
        return 0;
}
