/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/boot-entry.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/util/buffer.h"
#include "daemon/util/macro.h"

#define PARTITION "77fa9abd-0359-4d32-bd60-28f4e78f784b"

enum { ACTIVE = 1, MEDIA = 4, HARD_DRIVE = 1, FILE_PATH = 4, MESSAGING = 3, END = 0x7f, ENTIRE = 0xff };

static void append_node(Buffer *list, uint8_t type, uint8_t subtype, const void *data, size_t size) {
        buffer_append_u8(list, type);
        buffer_append_u8(list, subtype);
        buffer_append_u16(list, 4 + size);
        buffer_append(list, (Span){data, size});
}

static void append_text(Buffer *buffer, const char *ascii) {
        for (const char *c = ascii; *c; c++)
                buffer_append_u16(buffer, *c);
        buffer_append_u16(buffer, 0);
}

static void append_file(Buffer *list, const char *path) {
        _cleanup_(buffer_done) Buffer text = {};

        append_text(&text, path);
        append_node(list, MEDIA, FILE_PATH, text.data, text.size);
}

static void append_drive(Buffer *list, uint8_t signature_type) {
        uint8_t data[38] = {1};
        Guid partition;

        g_assert_cmpint(guid_parse(span_from_string(PARTITION), &partition), ==, 0);
        memcpy(data + 20, partition.bytes, sizeof(partition.bytes));
        data[36] = 2; /* GPT */
        data[37] = signature_type;
        append_node(list, MEDIA, HARD_DRIVE, data, sizeof(data));
}

static void make_entry(Buffer *entry, uint32_t attributes, const char *description, const Buffer *list) {
        buffer_append_u32(entry, attributes);
        buffer_append_u16(entry, list->size);
        append_text(entry, description);
        buffer_append(entry, buffer_span(list));
}

static void make_usual(Buffer *entry) {
        _cleanup_(buffer_done) Buffer list = {};

        append_drive(&list, 2);
        append_file(&list, "\\EFI\\systemd\\systemd-bootx64.efi");
        append_node(&list, END, ENTIRE, NULL, 0);
        make_entry(entry, ACTIVE, "Linux Boot Manager", &list);
        buffer_append_string(entry, "options for the loader");
}

static void test_reads_what_an_entry_starts(void) {
        _cleanup_(buffer_done) Buffer data = {};
        _cleanup_(boot_entry_done) BootEntry entry = {};
        char partition[GUID_TEXT_SIZE];

        make_usual(&data);
        g_assert_cmpint(boot_entry_parse(buffer_span(&data), &entry), ==, 0);
        g_assert_true(entry.active);
        g_assert_cmpstr(entry.description, ==, "Linux Boot Manager");
        g_assert_cmpstr(entry.path, ==, "\\EFI\\systemd\\systemd-bootx64.efi");
        g_assert_true(entry.has_partition);
        guid_format(&entry.partition, partition);
        g_assert_cmpstr(partition, ==, PARTITION);
}

static void test_joins_a_path_in_several_nodes(void) {
        _cleanup_(buffer_done) Buffer list = {}, data = {};
        _cleanup_(boot_entry_done) BootEntry entry = {};

        append_file(&list, "\\EFI");
        append_file(&list, "\\BOOT");
        append_file(&list, "BOOTX64.EFI");
        append_node(&list, END, ENTIRE, NULL, 0);
        make_entry(&data, 0, "", &list);
        g_assert_cmpint(boot_entry_parse(buffer_span(&data), &entry), ==, 0);
        g_assert_false(entry.active);
        g_assert_cmpstr(entry.path, ==, "\\EFI\\BOOT\\BOOTX64.EFI");
        g_assert_false(entry.has_partition);
}

static void test_an_entry_may_name_no_file(void) {
        static const uint8_t address[33] = {};
        _cleanup_(buffer_done) Buffer list = {}, data = {};
        _cleanup_(boot_entry_done) BootEntry entry = {};

        append_drive(&list, 1); /* of an MBR disk: no GUID */
        append_node(&list, MESSAGING, 11, address, sizeof(address));
        append_node(&list, END, ENTIRE, NULL, 0);
        make_entry(&data, ACTIVE, "network", &list);
        g_assert_cmpint(boot_entry_parse(buffer_span(&data), &entry), ==, 0);
        g_assert_null(entry.path);
        g_assert_false(entry.has_partition);
}

