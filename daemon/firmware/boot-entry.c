/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/boot-entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/buffer.h"
#include "daemon/util/macro.h"
#include "daemon/util/utf16.h"

enum {
        LOAD_OPTION_ACTIVE = 0x00000001,
        NODE_MEDIA = 4,
        NODE_MEDIA_HARD_DRIVE = 1,
        NODE_MEDIA_FILE_PATH = 4,
        NODE_END = 0x7f,
        NODE_END_ENTIRE = 0xff,
        NODE_HEADER_SIZE = 4,
        HARD_DRIVE_SIZE = 42,
        HARD_DRIVE_NUMBER = 4,
        HARD_DRIVE_START = 8,
        HARD_DRIVE_BLOCKS = 16,
        HARD_DRIVE_SIGNATURE = 24,
        HARD_DRIVE_SIGNATURE_TYPE = 41,
        FORMAT_GPT = 2,
        SIGNATURE_TYPE_GUID = 2,
};

void boot_entry_done(BootEntry *entry) {
        free(entry->description);
        free(entry->path);
        *entry = (BootEntry){};
}

static int take_hard_drive(Span node, BootEntry *entry) {
        Span guid;

        if (node.size != HARD_DRIVE_SIZE || span_slice(node, HARD_DRIVE_SIGNATURE, GUID_SIZE, &guid) < 0)
                return -EBADMSG;
        if (node.data[HARD_DRIVE_SIGNATURE_TYPE] != SIGNATURE_TYPE_GUID)
                return 0;
        (void)span_u32(node, HARD_DRIVE_NUMBER, &entry->partition_number);
        (void)span_u64(node, HARD_DRIVE_START, &entry->partition_start);
        (void)span_u64(node, HARD_DRIVE_BLOCKS, &entry->partition_blocks);
        memcpy(entry->partition.bytes, guid.data, guid.size);
        entry->has_partition = true;
        return 0;
}

/* A path may be spread over several nodes; they are joined by one backslash. */
static int take_file_path(Span node, BootEntry *entry) {
        _cleanup_(buffer_done) Buffer joined = {};
        char *part;
        int r;

        r = utf16_to_utf8((Span){node.data + NODE_HEADER_SIZE, node.size - NODE_HEADER_SIZE}, &part, NULL);
        if (r < 0)
                return r;
        if (!entry->path) {
                entry->path = part;
                return 0;
        }
        r = buffer_append_format(&joined, "%s%s%s", entry->path, *part == '\\' ? "" : "\\", part);
        free(part);
        if (r >= 0)
                r = buffer_append_u8(&joined, 0);
        if (r < 0)
                return r;
        free(entry->path);
        entry->path = (char *)TAKE_POINTER(joined.data);
        return 0;
}

/* Walks the first device path of the list; what follows its end is for the loader itself. */
static int parse_device_path(Span list, BootEntry *entry) {
        uint64_t offset = 0;
        uint16_t length;
        Span node;
        int r;

        for (;;) {
                r = span_u16(list, offset + 2, &length);
                if (r < 0 || length < NODE_HEADER_SIZE || span_slice(list, offset, length, &node) < 0)
                        return -EBADMSG;
                if (node.data[0] == NODE_END)
                        return node.data[1] == NODE_END_ENTIRE ? 0 : -EBADMSG;
                if (node.data[0] == NODE_MEDIA && node.data[1] == NODE_MEDIA_HARD_DRIVE)
                        r = take_hard_drive(node, entry);
                else if (node.data[0] == NODE_MEDIA && node.data[1] == NODE_MEDIA_FILE_PATH)
                        r = take_file_path(node, entry);
                if (r < 0)
                        return r;
                offset += length;
        }
}

int boot_entry_parse(Span data, BootEntry *ret) {
        _cleanup_(boot_entry_done) BootEntry entry = {};
        uint32_t attributes;
        uint16_t list_size;
        size_t used;
        Span rest;
        int r;

        if (span_u32(data, 0, &attributes) < 0 || span_u16(data, 4, &list_size) < 0)
                return -EBADMSG;
        entry.active = attributes & LOAD_OPTION_ACTIVE;

        (void)span_slice(data, 6, data.size - 6, &rest);
        r = utf16_to_utf8(rest, &entry.description, &used);
        if (r < 0)
                return r;
        r = span_slice(rest, used, list_size, &rest);
        if (r < 0)
                return r;
        r = parse_device_path(rest, &entry);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(entry);
        return 0;
}

static int append_text(Buffer *buffer, const char *text) {
        int r = 0;

        for (const char *c = text; r >= 0 && *c; c++)
                r = *c & 0x80 ? -EINVAL : buffer_append_u16(buffer, *c);
        return r < 0 ? r : buffer_append_u16(buffer, 0);
}

static int append_node(Buffer *buffer, uint8_t type, uint8_t subtype, Span data) {
        const uint8_t kind[] = {type, subtype};
        int r;

        r = buffer_append(buffer, (Span){kind, sizeof(kind)});
        if (r >= 0)
                r = buffer_append_u16(buffer, NODE_HEADER_SIZE + data.size);
        return r < 0 ? r : buffer_append(buffer, data);
}

static int append_hard_drive(Buffer *buffer, const BootEntry *entry) {
        const uint8_t types[] = {FORMAT_GPT, SIGNATURE_TYPE_GUID};
        _cleanup_(buffer_done) Buffer data = {};
        int r;

        r = buffer_append_u32(&data, entry->partition_number);
        if (r >= 0)
                r = buffer_append_u64(&data, entry->partition_start);
        if (r >= 0)
                r = buffer_append_u64(&data, entry->partition_blocks);
        if (r >= 0)
                r = buffer_append(&data, (Span){entry->partition.bytes, GUID_SIZE});
        if (r >= 0)
                r = buffer_append(&data, (Span){types, sizeof(types)});
        return r < 0 ? r : append_node(buffer, NODE_MEDIA, NODE_MEDIA_HARD_DRIVE, buffer_span(&data));
}

/* The short form of a device path, which begins with the partition: firmware looks for that on all disks. */
static int append_device_path(Buffer *buffer, const BootEntry *entry) {
        _cleanup_(buffer_done) Buffer path = {};
        int r;

        r = append_hard_drive(buffer, entry);
        if (r >= 0)
                r = append_text(&path, entry->path);
        if (r >= 0)
                r = append_node(buffer, NODE_MEDIA, NODE_MEDIA_FILE_PATH, buffer_span(&path));
        return r < 0 ? r : append_node(buffer, NODE_END, NODE_END_ENTIRE, (Span){});
}

int boot_entry_format(const BootEntry *entry, Buffer *ret) {
        _cleanup_(buffer_done) Buffer list = {};
        int r;

        r = append_device_path(&list, entry);
        if (r >= 0)
                r = buffer_append_u32(ret, entry->active ? LOAD_OPTION_ACTIVE : 0);
        if (r >= 0)
                r = buffer_append_u16(ret, list.size);
        if (r >= 0)
                r = append_text(ret, entry->description);
        return r < 0 ? r : buffer_append(ret, buffer_span(&list));
}
