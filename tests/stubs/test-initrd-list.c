/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/initrd-list.h"

#include <glib.h>
#include <string.h>

static void assert_joined(const char *const *parts, const char *expected, size_t size) {
        g_autofree uint8_t *buffer = NULL;
        InitrdList list = {};

        for (size_t i = 0; parts[i]; i++)
                initrd_list_add(&list, bytes_from_string(parts[i]));
        g_assert_cmpuint(list.size, ==, size);
        buffer = g_malloc(MAX(list.size, 1)); /* exactly: the sanitizer watches its end */
        memset(buffer, 0xff, list.size);
        initrd_list_copy(&list, buffer);
        g_assert_cmpmem(buffer, list.size, expected, size);
}

#define JOINED(expected, ...) assert_joined((const char *const[]){__VA_ARGS__, NULL}, expected, sizeof(expected) - 1)

static void test_padding(void) {
        JOINED("micr0123", "micr", "0123");
        JOINED("a\0\0\0b", "a", "b");
        JOINED("ab\0\0cde\0fghij", "ab", "cde", "fghij");
        JOINED("12345\0\0\0"
               "678\0"
               "1234"
               "5",
               "12345", "678", "1234", "5");
}

static void test_one(void) {
        JOINED("only", "only");
        JOINED("only.", "only.");
}

static void test_empty(void) {
        JOINED("", NULL);
        JOINED("", "");
        JOINED("a\0\0\0b", "", "a", "", "b", "");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/initrd-list/begins-each-part-at-a-multiple-of-four", test_padding);
        g_test_add_func("/stubs/initrd-list/leaves-one-part-as-it-is", test_one);
        g_test_add_func("/stubs/initrd-list/leaves-out-what-is-empty", test_empty);
        return g_test_run();
}
