/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Linux gets as one initrd: several archives, one behind the other, each with zeros in front of it up to a
 * multiple of LANZA_INITRD_ALIGNMENT, as Linux wants them. The parts stay where they are until Linux has a place for
 * all of them (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). */

#include "stubs/bytes.h"
#include "stubs/stub-abi.h"

enum {
        INITRD_PARTS_MAX = 4,
};

typedef struct InitrdList {
        Bytes parts[INITRD_PARTS_MAX]; /* borrowed */
        size_t count;
        size_t size; /* of all, padding included; 0: there is no initrd */
} InitrdList;

/* Appends PART; an empty one is left out. No more than INITRD_PARTS_MAX. */
void initrd_list_add(InitrdList *list, Bytes part);

/* Writes the list's size bytes to BUFFER. */
void initrd_list_copy(const InitrdList *list, uint8_t *buffer);
