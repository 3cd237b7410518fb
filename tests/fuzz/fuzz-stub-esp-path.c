/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input as a list of ESP paths: each path of an accepted list is valid by itself, and joined they are the list
 * again. */

#include <stdlib.h>
#include <string.h>

#include "stubs/esp-path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check_path(Bytes path) {
        uint16_t wide[LANZA_ESP_PATH_MAX_BYTES + 1];

        require(path.size >= 2 && path.size <= LANZA_ESP_PATH_MAX_BYTES && path.data[0] == '\\');
        require(!esp_path_check(path));
        require(!memmem(path.data, path.size, "\\..\\", 4) && !memchr(path.data, '/', path.size));
        esp_path_to_utf16(path, wide);
        for (size_t i = 0; i < path.size; i++)
                require(wide[i] == path.data[i]);
        require(wide[path.size] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Bytes paths[LANZA_INITRDS_MAX];
        size_t count, offset = 0;

        bool single = !esp_path_check((Bytes){data, size});
        if (esp_path_list_parse((Bytes){data, size}, paths, &count)) {
                require(!single);
                return 0;
        }

        require(count >= 1 && single == (count == 1));
        for (size_t i = 0; i < count; i++) {
                check_path(paths[i]);
                require(paths[i].data == data + offset);
                offset += paths[i].size;
                require(offset == size || data[offset] == '\n');
                offset++;
        }
        require(offset == size + 1);
        return 0;
}
