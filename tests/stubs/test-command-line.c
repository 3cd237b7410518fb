/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/command-line.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static CommandLine line;

static void assert_line(const char *expected) {
        g_autofree char *found = g_utf16_to_utf8(line.text, -1, NULL, NULL, NULL);

        g_assert_cmpstr(found, ==, expected);
        g_assert_cmpuint(line.text[line.length], ==, 0);
}

static void test_embedded(void) {
        g_assert_null(command_line_from_section(
                bytes_from_string("init=/nix/store/x-\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7/init a\tb"), &line));
        assert_line("init=/nix/store/x-\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7/init a\tb");
        g_assert_null(command_line_from_section((Bytes){}, &line));
        assert_line("");
        g_assert_null(command_line_from_section(bytes_from_string("quiet \t\r\n\n"), &line));
        assert_line("quiet");
}

static void test_embedded_bad(void) {
        const struct {
                const char *text;
                size_t size;
                const char *wrong;
        } bad[] = {
                {"a\nb", 3, "has a control character in it"},
                {"a\0b", 3, "has a control character in it"},
                {"a\x7f", 2, "has a control character in it"},
                {"\x1b[2J", 4, "has a control character in it"},
                {"\xff", 1, "is not valid UTF-8"},
                {"\xc0\xaf", 2, "is not valid UTF-8"},
                {"\xe0\x80\xaf", 3, "is not valid UTF-8"},
                {"\xed\xa0\x80", 3, "is not valid UTF-8"},
                {"\xf4\x90\x80\x80", 4, "is not valid UTF-8"},
                {"\xe2\x82", 2, "is not valid UTF-8"},
                {"\x80", 1, "is not valid UTF-8"},
                {"\xc3(", 2, "is not valid UTF-8"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_cmpstr(command_line_from_section((Bytes){(const uint8_t *)bad[i].text, bad[i].size}, &line),
                                ==, bad[i].wrong);
}

static void test_length(void) {
        g_autofree char *text = g_strnfill(LANZA_CMDLINE_MAX_BYTES + 1, 'x');

        g_assert_nonnull(command_line_from_section(bytes_from_string(text), &line));
        text[LANZA_CMDLINE_MAX_BYTES] = '\0';
        g_assert_null(command_line_from_section(bytes_from_string(text), &line));
        assert_line(text);
}

/* Random bytes, many of them continuation bytes, judged by GLib. */
static void test_random(void) {
        static const char alphabet[] = "a \x80\xbf\xc2\xdf\xe0\xa0\xed\x9f\xef\xf0\x90\xf4\x8f\xf5\xc3";
        const char *seed = getenv("LANZA_SEED");
        guint32 number = seed ? (guint32)strtoul(seed, NULL, 0) : 1;
        GRand *random = g_rand_new_with_seed(number);
        char text[7] = "";

        g_test_message("LANZA_SEED=%u", number);
        for (int i = 0; i < 200000; i++) {
                for (int j = 0; j < 6; j++)
                        text[j] = alphabet[g_rand_int_range(random, 0, sizeof alphabet - 1)];
                bool valid = command_line_from_section((Bytes){(const uint8_t *)text, 6}, &line) == NULL;
                g_strchomp(text);
                g_assert_true(valid == g_utf8_validate(text, -1, NULL));
                if (valid)
                        assert_line(text);
        }
        g_rand_free(random);
}

static bool options(const uint16_t *units, size_t size) {
        return command_line_from_load_options((Bytes){(const uint8_t *)units, size}, &line);
}

static void test_passed(void) {
        g_assert_true(options(u"quiet splash", 2 * 13));
        assert_line("quiet splash");
        g_assert_true(options(u"quiet", 2 * 5)); /* no NUL */
        assert_line("quiet");
        g_assert_true(options(u"a\0b", 2 * 3)); /* ends at its NUL */
        assert_line("a");
        g_assert_true(options(u"x=\U0001f427 \n", 2 * 6));
        assert_line("x=\xf0\x9f\x90\xa7");
}

static void test_passed_binary(void) {
        static const uint16_t lone_high[] = {'a', 0xd800, 'b'}, lone_low[] = {0xdc00, 'a'}, at_end[] = {'a', 0xd800};

        g_assert_false(options(NULL, 0));
        g_assert_false(options(u"", 2));
        g_assert_false(options(u"  \t", 2 * 4));
        g_assert_false(options(u"a\x01", 2 * 2));
        g_assert_false(options(u"\u00e4=1", 2 * 3));
        g_assert_false(options(u"a\nb", 2 * 3));
        g_assert_false(options(u"quiet", 2 * 5 - 1));
        g_assert_false(options(lone_high, sizeof lone_high));
        g_assert_false(options(lone_low, sizeof lone_low));
        g_assert_false(options(at_end, sizeof at_end));
        assert_line("");
        /* The GUID that edk2's boot manager passes to entries that it made itself. */
        static const uint8_t guid[] = {0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
                                       0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2};
        g_assert_false(command_line_from_load_options((Bytes){guid, sizeof guid}, &line));
}

static void test_passed_long(void) {
        g_autofree uint16_t *units = g_new(uint16_t, LANZA_CMDLINE_MAX_BYTES + 1);

        for (int i = 0; i <= LANZA_CMDLINE_MAX_BYTES; i++)
                units[i] = 'x';
        g_assert_true(options(units, 2 * LANZA_CMDLINE_MAX_BYTES));
        g_assert_cmpuint(line.length, ==, LANZA_CMDLINE_MAX_BYTES);
        g_assert_false(options(units, 2 * (LANZA_CMDLINE_MAX_BYTES + 1)));
        assert_line("");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/command-line/converts-the-embedded-one", test_embedded);
        g_test_add_func("/stubs/command-line/refuses-what-is-not-plain-utf-8", test_embedded_bad);
        g_test_add_func("/stubs/command-line/takes-16384-bytes-and-not-one-more", test_length);
        g_test_add_func("/stubs/command-line/agrees-with-glib-on-what-utf-8-is", test_random);
        g_test_add_func("/stubs/command-line/takes-load-options-that-are-text", test_passed);
        g_test_add_func("/stubs/command-line/ignores-load-options-that-are-not-text", test_passed_binary);
        g_test_add_func("/stubs/command-line/ignores-load-options-that-are-too-long", test_passed_long);
        return g_test_run();
}
