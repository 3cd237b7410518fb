/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/utf16.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/util/macro.h"

static void check(const uint16_t *units, size_t count, const char *expected) {
        g_autofree char *text = NULL, *judge = g_utf16_to_utf8(units, count, NULL, NULL, NULL);

        g_assert_cmpint(utf16_to_utf8((Span){(const uint8_t *)units, 2 * count}, &text, NULL), ==, 0);
        g_assert_cmpstr(text, ==, expected);
        g_assert_cmpstr(text, ==, judge);
}

static void test_encodes_every_length(void) {
        static const uint16_t text[] = {'A', 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0xd83d, 0xde00};

        check(text, ARRAY_LENGTH(text), "A\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x9f\x98\x80");
        check(text, 0, "");
}

static void test_agrees_with_glib_on_every_character(void) {
        for (uint32_t c = 1; c <= 0x10ffff; c += c < 0x3000 ? 1 : 257) {
                uint16_t units[2] = {c};
                size_t count = 1;
                char expected[7] = "";

                if (c >= 0xd800 && c <= 0xdfff)
                        continue;
                if (c > 0xffff) {
                        units[0] = 0xd800 + ((c - 0x10000) >> 10);
                        units[1] = 0xdc00 + ((c - 0x10000) & 0x3ff);
                        count = 2;
                }
                g_unichar_to_utf8(c, expected);
                check(units, count, expected);
        }
}

static void test_stops_at_the_first_nul_and_says_where(void) {
        static const uint8_t bytes[] = {'a', 0, 'b', 0, 0, 0, 'c', 0};
        g_autofree char *text = NULL;
        size_t used = 0;

        g_assert_cmpint(utf16_to_utf8((Span){bytes, sizeof(bytes)}, &text, &used), ==, 0);
        g_assert_cmpstr(text, ==, "ab");
        g_assert_cmpuint(used, ==, 6);
}

static void test_refuses_what_is_no_text(void) {
        static const struct {
                uint8_t bytes[4];
                size_t size;
        } bad[] = {
                {{'a'}, 1},                    /* half a unit */
                {{'a', 0, 'b'}, 3},            /* half a unit behind a whole one */
                {{0x00, 0xd8}, 2},             /* the first half of a pair, at the end */
                {{0x00, 0xd8, 'a', 0x00}, 4},  /* … and something else behind it */
                {{0x00, 0xdc}, 2},             /* the second half alone */
                {{0x00, 0xd8, 0x00, 0xd8}, 4}, /* two first halves */
        };

        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                char *text = NULL;
                uint8_t *copy = g_memdup2(bad[i].bytes, bad[i].size);

                g_assert_cmpint(utf16_to_utf8((Span){copy, bad[i].size}, &text, NULL), ==, -EBADMSG);
                g_assert_null(text);
                g_free(copy);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/utf16/encodes-every-length", test_encodes_every_length);
        g_test_add_func("/util/utf16/agrees-with-glib-on-every-character", test_agrees_with_glib_on_every_character);
        g_test_add_func("/util/utf16/stops-at-the-first-nul-and-says-where",
                        test_stops_at_the_first_nul_and_says_where);
        g_test_add_func("/util/utf16/refuses-what-is-no-text", test_refuses_what_is_no_text);
        return g_test_run();
}
