/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pe/pe-format.h"

#include <endian.h>
#include <string.h>

void pe_write_u16(uint8_t *file, uint64_t offset, uint16_t value) {
        file[offset] = value;
        file[offset + 1] = value >> 8;
}

void pe_write_u32(uint8_t *file, uint64_t offset, uint32_t value) {
        pe_write_u16(file, offset, value);
        pe_write_u16(file, offset + 2, value >> 16);
}

uint64_t pe_align(uint64_t value, uint64_t alignment) {
        return (value + alignment - 1) & ~(alignment - 1);
}

/* In ones' complement it does not matter how many of the 16-bit words are added at a time. */
uint32_t pe_checksum(Span file) {
        uint64_t sum = 0, high = 0;
        size_t i = 0;

        for (; file.size - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
                uint64_t words;

                memcpy(&words, file.data + i, sizeof(words));
                words = le64toh(words);
                sum += words & 0xffffffff;
                high += words >> 32;
        }
        sum += high;
        for (; i < file.size; i++)
                sum += (uint64_t)file.data[i] << (i % 2 * 8);
        while (sum > 0xffff)
                sum = (sum & 0xffff) + (sum >> 16);
        return sum + file.size;
}
