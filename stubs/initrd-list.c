/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/initrd-list.h"

static size_t align(size_t size) {
        return (size + LANZA_INITRD_ALIGNMENT - 1) / LANZA_INITRD_ALIGNMENT * LANZA_INITRD_ALIGNMENT;
}

void initrd_list_add(InitrdList *list, Bytes part) {
        if (part.size == 0)
                return;

        list->parts[list->count++] = part;
        list->size = align(list->size) + part.size;
}

void initrd_list_copy(const InitrdList *list, uint8_t *buffer) {
        size_t end = 0;

        for (size_t i = 0; i < list->count; i++) {
                size_t start = align(end);
                memset(buffer + end, 0, start - end);
                memcpy(buffer + start, list->parts[i].data, list->parts[i].size);
                end = start + list->parts[i].size;
        }
}
