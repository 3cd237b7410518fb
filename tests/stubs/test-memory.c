/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The stub's own memory functions, under other names: on the host the usual ones are the C library's. */
#define memcpy stub_memcpy
#define memmove stub_memmove
#define memset stub_memset
#define memcmp stub_memcmp
#include "stubs/memory.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#include <glib.h>
#include <string.h>

static void test_move(void) {
        for (size_t from = 0; from < 8; from++)
                for (size_t to = 0; to < 8; to++) {
                        char ours[] = "0123456789abcdef", libc[] = "0123456789abcdef";
                        stub_memmove(ours + to, ours + from, 8);
                        memmove(libc + to, libc + from, 8);
                        g_assert_cmpstr(ours, ==, libc);
                }
}

static void test_copy_and_set(void) {
        char buffer[] = "................";

        stub_memcpy(buffer + 1, "copied", 6);
        stub_memset(buffer + 8, 'x', 3);
        g_assert_cmpstr(buffer, ==, ".copied.xxx.....");
}

static void test_compare(void) {
        g_assert_cmpint(stub_memcmp("abc", "abd", 2), ==, 0);
        g_assert_cmpint(stub_memcmp("abc", "abd", 3), <, 0);
        g_assert_cmpint(stub_memcmp("\xff", "\x01", 1), >, 0);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/memory/moves-overlapping-bytes-both-ways", test_move);
        g_test_add_func("/stubs/memory/copies-and-sets-exactly-what-was-asked", test_copy_and_set);
        g_test_add_func("/stubs/memory/compares-as-unsigned-bytes", test_compare);
        return g_test_run();
}
