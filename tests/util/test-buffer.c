/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/buffer.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

static void assert_content(const Buffer *buffer, const char *expected, size_t size) {
        g_assert_cmpmem(buffer->data, buffer->size, expected, size);
        g_assert_cmpuint(buffer->allocated, >=, buffer->size);
}

static void test_append(void) {
        _cleanup_(buffer_done) Buffer buffer = {};

        g_assert_cmpint(buffer_append_string(&buffer, "ab"), ==, 0);
        g_assert_cmpint(buffer_append(&buffer, (Span){}), ==, 0);
        g_assert_cmpint(buffer_append_format(&buffer, "%d%s", 12, "c"), ==, 0);
        g_assert_cmpint(buffer_append_zero(&buffer, 2), ==, 0);
        g_assert_cmpint(buffer_append_u8(&buffer, 0xf1), ==, 0);
        g_assert_cmpint(buffer_append_u16(&buffer, 0x0203), ==, 0);
        g_assert_cmpint(buffer_append_u32(&buffer, 0x04050607), ==, 0);
        g_assert_cmpint(buffer_append_u64(&buffer, G_GUINT64_CONSTANT(0x08090a0b0c0d0e0f)), ==, 0);
        assert_content(&buffer, "ab12c\0\0\xf1\3\2\7\6\5\4\17\16\15\14\13\12\11\10", 22);
}

/* Past every growth, content is kept. */
static void test_growth(void) {
        _cleanup_(buffer_done) Buffer buffer = {};

        for (unsigned i = 0; i < 10000; i++)
                g_assert_cmpint(buffer_append_u8(&buffer, i), ==, 0);
        g_assert_cmpuint(buffer.size, ==, 10000);
        for (unsigned i = 0; i < 10000; i++)
                g_assert_cmpuint(buffer.data[i], ==, i & 0xff);
}

static void test_reserve(void) {
        _cleanup_(buffer_done) Buffer buffer = {};
        const uint8_t *data;

        g_assert_cmpint(buffer_reserve(&buffer, 100), ==, 0);
        data = buffer.data;
        g_assert_cmpint(buffer_append_zero(&buffer, 100), ==, 0);
        g_assert_true(buffer.data == data);
        g_assert_cmpint(buffer_reserve(&buffer, SIZE_MAX), ==, -ENOMEM);
        g_assert_cmpint(buffer_append(&buffer, (Span){data, SIZE_MAX - 50}), ==, -ENOMEM);
        g_assert_cmpuint(buffer.size, ==, 100);
        g_assert_true(buffer.data == data);
}

static void test_done(void) {
        Buffer buffer = {};

        buffer_done(&buffer);
        buffer_wipe(&buffer);
        g_assert_cmpint(buffer_append_string(&buffer, "secret"), ==, 0);
        buffer_wipe(&buffer);
        g_assert_null(buffer.data);
        g_assert_cmpuint(buffer.size, ==, 0);
        g_assert_cmpuint(buffer_span(&buffer).size, ==, 0);
        g_assert_cmpint(buffer_append_string(&buffer, "again"), ==, 0);
        assert_content(&buffer, "again", 5);
        buffer_done(&buffer);
        g_assert_null(buffer.data);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/buffer/appends-text-and-little-endian-integers", test_append);
        g_test_add_func("/util/buffer/keeps-its-content-when-it-grows", test_growth);
        g_test_add_func("/util/buffer/refuses-impossible-sizes-unchanged", test_reserve);
        g_test_add_func("/util/buffer/is-empty-and-usable-after-its-end", test_done);
        return g_test_run();
}
