/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/esp-path.h"

#include <glib.h>
#include <string.h>

static void test_good(void) {
        const char *good[] = {
                "\\EFI\\nixos\\kernel-6.1.1-linux-abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst.efi",
                "\\a",
                "\\..a",
                "\\a b\\c",
                "\\.hidden",
                "\\a+1-2.efi",
                "\\~!@#$%^&()_{}'`;,=[]"};

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
                g_assert_cmpstr(esp_path_check(bytes_from_string(good[i])), ==, NULL);
}

static void test_bad(void) {
        const struct {
                const char *path, *wrong;
        } bad[] = {
                {"", "does not begin with a backslash"},
                {"EFI\\a", "does not begin with a backslash"},
                {"/EFI/a", "does not begin with a backslash"},
                {"\\EFI/a", "has a character that is not allowed in names on this file system"},
                {"\\", "has an empty component"},
                {"\\EFI\\", "has an empty component"},
                {"\\EFI\\\\a", "has an empty component"},
                {"\\\\server\\a", "has an empty component"},
                {"\\..\\a", "goes up or in place with a component \"..\" or \".\""},
                {"\\EFI\\..", "goes up or in place with a component \"..\" or \".\""},
                {"\\EFI\\.\\a", "goes up or in place with a component \"..\" or \".\""},
                {"\\EFI\\...\\a", "has a component that ends with a dot"},
                {"\\EFI\\a.", "has a component that ends with a dot"},
                {"\\EFI\\.. \\a", "has a component with a space at its edge"},
                {"\\EFI\\ ..\\a", "has a component with a space at its edge"},
                {"\\EFI\\a\n", "has a character that is not allowed in names on this file system"},
                {"\\EFI\\\xc3\xa4", "has a character that is not allowed in names on this file system"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_cmpstr(esp_path_check(bytes_from_string(bad[i].path)), ==, bad[i].wrong);
        g_assert_nonnull(esp_path_check((Bytes){(const uint8_t *)"\\a\0b", 4}));
}

static void test_characters(void) {
        for (unsigned character = 0; character < 256; character++) {
                const uint8_t path[] = {'\\', 'a', (uint8_t)character, 'b'};
                bool allowed = character >= 0x20 && character <= 0x7e && !strchr("\"*/:<>?|", (int)character);
                g_assert_true((esp_path_check((Bytes){path, sizeof path}) == NULL) == allowed);
        }
}

static void test_length(void) {
        g_autofree char *path = g_strnfill(256, 'a');

        path[0] = '\\';
        g_assert_nonnull(esp_path_check((Bytes){(const uint8_t *)path, 256}));
        g_assert_null(esp_path_check((Bytes){(const uint8_t *)path, 255}));

        uint16_t wide[LANZA_ESP_PATH_MAX_BYTES + 1];
        memset(wide, 0xff, sizeof wide);
        esp_path_to_utf16((Bytes){(const uint8_t *)path, 255}, wide);
        g_autofree char *back = g_utf16_to_utf8(wide, -1, NULL, NULL, NULL);
        g_assert_cmpuint(strlen(back), ==, 255);
        g_assert_cmpmem(back, 255, path, 255);
}

static const char *parse(const char *list, Bytes paths[LANZA_INITRDS_MAX], size_t *count) {
        return esp_path_list_parse(bytes_from_string(list), paths, count);
}

static void test_lists(void) {
        Bytes paths[LANZA_INITRDS_MAX];
        size_t count = 0;

        g_assert_null(parse("\\a", paths, &count));
        g_assert_cmpuint(count, ==, 1);
        g_assert_null(parse("\\a\n\\EFI\\b\n\\a", paths, &count));
        g_assert_cmpuint(count, ==, 3);
        g_assert_true(bytes_equal(paths[0], bytes_from_string("\\a")));
        g_assert_true(bytes_equal(paths[1], bytes_from_string("\\EFI\\b")));
        g_assert_true(bytes_equal(paths[2], bytes_from_string("\\a")));
}

static void test_bad_lists(void) {
        const char *bad[] = {"", "\n", "\\a\n", "\n\\a", "\\a\n\n\\b", "\\a\r\n\\b", "\\a\n..\\b", "\\a \\b\n\\c\\"};
        Bytes paths[LANZA_INITRDS_MAX];
        size_t count = 77;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_nonnull(parse(bad[i], paths, &count));
        g_assert_cmpuint(count, ==, 77);
}

static void test_many(void) {
        GString *list = g_string_new("\\i");
        Bytes paths[LANZA_INITRDS_MAX];
        size_t count;

        for (int i = 1; i < LANZA_INITRDS_MAX; i++)
                g_string_append(list, "\n\\i");
        g_assert_null(parse(list->str, paths, &count));
        g_assert_cmpuint(count, ==, LANZA_INITRDS_MAX);
        g_string_append(list, "\n\\i");
        g_assert_nonnull(parse(list->str, paths, &count));
        g_string_free(list, TRUE);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/esp-path/accepts-names-that-fat-allows", test_good);
        g_test_add_func("/stubs/esp-path/says-what-is-wrong-with-a-path", test_bad);
        g_test_add_func("/stubs/esp-path/judges-each-of-256-bytes", test_characters);
        g_test_add_func("/stubs/esp-path/takes-255-characters-and-not-256", test_length);
        g_test_add_func("/stubs/esp-path/splits-a-list-at-its-line-feeds", test_lists);
        g_test_add_func("/stubs/esp-path/refuses-lists-with-empty-lines-or-bad-paths", test_bad_lists);
        g_test_add_func("/stubs/esp-path/takes-16-paths-and-not-17", test_many);
        return g_test_run();
}
