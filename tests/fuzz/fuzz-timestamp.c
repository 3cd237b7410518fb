/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: keys */

/* The key store's file "timestamp". A time that is read is written back as it was, but for leading zeros and the line
 * feed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/keys/key-store-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char text[32];
        int64_t value;
        Span rest = {data, size};

        if (key_timestamp_parse(rest, &value) < 0)
                return 0;
        snprintf(text, sizeof(text), "%" PRIi64, value);
        if (rest.data[rest.size - 1] == '\n')
                rest.size--;
        while (rest.size > 1 && *rest.data == '0')
                rest = (Span){rest.data + 1, rest.size - 1};
        if (!span_equal(rest, span_from_string(text)))
                abort();
        return 0;
}
