/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>

#include "daemon/esp/loader-conf.h"

#define IMAGE "nixos-generation-7-specialisation-Big-abc.efi"

static void assert_default(const DefaultEntry *entry, const char *expected) {
        _cleanup_(buffer_done) Buffer text = {};
        g_autofree char *found = NULL;

        g_assert_cmpint(loader_conf_add_default(entry, &text), ==, 0);
        found = g_strndup((const char *)text.data, text.size);
        g_assert_cmpstr(found, ==, expected);
}

static void test_named(void) {
        assert_default(&(DefaultEntry){.image = IMAGE, .naming = DEFAULT_NAMED},
                       "default nixos-generation-7-specialisation-big-abc.efi\n");
        assert_default(&(DefaultEntry){.image = IMAGE, .naming = DEFAULT_COUNTED},
                       "default nixos-generation-7-specialisation-big-abc*\n");
}

static void test_any(void) {
        assert_default(&(DefaultEntry){}, "default nixos-*\n");
        assert_default(&(DefaultEntry){.naming = DEFAULT_NAMED, .preferred = true}, "default nixos-*\n");
        assert_default(&(DefaultEntry){.image = IMAGE}, "default nixos-*\n");
        assert_default(&(DefaultEntry){.image = IMAGE, .token = "Work"}, "default work-*\n");
}

static void test_preferred(void) {
        assert_default(&(DefaultEntry){.image = IMAGE, .preferred = true},
                       "preferred nixos-generation-7-specialisation-big-abc.efi\ndefault nixos-*\n");
        g_assert_false(loader_knows_preferred(NULL));
        g_assert_false(loader_knows_preferred("259.9"));
        g_assert_true(loader_knows_preferred("260"));
}

static void test_lines(void) {
        _cleanup_(buffer_done) Buffer text = {};
        g_autofree char *found = NULL;

        g_assert_cmpint(
                loader_conf_add_lines(
                        span_from_string("default x\n  preferred y\ndefault\n# default\ndefaults z\n\nbeep"), &text),
                ==, 0);
        found = g_strndup((const char *)text.data, text.size);
        g_assert_cmpstr(found, ==, "# default\ndefaults z\n\nbeep\n");
}

static void test_refused(void) {
        _cleanup_(buffer_done) Buffer text = {};

        g_assert_cmpint(loader_conf_add_lines(span_from_string("a\rb\n"), &text), ==, -EINVAL);
        g_assert_cmpint(loader_conf_add_lines((Span){(const uint8_t *)"a\0b", 3}, &text), ==, -EINVAL);
        g_assert_null(text.data);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/loader-conf/the-default-image-is-named-in-lower-case", test_named);
        g_test_add_func("/esp/loader-conf/any-entry-of-this-installation-may-be-the-default", test_any);
        g_test_add_func("/esp/loader-conf/an-image-is-preferred-where-that-is-known", test_preferred);
        g_test_add_func("/esp/loader-conf/the-administrator's-lines-stay-without-default", test_lines);
        g_test_add_func("/esp/loader-conf/control-characters-are-refused", test_refused);
        return g_test_run();
}
