/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/loader-entry.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* The paths, one a line. */
static char *paths_of(const char *text, ssize_t size) {
        _cleanup_(string_list_done) StringList paths = {};
        GString *joined = g_string_new(NULL);
        Span span = {(const uint8_t *)text, size >= 0 ? (size_t)size : strlen(text)};

        g_assert_cmpint(loader_entry_parse(span, &paths), ==, 0);
        for (size_t i = 0; i < paths.count; i++)
                g_string_append_printf(joined, "%s%s", i > 0 ? "\n" : "", paths.items[i]);
        return g_string_free(joined, FALSE);
}

static void assert_paths(const char *text, const char *expected) {
        g_autofree char *found = paths_of(text, -1);

        g_assert_cmpstr(found, ==, expected);
}

/* As nixpkgs' builder for systemd-boot writes it. */
static void test_typical(void) {
        assert_paths("title NixOS\n"
                     "sort-key nixos\n"
                     "version Generation 3 NixOS 25.05, built on 2025-06-01\n"
                     "linux /EFI/nixos/0c6v-linux-6.12.30-bzImage.efi\n"
                     "initrd /EFI/nixos/1abc-initrd-linux-6.12.30-initrd.efi\n"
                     "options init=/nix/store/x-nixos-system/init quiet\n"
                     "machine-id 0123456789abcdef0123456789abcdef\n"
                     "devicetree /EFI/nixos/a.dtb\n",
                     "EFI/nixos/0c6v-linux-6.12.30-bzImage.efi\n"
                     "EFI/nixos/1abc-initrd-linux-6.12.30-initrd.efi\n"
                     "EFI/nixos/a.dtb");
}

static void test_forms(void) {
        assert_paths("", "");
        assert_paths("\n\n#linux /a\n# linux /b\nlinux\nlinux  \nlinux /\nlinuxx /c\nLINUX /d", "");
        assert_paths("  linux\t \tEFI\\a//b\\\\c.efi \t\r\n\tinitrd \\x\r\ninitrd y", "EFI/a/b/c.efi\nx\ny");
        assert_paths("efi /a b/c d.efi", "a b/c d.efi");
        assert_paths("uki /..a/.b/c..d", "..a/.b/c..d");
        assert_paths("devicetree-overlay /a.dtbo  b/c.dtbo\t/d\n", "a.dtbo\nb/c.dtbo\nd");
}

static void test_ambiguous(void) {
        static const char *const bad[] = {
                "linux /EFI/../EFI/nixos/k",
                "linux .",
                "linux /a/./b",
                "initrd /a. ",
                "efi /a./b",
                "linux /a /b",
                "linux /a/ b",
                "uki \\a\\..",
                "linux /a\x01",
                "linux /a\x7f/b",
                "devicetree-overlay a ../b",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                _cleanup_(string_list_done) StringList paths = {};

                g_assert_cmpint(loader_entry_parse(span_from_string(bad[i]), &paths), ==, -EBADMSG);
        }
        _cleanup_(string_list_done) StringList paths = {};
        g_assert_cmpint(loader_entry_parse((Span){(const uint8_t *)"title a\0b", 9}, &paths), ==, -EBADMSG);
}

static void assert_machine(const char *text, size_t size, const char *expected) {
        LoaderEntryOwner owner;

        g_assert_cmpint(loader_entry_owner_parse((Span){(const uint8_t *)text, size}, &owner), ==, 0);
        g_assert_cmpstr(owner.machine_id, ==, expected);
        loader_entry_owner_done(&owner);
}

static void test_owner(void) {
        static const char nul[] = "machine-id 01\0x", nul_behind[] = "machine-id 01\0",
                          nul_between[] = "machine-id\0"
                                          "01";

        assert_machine("title x\n", 8, NULL);
        assert_machine("machine-id 01\r\n", 15, "01");
        assert_machine("machine-id 01\nmachine-id 01\n", 28, "");
        assert_machine("machine-id 0\r1\n", 15, "");
        assert_machine(nul, sizeof(nul) - 1, "");
        assert_machine(nul_behind, sizeof(nul_behind) - 1, "");
        assert_machine(nul_between, sizeof(nul_between) - 1, NULL);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/loader-entry/names-what-nixpkgs-builder-names", test_typical);
        g_test_add_func("/esp/loader-entry/reads-lines-as-the-boot-loader-does", test_forms);
        g_test_add_func("/esp/loader-entry/a-name-that-may-mean-another-file-is-refused", test_ambiguous);
        g_test_add_func("/esp/loader-entry/a-machine-said-twice-or-with-control-characters-is-nobodys", test_owner);
        return g_test_run();
}
