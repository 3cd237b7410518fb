/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input as a device path. Those have no total size, so that one that lies about its nodes can be walked off the
 * end: here there are zeros as far as the longest walk goes. */

#include <stdlib.h>
#include <string.h>

#include "stubs/device-path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        NODES_MAX = 64,
        NODE_MAX = 65535,
};

static void require(bool condition) {
        if (!condition)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static uint8_t path[(NODES_MAX + 1) * NODE_MAX];
        static Text text;

        if (size > NODE_MAX)
                return 0;
        memcpy(path, data, size);

        text_clear(&text);
        if (device_path_append_partition(path, &text))
                require(text.length == 36 && text.data[8] == '-');
        text_clear(&text);
        bool found = device_path_append_file(path, &text);
        require(text.length <= TEXT_MAX && text.data[text.length] == 0 && (found || text.length == 0));
        require(device_path_size(path) <= (size_t)NODES_MAX * NODE_MAX);

        memset(path, 0, size);
        return 0;
}
