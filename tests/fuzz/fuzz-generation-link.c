/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: boot */

/* Names in a profile folder. One that is taken for a generation's is what its parts make. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/boot/generation.h"
#include "daemon/util/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(free_pointer) char *name = strndup((const char *)data, size), *again = NULL;
        size_t length = SIZE_MAX;
        uint64_t number = 0;

        if (!name)
                abort();
        switch (generation_link_parse(name, &length, &number)) {
        case GENERATION_LINK_FOREIGN:
                return 0;
        case GENERATION_LINK_ODD:
                if (length == 0 || length >= strlen(name))
                        abort();
                return 0;
        default:
                if (number == 0 || length == 0 ||
                    asprintf(&again, "%.*s-%" PRIu64 "-link", (int)length, name, number) < 0 ||
                    strcmp(name, again) != 0)
                        abort();
                return 0;
        }
}
