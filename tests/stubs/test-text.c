/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/text.h"

#include <glib.h>

static void assert_text(const Text *text, const char *expected) {
        g_autofree char *found = g_utf16_to_utf8(text->data, -1, NULL, NULL, NULL);

        g_assert_cmpstr(found, ==, expected);
        g_assert_cmpuint(text->data[text->length], ==, 0);
}

static void test_formats(void) {
        Text text = {};

        text_append(&text, "%s|%b|%w|%x|%u|%0u|%0u|%%", "string", bytes_from_string("bytes"), u"wide",
                    (Bytes){(const uint8_t *)"\x01\xff", 2}, (uint64_t)18446744073709551615u, (uint64_t)7,
                    (uint64_t)123);
        assert_text(&text, "string|bytes|wide|01ff|18446744073709551615|07|123|%");
        text_clear(&text);
        text_append(&text, "%u", (uint64_t)0);
        assert_text(&text, "0");
}

static void test_hostile(void) {
        Text text = {};

        text_append(&text, "[%b][%w]", (Bytes){(const uint8_t *)"a\r\n\x1b[2J\0\xc3", 9}, u"b\x1b\x08\x7f");
        assert_text(&text, "[a???[2J??][b???]");
}

static void test_overlong(void) {
        Text text = {};

        for (int i = 0; i < 200; i++)
                text_append(&text, "0123456789");
        g_assert_cmpuint(text.length, ==, TEXT_MAX);
        g_assert_cmpuint(text.data[TEXT_MAX], ==, 0);
        g_assert_cmpuint(text.data[TEXT_MAX - 1], ==, '3');
}

static void assert_lines(const char *sentence, size_t columns, const char *expected) {
        g_autofree uint16_t *text = g_utf8_to_utf16(sentence, -1, NULL, NULL, NULL);
        g_autoptr(GString) lines = g_string_new(NULL);

        for (const uint16_t *rest = text; *rest != 0;) {
                size_t length = text_line(rest, columns);
                g_autofree char *line = g_utf16_to_utf8(rest, (glong)length, NULL, NULL, NULL);
                g_string_append_printf(lines, "%s|", line);
                rest += rest[length] == 0 ? length : length + 1;
        }
        g_assert_cmpstr(lines->str, ==, expected);
}

static void test_lines(void) {
        assert_lines("", 10, "");
        assert_lines("short", 10, "short|");
        assert_lines("ten units.", 10, "ten units.|");
        assert_lines("eleven unit", 10, "eleven|unit|");
        assert_lines("one two three four five", 10, "one two|three four|five|");
        assert_lines("the file \\a\\very\\long\\path is bad", 10, "the file|\\a\\very\\long\\path|is bad|");
        assert_lines("\\a\\very\\long\\path", 10, "\\a\\very\\long\\path|");
        assert_lines("  two  spaces ", 5, "  two| spaces|");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/text/writes-each-kind-of-value", test_formats);
        g_test_add_func("/stubs/text/shows-no-control-characters-of-others", test_hostile);
        g_test_add_func("/stubs/text/cuts-what-does-not-fit", test_overlong);
        g_test_add_func("/stubs/text/breaks-lines-between-words", test_lines);
        return g_test_run();
}
