/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>

#include "daemon/esp/loader-version.h"

static void assert_version(const char *binary, const char *expected) {
        g_autofree char *version = NULL;

        g_test_message("%s", binary);
        g_assert_cmpint(loader_version_find(span_from_string(binary), &version), ==, expected ? 0 : -ENOENT);
        g_assert_cmpstr(version, ==, expected);
}

static void test_find(void) {
        assert_version("MZ...#### LoaderInfo: systemd-boot 257.7-1~deb13u1 ####...", "257.7-1~deb13u1");
        assert_version("#### LoaderInfo: systemd-boot 258 ####", "258");
        assert_version("#### LoaderInfo: systemd-boot #### LoaderInfo: systemd-boot 9 ####", "9");
}

static void test_find_none(void) {
        g_autofree char *text = g_strnfill(128, '1');
        g_autofree char *too_long = g_strdup_printf("#### LoaderInfo: systemd-boot %s ####", text);

        assert_version("", NULL);
        assert_version("#### LoaderInfo: systemd-boot ", NULL);
        assert_version("#### LoaderInfo: systemd-boot 257", NULL);
        assert_version("#### LoaderInfo: systemd-boot 257 ###", NULL);
        assert_version("#### LoaderInfo: systemd-boot  ####", NULL);
        assert_version("#### LoaderInfo: systemd-boot 2 57 ####", NULL);
        assert_version("#### LoaderInfo: systemd-boot 2\n57 ####", NULL);
        assert_version("#### LoaderInfo: systemd-stub 257 ####", NULL);
        assert_version(too_long, NULL);
}

static int sign(int n) {
        return (n > 0) - (n < 0);
}

static void assert_order(const char *a, const char *b, int expected) {
        g_test_message("%s %s", a, b);
        g_assert_cmpint(sign(version_compare(a, b)), ==, expected);
        g_assert_cmpint(sign(version_compare(b, a)), ==, -expected);
        g_assert_cmpint(version_compare(a, a), ==, 0);
}

static void test_order(void) {
        /* The specification's own examples. */
        assert_order("11", "11", 0);
        assert_order("systemd-123", "systemd-123", 0);
        assert_order("bar-123", "foo-123", -1);
        assert_order("123a", "123", 1);
        assert_order("123.a", "123", 1);
        assert_order("123.a", "123.b", -1);
        assert_order("123a", "123.a", 1);
        assert_order("11α", "11β", 0);
        assert_order("A", "a", -1);
        assert_order("", "0", -1);
        assert_order("0.", "0", 1);
        assert_order("0.0", "0", 1);
        assert_order("0", "~", 1);
        assert_order("", "~", 1);
        assert_order("1_", "1", 0);
        assert_order("_1", "1", 0);
        assert_order("1_", "1.2", -1);
        assert_order("1_2_3", "1.3.3", 1);
        assert_order("1+2+3", "1.3.3", 1);
        /* Boot loaders as they are met. */
        assert_order("257.4", "257.10", -1);
        assert_order("258~rc1", "258", -1);
        assert_order("258~rc1", "258~rc2", -1);
        assert_order("257.7-1~deb13u1", "257.7-1", -1);
        assert_order("257.7-1", "257.7", 1);
        assert_order("257-1", "257.1-1", -1);
        assert_order("257^20250101", "257", 1);
        assert_order("0257", "257", 0);
        assert_order("99999999999999999999999", "100000000000000000000000", -1);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/loader-version/the-version-stands-between-systemd-boot's-marks", test_find);
        g_test_add_func("/esp/loader-version/what-has-no-complete-mark-is-no-systemd-boot", test_find_none);
        g_test_add_func("/esp/loader-version/versions-are-ordered-as-the-specification-says", test_order);
        return g_test_run();
}
