/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a Boot#### variable starts: EFI_LOAD_OPTION (UEFI specification, 3.1.3) with the two device path nodes that say
 * where on a disk a loader lies (10.3.5.1 Hard Drive, 10.3.5.4 File Path). */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/util/buffer.h"
#include "daemon/util/guid.h"
#include "daemon/util/span.h"

typedef struct BootEntry {
        bool active;
        char *description; /* UTF-8 */
        char *path; /* UTF-8, with backslashes; NULL: the entry names no file (a network or firmware application) */
        bool has_partition;
        Guid partition;            /* of the GPT partition */
        uint32_t partition_number; /* and where that lies, in logical blocks of its disk */
        uint64_t partition_start, partition_blocks;
} BootEntry;

/* Parses the variable's content. Returns -EBADMSG for a truncated or contradictory one. */
int boot_entry_parse(Span data, BootEntry *ret);
void boot_entry_done(BootEntry *entry);

/* The content of a variable that parses to ENTRY, which has a path and a partition. Returns -EINVAL for a description
 * or path outside ASCII. Appends to RET, which the caller owns. */
int boot_entry_format(const BootEntry *entry, Buffer *ret);
