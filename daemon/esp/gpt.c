/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/gpt.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* UEFI specification, table "GPT Header" and "GPT Partition Entry". */
enum {
        HEADER_SIZE_MIN = 92,
        HEADER_OFFSET_SIZE = 12,
        HEADER_OFFSET_CRC = 16,
        HEADER_OFFSET_MY_LBA = 24,
        HEADER_OFFSET_ENTRIES_LBA = 72,
        HEADER_OFFSET_ENTRY_COUNT = 80,
        HEADER_OFFSET_ENTRY_SIZE = 84,
        HEADER_OFFSET_ENTRIES_CRC = 88,
        ENTRY_SIZE_MIN = 128,
        ENTRY_SIZE_MAX = 4096,
        ENTRY_OFFSET_UUID = 16,
        ENTRY_OFFSET_FIRST_LBA = 32,
        ENTRY_OFFSET_LAST_LBA = 40,
};

static uint32_t crc32_continue(uint32_t crc, Span bytes) {
        for (size_t i = 0; i < bytes.size; i++) {
                crc ^= bytes.data[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
        return crc;
}

uint32_t gpt_crc32(Span bytes) {
        return ~crc32_continue(UINT32_MAX, bytes);
}

/* The header's CRC is computed with its own field zero. */
static uint32_t header_crc32(Span header) {
        static const uint8_t zero[sizeof(uint32_t)];
        size_t after = HEADER_OFFSET_CRC + sizeof(zero);
        uint32_t crc = crc32_continue(UINT32_MAX, (Span){header.data, HEADER_OFFSET_CRC});

        crc = crc32_continue(crc, (Span){zero, sizeof(zero)});
        return ~crc32_continue(crc, (Span){header.data + after, header.size - after});
}

static bool is_power_of_two(uint32_t n) {
        return n != 0 && (n & (n - 1)) == 0;
}

int gpt_header_parse(Span block, uint64_t lba, GptHeader *ret) {
        GptHeader header;
        uint32_t size, crc;
        uint64_t my_lba;

        if (!span_starts_with(block, span_from_string("EFI PART")) || span_u32(block, HEADER_OFFSET_SIZE, &size) < 0 ||
            size < HEADER_SIZE_MIN || size > block.size || span_u32(block, HEADER_OFFSET_CRC, &crc) < 0 ||
            crc != header_crc32((Span){block.data, size}) || span_u64(block, HEADER_OFFSET_MY_LBA, &my_lba) < 0 ||
            my_lba != lba || span_u64(block, HEADER_OFFSET_ENTRIES_LBA, &header.entries_lba) < 0 ||
            span_u32(block, HEADER_OFFSET_ENTRY_COUNT, &header.entry_count) < 0 ||
            span_u32(block, HEADER_OFFSET_ENTRY_SIZE, &header.entry_size) < 0 ||
            span_u32(block, HEADER_OFFSET_ENTRIES_CRC, &header.entries_crc32) < 0)
                return -EBADMSG;
        if (header.entry_size < ENTRY_SIZE_MIN || header.entry_size > ENTRY_SIZE_MAX ||
            !is_power_of_two(header.entry_size) || header.entry_count == 0 ||
            header.entry_count > GPT_ENTRIES_MAX_BYTES / header.entry_size)
                return -EBADMSG;
        *ret = header;
        return 0;
}

int gpt_partition_parse(const GptHeader *header, Span entries, unsigned number, GptPartition *ret) {
        static const Guid unused;
        GptPartition partition;
        Guid type, uuid;
        Span entry;

        if (entries.size != (size_t)header->entry_count * header->entry_size ||
            gpt_crc32(entries) != header->entries_crc32)
                return -EBADMSG;
        if (number == 0 || number > header->entry_count)
                return -ENOENT;
        if (span_slice(entries, (uint64_t)(number - 1) * header->entry_size, header->entry_size, &entry) < 0 ||
            span_u64(entry, ENTRY_OFFSET_FIRST_LBA, &partition.first_lba) < 0 ||
            span_u64(entry, ENTRY_OFFSET_LAST_LBA, &partition.last_lba) < 0)
                return -EBADMSG;
        memcpy(type.bytes, entry.data, GUID_SIZE);
        memcpy(uuid.bytes, entry.data + ENTRY_OFFSET_UUID, GUID_SIZE);
        if (guid_equal(&type, &unused))
                return -ENOENT;
        guid_format(&type, partition.type);
        guid_format(&uuid, partition.uuid);
        *ret = partition;
        return 0;
}
