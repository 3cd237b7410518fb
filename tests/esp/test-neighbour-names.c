/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/neighbour-names.h"

#include <glib.h>

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define STORE "0c6v4c1xdhmqrnsz8w9h3gk2la7ybf5p"
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void test_images(void) {
        static const struct {
                const char *name;
                uint64_t generation; /* 0: none of these */
        } cases[] = {
                {"nixos-generation-7.efi", 7},
                {"nixos-generation-123456789012345678.efi", 123456789012345678},
                {"nixos-generation-7+3.efi", 7},
                {"nixos-generation-7+2-1.efi", 7},
                {"nixos-generation-7-specialisation-x.efi", 7},
                {"nixos-generation-7-specialisation-a b+c\"-" HASH "+1-2.efi", 7},
                {"nixos-generation-7-specialisation-.efi", 0},
                {"nixos-generation-07.efi", 0},
                {"nixos-generation-0.efi", 0},
                {"nixos-generation-.efi", 0},
                {"nixos-generation-1234567890123456789.efi", 0},
                {"nixos-generation-7x.efi", 0},
                {"nixos-generation-7.EFI", 0},
                {"Nixos-generation-7.efi", 0},
                {"nixos-work-generation-7.efi", 0},
                {"nixos-generation-7-other.efi", 0},
                {"nixos-generation-7+.efi", 0},
                {"", 0},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint64_t generation = 0;

                g_assert_cmpint(lanzaboote_image_parse(cases[i].name, &generation), ==, cases[i].generation > 0);
                g_assert_cmpuint(generation, ==, cases[i].generation);
        }
}

static void test_contents(void) {
        static const struct {
                const char *name;
                bool lanzaboote, store;
        } cases[] = {
                {"kernel-6.1.1-" HASH ".efi", true, false},
                {"kernel-6.1.1+rpt=?-" HASH ".efi", true, false},
                {"initrd-x-" HASH ".efi", true, false},
                {"initrd--" HASH ".efi", false, false},
                {"initrd-" HASH ".efi", false, false},
                {"kernel-6 1-" HASH ".efi", false, false},
                {"kernel-6.1-A" HASH ".efi", false, false},
                {"kernel-6.1-" HASH ".EFI", false, false},
                {STORE "-linux-6.12.30-bzImage.efi", false, true},
                {STORE "-initrd-linux+x-6.1-initrd.efi", false, true},
                {STORE "-x.efi", false, true},
                {STORE "-.efi", false, false},
                {STORE ".efi", false, false},
                {"e" STORE "-x.efi", false, false},
                {STORE "-a b.efi", false, false},
                {STORE "-x.EFI", false, false},
                {"0C6v4c1xdhmqrnsz8w9h3gk2la7ybf5p-x.efi", false, false},
                {"0c6v4c1xdhmqrnsz8w9h3gk2la7ybf5e-x.efi", false, false}, /* no "e" in Nix' base32 */
                {HEX "-initrd.efi", false, true},
                {HEX "-kernel.efi", false, false},
                {"memtest.efi", false, false},
                {"", false, false},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_assert_cmpint(lanzaboote_content_valid(cases[i].name), ==, cases[i].lanzaboote);
                g_assert_cmpint(store_content_valid(cases[i].name), ==, cases[i].store);
        }
}

static void test_entries(void) {
        static const struct {
                const char *name;
                bool valid;
                const char *profile;
                uint64_t generation;
        } cases[] = {
                {"nixos-generation-3.conf", true, "", 3},
                {"nixos-generation-3+2-1.conf", true, "", 3},
                {"nixos-generation-3-specialisation-a b.conf", true, "", 3},
                {"nixos-generation-3-specialisation-c++.conf", true, "", 3},
                {"nixos-work-generation-3.conf", true, "work", 3},
                {"nixos-a-generation-1-generation-3.conf", true, "a-generation-1", 3},
                {"nixos-" HEX ".conf", true, "", 0},
                {"nixos-" HEX "+3.conf", true, "", 0},
                {"nixos-" HEX "a.conf", false, NULL, 0},
                {"nixos-generation-03.conf", false, NULL, 0},
                {"nixos--generation-3.conf", false, NULL, 0},
                {"nixos-generation-3.CONF", false, NULL, 0},
                {"nixos.conf", false, NULL, 0},
                {"mine-generation-3.conf", false, NULL, 0},
                {"", false, NULL, 0},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                BuilderEntryName parsed = {};
                g_autofree char *profile = NULL;

                g_assert_cmpint(builder_entry_parse(cases[i].name, &parsed), ==, cases[i].valid);
                if (!cases[i].valid)
                        continue;
                profile = g_strndup((const char *)parsed.profile.data ?: "", parsed.profile.size);
                g_assert_cmpstr(profile, ==, cases[i].profile);
                g_assert_cmpuint(parsed.generation, ==, cases[i].generation);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/neighbour-names/images-of-lanzaboote", test_images);
        g_test_add_func("/esp/neighbour-names/kernels-and-initrds", test_contents);
        g_test_add_func("/esp/neighbour-names/entries-of-nixpkgs-builder", test_entries);
        return g_test_run();
}
