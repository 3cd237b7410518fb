/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pe/pe-format.h"

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

uint32_t pe_checksum(Span file) {
        uint64_t sum = 0;
        size_t even = file.size & ~(size_t)1;

        for (size_t i = 0; i < even; i += 2)
                sum += file.data[i] | file.data[i + 1] << 8;
        if (even < file.size)
                sum += file.data[even];
        while (sum > 0xffff)
                sum = (sum & 0xffff) + (sum >> 16);
        return sum + file.size;
}
