/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/span.h"

#include <errno.h>
#include <glib.h>

#include "daemon/util/macro.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static const Span nine = {bytes, sizeof(bytes)};

static void test_slice(void) {
        static const struct {
                uint64_t offset, length;
                int result;
        } cases[] = {
                {0, 9, 0},
                {9, 0, 0},
                {3, 4, 0},
                {0, 10, -EBADMSG},
                {9, 1, -EBADMSG},
                {10, 0, -EBADMSG},
                {UINT64_MAX, 0, -EBADMSG},
                {1, UINT64_MAX, -EBADMSG},
                {UINT64_MAX, UINT64_MAX, -EBADMSG},
                {UINT64_MAX - 2, 4, -EBADMSG}, /* whose sum is 1 */
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                Span slice = {NULL, 12345};

                g_assert_cmpint(span_slice(nine, cases[i].offset, cases[i].length, &slice), ==, cases[i].result);
                if (cases[i].result < 0) {
                        g_assert_cmpuint(slice.size, ==, 12345);
                        continue;
                }
                g_assert_true(slice.data == bytes + cases[i].offset);
                g_assert_cmpuint(slice.size, ==, cases[i].length);
        }
}

static void test_empty(void) {
        Span slice = nine;

        g_assert_cmpint(span_slice((Span){}, 0, 0, &slice), ==, 0);
        g_assert_null(slice.data);
        g_assert_cmpuint(slice.size, ==, 0);
        g_assert_true(span_equal((Span){}, (Span){bytes, 0}));
        g_assert_true(span_starts_with((Span){}, (Span){}));
}

static void test_integers(void) {
        uint8_t u8 = 0;
        uint16_t u16 = 0;
        uint32_t u32 = 0;
        uint64_t u64 = 0;

        g_assert_cmpint(span_u8(nine, 8, &u8), ==, 0);
        g_assert_cmphex(u8, ==, 9);
        g_assert_cmpint(span_u16(nine, 1, &u16), ==, 0);
        g_assert_cmphex(u16, ==, 0x0302);
        g_assert_cmpint(span_u32(nine, 5, &u32), ==, 0);
        g_assert_cmphex(u32, ==, 0x09080706);
        g_assert_cmpint(span_u64(nine, 1, &u64), ==, 0);
        g_assert_cmphex(u64, ==, G_GUINT64_CONSTANT(0x0908070605040302));

        g_assert_cmpint(span_u8(nine, 9, &u8), ==, -EBADMSG);
        g_assert_cmpint(span_u16(nine, 8, &u16), ==, -EBADMSG);
        g_assert_cmpint(span_u32(nine, 6, &u32), ==, -EBADMSG);
        g_assert_cmpint(span_u64(nine, 2, &u64), ==, -EBADMSG);
        g_assert_cmpint(span_u64(nine, UINT64_MAX - 3, &u64), ==, -EBADMSG);
        g_assert_cmphex(u16, ==, 0x0302);
        g_assert_cmphex(u32, ==, 0x09080706);
}

static void test_compare(void) {
        g_assert_true(span_equal(span_from_string("abc"), span_from_string("abc")));
        g_assert_false(span_equal(span_from_string("abc"), span_from_string("abd")));
        g_assert_false(span_equal(span_from_string("abc"), span_from_string("ab")));
        g_assert_true(span_starts_with(span_from_string("abc"), span_from_string("ab")));
        g_assert_true(span_starts_with(span_from_string("abc"), span_from_string("")));
        g_assert_false(span_starts_with(span_from_string("ab"), span_from_string("abc")));
}

static void test_find(void) {
        size_t at = 99;

        g_assert_cmpint(span_find(nine, (Span){bytes + 3, 2}, 0, &at), ==, 0);
        g_assert_cmpuint(at, ==, 3);
        g_assert_cmpint(span_find(span_from_string("abab"), span_from_string("ab"), 1, &at), ==, 0);
        g_assert_cmpuint(at, ==, 2);
        g_assert_cmpint(span_find(span_from_string("abab"), span_from_string("ab"), 3, &at), ==, -ENOENT);
        g_assert_cmpint(span_find(span_from_string("abab"), span_from_string("x"), 0, &at), ==, -ENOENT);
        g_assert_cmpint(span_find(span_from_string("ab"), span_from_string("b"), 3, &at), ==, -ENOENT);
        g_assert_cmpuint(at, ==, 2);
        g_assert_cmpint(span_find(span_from_string("ab"), span_from_string(""), 2, &at), ==, 0);
        g_assert_cmpuint(at, ==, 2);
}

static void test_find_control(void) {
        for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
                uint8_t text[] = {'a', ' ', byte, byte, '~'};
                const uint8_t *expected = byte < ' ' || byte == 0x7f ? text + 2 : NULL;
                const Span span = {text, sizeof(text)};

                g_assert_true(span_find_control(span, /* tab_allowed= */ false) == expected);
                g_assert_true(span_find_control(span, /* tab_allowed= */ true) == (byte == '\t' ? NULL : expected));
                g_assert_null(span_find_control((Span){text, 2}, /* tab_allowed= */ false));
        }
        g_assert_null(span_find_control((Span){}, /* tab_allowed= */ false));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/span/slices-stay-inside", test_slice);
        g_test_add_func("/util/span/nothing-is-a-good-span", test_empty);
        g_test_add_func("/util/span/integers-are-little-endian-and-inside", test_integers);
        g_test_add_func("/util/span/compares-content-and-length", test_compare);
        g_test_add_func("/util/span/finds-from-an-offset-on", test_find);
        g_test_add_func("/util/span/finds-ascii-control-characters-and-no-others", test_find_control);
        return g_test_run();
}
