/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/device-path.h"

enum {
        NODES_MAX = 64,
        NODE_HEADER = 4, /* type, subtype, length of the node */
        TYPE_MEDIA = 4,
        TYPE_END = 0x7F,

        SUBTYPE_HARD_DRIVE = 1,
        HARD_DRIVE_SIZE = 42,
        HARD_DRIVE_SIGNATURE = 24,
        HARD_DRIVE_SIGNATURE_TYPE = 41,
        SIGNATURE_TYPE_GUID = 2,

        SUBTYPE_FILE_PATH = 4,
};

/* The node behind NODE, or the first one of PATH while *COUNT is 0; false at the end of the path. */
static bool next_node(const uint8_t *path, unsigned *count, Bytes *node) {
        const uint8_t *next = *count == 0 ? path : node->data + node->size;

        if (*count == NODES_MAX || next[0] == TYPE_END || read_u16(next + 2) < NODE_HEADER)
                return false;
        *node = (Bytes){next, read_u16(next + 2)};
        (*count)++;
        return true;
}

static bool is_media(Bytes node, uint8_t subtype, size_t size_min) {
        return node.data[0] == TYPE_MEDIA && node.data[1] == subtype && node.size >= size_min;
}

/* A GUID's first three fields are little-endian integers; its text has them as numbers (UEFI specification, appendix
 * A). */
static void append_guid(Text *text, const uint8_t *guid) {
        static const uint8_t order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

        for (unsigned i = 0; i < 16; i++)
                text_append(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%x" : "%x", (Bytes){guid + order[i], 1});
}

bool device_path_append_partition(const void *path, Text *text) {
        const uint8_t *guid = NULL;
        unsigned count = 0;
        Bytes node;

        while (next_node(path, &count, &node))
                if (is_media(node, SUBTYPE_HARD_DRIVE, HARD_DRIVE_SIZE) &&
                    node.data[HARD_DRIVE_SIGNATURE_TYPE] == SIGNATURE_TYPE_GUID)
                        guid = node.data + HARD_DRIVE_SIGNATURE;
        if (!guid)
                return false;

        append_guid(text, guid);
        return true;
}

static void append_file_node(Bytes name, Text *text) {
        uint16_t unit[2] = {};

        if (text->length > 0 && text->data[text->length - 1] != '\\' && name.size >= 2 && read_u16(name.data) != '\\')
                text_append(text, "\\");
        for (size_t i = 0; i + 1 < name.size && read_u16(name.data + i) != 0; i += 2) {
                unit[0] = read_u16(name.data + i);
                text_append(text, "%w", unit);
        }
}

bool device_path_append_file(const void *path, Text *text) {
        bool found = false;
        unsigned count = 0;
        Bytes node, name;

        while (next_node(path, &count, &node)) {
                if (!is_media(node, SUBTYPE_FILE_PATH, NODE_HEADER) ||
                    !bytes_slice(node, NODE_HEADER, node.size - NODE_HEADER, &name))
                        continue;
                append_file_node(name, text);
                found = true;
        }
        return found;
}

size_t device_path_size(const void *path) {
        unsigned count = 0;
        size_t size = 0;
        Bytes node;

        while (next_node(path, &count, &node))
                size += node.size;
        return size;
}
