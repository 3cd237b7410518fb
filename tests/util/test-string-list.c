/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/string-list.h"

#include <glib.h>

static void test_list(void) {
        _cleanup_(string_list_done) StringList list = {};
        char text[] = "c";

        string_list_sort(&list);
        g_assert_false(string_list_contains(&list, "a"));
        g_assert_cmpint(string_list_add(&list, text), ==, 0);
        text[0] = 'x'; /* the list has a copy */
        g_assert_cmpint(string_list_add_format(&list, "%s%d", "b", 7), ==, 0);
        g_assert_cmpint(string_list_add(&list, ""), ==, 0);
        g_assert_cmpint(string_list_add(&list, "\xc3\xa4"), ==, 0);
        g_assert_cmpint(string_list_add(&list, "Z"), ==, 0);
        g_assert_cmpuint(list.count, ==, 5);
        g_assert_cmpstr(list.items[0], ==, "c");
        g_assert_true(string_list_contains(&list, "b7"));
        g_assert_false(string_list_contains(&list, "b"));

        string_list_sort(&list);
        g_assert_cmpstr(list.items[0], ==, "");
        g_assert_cmpstr(list.items[1], ==, "Z");
        g_assert_cmpstr(list.items[2], ==, "b7");
        g_assert_cmpstr(list.items[3], ==, "c");
        g_assert_cmpstr(list.items[4], ==, "\xc3\xa4");
}

static void test_done(void) {
        StringList list = {};

        string_list_done(&list);
        g_assert_cmpint(string_list_add(&list, "a"), ==, 0);
        string_list_done(&list);
        g_assert_cmpuint(list.count, ==, 0);
        g_assert_null(list.items);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/string-list/copies-finds-and-sorts-by-bytes", test_list);
        g_test_add_func("/util/string-list/is-empty-after-its-end", test_done);
        return g_test_run();
}
