/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: firmware */
#include <stdlib.h>
#include <string.h>

#include "daemon/firmware/boot-entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        BootEntry entry = {};

        if (boot_entry_parse((Span){data, size}, &entry) < 0)
                return 0;
        /* What was accepted is text that fits the input: a UTF-16 unit of two bytes becomes three at most. */
        if (!entry.description || strlen(entry.description) > 2 * size || (entry.path && strlen(entry.path) > 2 * size))
                abort();
        boot_entry_done(&entry);
        return 0;
}
