/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: esp */

/* A partition table: its header in one block, then the entries. The fuzzer cannot guess checksums, so it is tried with
 * the input's own and with mended ones. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/gpt.h"

enum { BLOCK = 512, HEADER_CRC = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(Span block, Span entries) {
        GptHeader header;
        GptPartition partition;

        if (gpt_header_parse(block, 1, &header) < 0)
                return;
        assert((uint64_t)header.entry_count * header.entry_size <= GPT_ENTRIES_MAX_BYTES);
        for (unsigned number = 0; number < 4; number++)
                gpt_partition_parse(&header, entries, number, &partition);

        /* As if the header were about these entries. */
        if (header.entry_size == 0 || entries.size < header.entry_size)
                return;
        header.entry_count = entries.size / header.entry_size;
        entries.size = (size_t)header.entry_count * header.entry_size;
        header.entries_crc32 = gpt_crc32(entries);
        for (unsigned number = 0; number <= header.entry_count + 1; number++)
                if (gpt_partition_parse(&header, entries, number, &partition) >= 0) {
                        assert(number >= 1 && number <= header.entry_count);
                        assert(strlen(partition.type) == GUID_TEXT_SIZE - 1);
                }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t block_size = size < BLOCK ? size : BLOCK;
        Span entries = {data + block_size, size - block_size};
        uint8_t *block = malloc(block_size + 1);
        uint32_t header_size, crc;

        assert(block);
        if (block_size > 0)
                memcpy(block, data, block_size);
        check((Span){block, block_size}, entries);
        if (span_u32((Span){block, block_size}, 12, &header_size) >= 0 && header_size <= block_size &&
            header_size >= HEADER_CRC + sizeof(crc)) {
                memset(block + HEADER_CRC, 0, sizeof(crc));
                crc = gpt_crc32((Span){block, header_size});
                memcpy(block + HEADER_CRC, &crc, sizeof(crc));
                check((Span){block, block_size}, entries);
        }
        free(block);
        return 0;
}
