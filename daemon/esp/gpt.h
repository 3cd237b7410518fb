/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* GUID partition tables, as far as it takes to tell of which type a partition is. UEFI specification, 5.3. */

#include <stdint.h>

#include "daemon/util/guid.h"
#include "daemon/util/span.h"

enum { GPT_ENTRIES_MAX_BYTES = 4 * 1024 * 1024 };

#define GPT_TYPE_ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define GPT_TYPE_XBOOTLDR "bc13c2ff-59e6-4262-a352-b275fd6f7172"

typedef struct GptHeader {
        uint64_t entries_lba;
        uint32_t entry_count, entry_size; /* their product is at most GPT_ENTRIES_MAX_BYTES */
        uint32_t entries_crc32;
} GptHeader;

typedef struct GptPartition {
        char type[GUID_TEXT_SIZE], uuid[GUID_TEXT_SIZE]; /* lower case */
        uint64_t first_lba, last_lba;
} GptPartition;

/* Parses the header, the block at LBA (1, or the disk's last). Returns -EBADMSG if it is none: signature, sizes, its
 * own LBA or its CRC are wrong. */
int gpt_header_parse(Span block, uint64_t lba, GptHeader *ret);

/* Reads partition NUMBER (from 1, as Linux counts) out of all ENTRIES. Returns -EBADMSG if their CRC is not the
 * header's, -ENOENT if there is no such partition. */
int gpt_partition_parse(const GptHeader *header, Span entries, unsigned number, GptPartition *ret);

/* CRC-32 as in GPT (and zlib). */
uint32_t gpt_crc32(Span bytes);
