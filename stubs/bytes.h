/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes are a borrowed range of memory: what the stub's parsers take. Offsets that come from a file are only ever used
 * through bytes_slice(), which checks them without overflow. Integers are little-endian, as in PE and UEFI. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stubs/memory.h"

typedef struct Bytes {
        const uint8_t *data;
        size_t size;
} Bytes;

/* The bytes of a C string, without its NUL. */
static inline Bytes bytes_from_string(const char *string) {
        size_t size = 0;

        while (string[size] != '\0')
                size++;
        return (Bytes){(const uint8_t *)string, size};
}

/* The SIZE bytes at OFFSET. Returns false, and leaves *ret, if any of them lies outside. */
static inline bool bytes_slice(Bytes bytes, uint64_t offset, uint64_t size, Bytes *ret) {
        if (offset > bytes.size || size > bytes.size - offset)
                return false;

        *ret = (Bytes){bytes.data + offset, (size_t)size};
        return true;
}

static inline bool bytes_equal(Bytes a, Bytes b) {
        return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool bytes_start_with(Bytes bytes, const char *prefix) {
        Bytes start;

        return bytes_slice(bytes, 0, bytes_from_string(prefix).size, &start) &&
               bytes_equal(start, bytes_from_string(prefix));
}

/* Integers of any alignment. The caller has checked that they are there. */
static inline uint16_t read_u16(const uint8_t *data) {
        return (uint16_t)(data[0] | data[1] << 8);
}

static inline uint32_t read_u32(const uint8_t *data) {
        return read_u16(data) | (uint32_t)read_u16(data + 2) << 16;
}
