/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>

#include "daemon/esp/loader-conf.h"

static void assert_text(const LoaderConf *conf, const char *expected) {
        _cleanup_(buffer_done) Buffer text = {};
        g_autofree char *found = NULL;

        g_assert_cmpint(loader_conf_format(conf, &text), ==, 0);
        found = g_strndup((const char *)text.data, text.size);
        g_assert_cmpstr(found, ==, expected);
}

static void test_default(void) {
        assert_text(&(LoaderConf){.lines = span_from_string("timeout 5\neditor no\n"),
                                  .default_image = "nixos-generation-7-specialisation-Big-abc.efi"},
                    "timeout 5\neditor no\ndefault nixos-generation-7-specialisation-big-abc.efi\n");
        assert_text(&(LoaderConf){}, "default nixos-*\n");
        assert_text(&(LoaderConf){.token = "Work"}, "default work-*\n");
}

static void test_counting(void) {
        LoaderConf conf = {.default_image = "nixos-generation-7-abc.efi", .counting = true};

        assert_text(&conf, "default nixos-*\n");
        conf.loader_version = "257.9";
        assert_text(&conf, "default nixos-*\n");
        conf.loader_version = "260.1";
        assert_text(&conf, "preferred nixos-generation-7-abc.efi\ndefault nixos-*\n");
}

static void test_lines(void) {
        assert_text(&(LoaderConf){.lines = span_from_string(
                                          "default x\n  preferred y\ndefault\n# default\ndefaults z\n\nbeep")},
                    "# default\ndefaults z\n\nbeep\ndefault nixos-*\n");
}

static void test_refused(void) {
        Buffer text = {};

        g_assert_cmpint(loader_conf_format(&(LoaderConf){.lines = span_from_string("a\rb\n")}, &text), ==, -EINVAL);
        g_assert_cmpint(loader_conf_format(&(LoaderConf){.lines = {(const uint8_t *)"a\0b", 3}}, &text), ==, -EINVAL);
        g_assert_null(text.data);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/loader-conf/the-default-image-is-named-in-lower-case", test_default);
        g_test_add_func("/esp/loader-conf/with-boot-counting-no-default-is-named-but-preferred-where-known",
                        test_counting);
        g_test_add_func("/esp/loader-conf/the-administrator's-lines-come-first-without-default", test_lines);
        g_test_add_func("/esp/loader-conf/control-characters-are-refused", test_refused);
        return g_test_run();
}