/* Byte for byte what make_usual() makes, but for what is the loader's own. */
static void test_writes_what_it_reads(void) {
        BootEntry entry = {
                .active = true,
                .description = (char *)"Linux Boot Manager",
                .path = (char *)"\\EFI\\systemd\\systemd-bootx64.efi",
                .has_partition = true,
                .partition_number = 1,
                .partition_start = 0x1122334455667788,
                .partition_blocks = 0x99aabbccddeeff00,
        };
        _cleanup_(buffer_done) Buffer expected = {}, made = {};
        _cleanup_(boot_entry_done) BootEntry found = {};

        make_usual(&expected);
        g_assert_cmpint(guid_parse(span_from_string(PARTITION), &entry.partition), ==, 0);
        g_assert_cmpint(boot_entry_format(&entry, &made), ==, 0);
        g_assert_cmpint(boot_entry_parse(buffer_span(&made), &found), ==, 0);
        g_assert_cmpuint(found.partition_number, ==, 1);
        g_assert_cmphex(found.partition_start, ==, entry.partition_start);
        g_assert_cmphex(found.partition_blocks, ==, entry.partition_blocks);

        entry.partition_start = entry.partition_blocks = 0;
        buffer_done(&made);
        g_assert_cmpint(boot_entry_format(&entry, &made), ==, 0);
        expected.size -= strlen("options for the loader");
        g_assert_cmpmem(made.data, made.size, expected.data, expected.size);
}

static void test_writes_ascii_only(void) {
        const BootEntry entry = {
                .description = (char *)"Linux", .path = (char *)"\\\xc3\xa4.efi", .has_partition = true};
        _cleanup_(buffer_done) Buffer made = {};

        g_assert_cmpint(boot_entry_format(&entry, &made), ==, -EINVAL);
}

static void test_refuses_what_ends_too_early(void) {
        _cleanup_(buffer_done) Buffer data = {};
        size_t whole;

        make_usual(&data);
        whole = data.size - strlen("options for the loader");
        for (size_t size = 0; size < whole; size++) {
                BootEntry entry = {.description = (char *)"untouched"};
                uint8_t *copy = g_memdup2(data.data, size);

                g_assert_cmpint(boot_entry_parse((Span){copy, size}, &entry), ==, -EBADMSG);
                g_assert_cmpstr(entry.description, ==, "untouched");
                g_free(copy);
        }
}

static void test_refuses_nodes_that_contradict_themselves(void) {
        static const uint8_t short_drive[20] = {};
        Buffer lists[4] = {}, data[4] = {};

        append_node(&lists[0], MEDIA, HARD_DRIVE, short_drive, sizeof(short_drive));
        append_node(&lists[0], END, ENTIRE, NULL, 0);
        buffer_append(&lists[1], (Span){(const uint8_t[]){MEDIA, FILE_PATH, 3, 0}, 4}); /* shorter than its header */
        append_node(&lists[1], END, ENTIRE, NULL, 0);
        append_node(&lists[2], END, 0x01, NULL, 0);            /* of one instance: more would follow */
        append_node(&lists[3], MEDIA, FILE_PATH, "\0\xd8", 2); /* half a surrogate pair */
        append_node(&lists[3], END, ENTIRE, NULL, 0);
        for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
                BootEntry entry = {};

                make_entry(&data[i], ACTIVE, "x", &lists[i]);
                g_assert_cmpint(boot_entry_parse(buffer_span(&data[i]), &entry), ==, -EBADMSG);
                buffer_done(&lists[i]);
                buffer_done(&data[i]);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/firmware/boot-entry/reads-what-an-entry-starts", test_reads_what_an_entry_starts);
        g_test_add_func("/firmware/boot-entry/joins-a-path-in-several-nodes", test_joins_a_path_in_several_nodes);
        g_test_add_func("/firmware/boot-entry/may-name-no-file", test_an_entry_may_name_no_file);
        g_test_add_func("/firmware/boot-entry/refuses-what-ends-too-early", test_refuses_what_ends_too_early);
        g_test_add_func("/firmware/boot-entry/writes-what-it-reads", test_writes_what_it_reads);
        g_test_add_func("/firmware/boot-entry/writes-ascii-only", test_writes_ascii_only);
        g_test_add_func("/firmware/boot-entry/refuses-nodes-that-contradict-themselves",
                        test_refuses_nodes_that_contradict_themselves);
        return g_test_run();
}
