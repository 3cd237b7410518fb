/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input cut into parts at each 0xFF: joined, each stands at a multiple of four with zeros before it, and nothing is
 * written behind the end. */

#include <stdlib.h>
#include <string.h>

#include "stubs/initrd-list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check(const InitrdList *list, const uint8_t *joined) {
        size_t offset = 0;

        for (size_t i = 0; i < list->count; i++) {
                for (; offset % LANZA_INITRD_ALIGNMENT != 0; offset++)
                        require(joined[offset] == 0);
                require(memcmp(joined + offset, list->parts[i].data, list->parts[i].size) == 0);
                offset += list->parts[i].size;
        }
        require(offset == list->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        InitrdList list = {};
        size_t start = 0;

        for (size_t i = 0; i <= size && list.count < INITRD_PARTS_MAX; i++)
                if (i == size || data[i] == 0xFF) {
                        initrd_list_add(&list, (Bytes){data + start, i - start});
                        start = i + 1;
                }
        uint8_t *joined = malloc(list.size + 1);
        require(joined);
        memset(joined, 0xAA, list.size + 1);
        initrd_list_copy(&list, joined);
        check(&list, joined);
        require(joined[list.size] == 0xAA);
        free(joined);
        return 0;
}
