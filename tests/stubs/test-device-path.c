/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/device-path.h"

#include <glib.h>
#include <string.h>

static void add_node(GByteArray *path, uint8_t type, uint8_t subtype, const void *data, size_t size) {
        const uint8_t header[] = {type, subtype, (uint8_t)(size + 4), (uint8_t)((size + 4) >> 8)};

        g_byte_array_append(path, header, sizeof header);
        g_byte_array_append(path, data, (guint)size);
}

static void add_partition(GByteArray *path, uint8_t first, uint8_t signature_type) {
        uint8_t data[38] = {};

        for (uint8_t i = 0; i < 16; i++)
                data[20 + i] = first + i;
        data[36] = 2; /* GPT */
        data[37] = signature_type;
        add_node(path, 4, 1, data, sizeof data);
}

static void add_end(GByteArray *path) {
        add_node(path, 0x7f, 0xff, NULL, 0);
}

static void assert_text(const Text *text, const char *expected) {
        g_autofree char *found = g_utf16_to_utf8(text->data, -1, NULL, NULL, NULL);

        g_assert_cmpstr(found, ==, expected);
}

static void test_partition(void) {
        g_autoptr(GByteArray) path = g_byte_array_new();
        Text text = {};

        add_node(path, 2, 1, "\0\0\0\0\0\0\0\0", 8);
        add_partition(path, 0x80, 2);
        add_partition(path, 0x10, 2); /* the nearer one counts */
        add_end(path);
        g_assert_true(device_path_append_partition(path->data, &text));
        assert_text(&text, "13121110-1514-1716-1819-1a1b1c1d1e1f");
        g_assert_cmpuint(device_path_size(path->data), ==, path->len - 4);
}

static void test_no_partition(void) {
        g_autoptr(GByteArray) path = g_byte_array_new();
        Text text = {};

        add_partition(path, 0x10, 1); /* an MBR's serial number */
        add_node(path, 4, 1, "short", 5);
        add_end(path);
        g_assert_false(device_path_append_partition(path->data, &text));
        assert_text(&text, "");
}

static void test_file(void) {
        g_autoptr(GByteArray) path = g_byte_array_new();
        Text text = {};

        add_node(path, 4, 4, u"\\EFI\\Linux", 2 * 11);
        add_node(path, 4, 4, u"a.efi", 2 * 5); /* no NUL */
        add_end(path);
        g_assert_true(device_path_append_file(path->data, &text));
        assert_text(&text, "\\EFI\\Linux\\a.efi");

        g_byte_array_set_size(path, 0);
        add_end(path);
        g_assert_false(device_path_append_file(path->data, &text));
        g_assert_cmpuint(device_path_size(path->data), ==, 0);
}

static void test_malformed(void) {
        static const uint8_t too_short[] = {4, 4, 3, 0};
        g_autoptr(GByteArray) path = g_byte_array_new();
        Text text = {};

        g_assert_false(device_path_append_file(too_short, &text));
        for (int i = 0; i < 70; i++)
                add_node(path, 4, 4, u"\\a", 4);
        g_assert_true(device_path_append_file(path->data, &text)); /* no end node: it stops all the same */
        g_assert_cmpuint(text.length, ==, 2 * 64);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/device-path/names-the-nearest-gpt-partition", test_partition);
        g_test_add_func("/stubs/device-path/finds-no-partition-where-there-is-none", test_no_partition);
        g_test_add_func("/stubs/device-path/joins-file-nodes-with-backslashes", test_file);
        g_test_add_func("/stubs/device-path/stops-at-malformed-or-endless-paths", test_malformed);
        return g_test_run();
}
