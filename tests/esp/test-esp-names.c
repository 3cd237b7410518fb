/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"

/* 52 characters of base32, the last of which carries one bit. */
#define HASH "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrsa"

static char *text_of(Span span) {
        return span.size > 0 ? g_strndup((const char *)span.data, span.size) : g_strdup("");
}

static void assert_span(Span span, const char *expected) {
        g_autofree char *text = text_of(span);

        g_assert_cmpstr(text, ==, expected);
}

static void test_image_parts(void) {
        ImageName name;

        g_assert_cmpint(image_name_parse("nixos-generation-7-" HASH ".efi", NULL, &name), ==, 0);
        assert_span(name.base, "nixos-generation-7-" HASH);
        assert_span(name.identity, "nixos-generation-7");
        assert_span(name.profile, "");
        g_assert_cmpuint(name.generation, ==, 7);
        assert_span(name.specialisation, "");
        assert_span(name.hash, HASH);
        assert_span(name.counter, "");

        g_assert_cmpint(
                image_name_parse("nixos-test-me-generation-120-specialisation-a_b.c-" HASH "+2-1.efi", NULL, &name), ==,
                0);
        assert_span(name.identity, "nixos-test-me-generation-120-specialisation-a_b.c");
        assert_span(name.profile, "test-me");
        g_assert_cmpuint(name.generation, ==, 120);
        assert_span(name.specialisation, "a_b.c");
        assert_span(name.counter, "+2-1");
        assert_span(name.base, "nixos-test-me-generation-120-specialisation-a_b.c-" HASH);
}

static void test_image_token(void) {
        ImageName name;

        g_assert_cmpint(image_name_parse("work-generation-7-" HASH ".efi", "work", &name), ==, 0);
        g_assert_cmpint(image_name_parse("work-generation-7-" HASH ".efi", NULL, &name), ==, -EINVAL);
        g_assert_cmpint(image_name_parse("nixos-generation-7-" HASH ".efi", "work", &name), ==, -EINVAL);
        g_assert_true(image_token_valid("nixos"));
        g_assert_false(image_token_valid(""));
        g_assert_false(image_token_valid("a-b"));
        g_assert_false(image_token_valid("a b"));
        g_assert_false(image_token_valid("12345678901234567"));
}

static void test_image_refused(void) {
        static const char *const bad[] = {
                "",
                ".efi",
                "nixos-generation-7.efi",
                "nixos-generation-7-" HASH,
                "nixos-generation-7-" HASH ".EFI",
                "Nixos-generation-7-" HASH ".efi",
                "nixos-generation-07-" HASH ".efi",
                "nixos-generation-0-" HASH ".efi",
                "nixos-generation--" HASH ".efi",
                "nixos-generation-7x-" HASH ".efi",
                "nixos-generation-1234567890123456789-" HASH ".efi",
                "nixos-system-generation-7-" HASH ".efi",
                "nixos--generation-7-" HASH ".efi",
                "nixos-generation-7-specialisation--" HASH ".efi",
                "nixos-generation-7-specialisation-a b-" HASH ".efi",
                "nixos-generation-7-a" HASH ".efi",
                "nixos-generation-7-bcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrsa.efi",
                "nixos-generation-7-abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrsb.efi",
                "nixos-generation-7-abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrsA.efi",
                "nixos-generation-7-abcdefghijklmnopqrstuvwxyz234561abcdefghijklmnopqrsa.efi",
                "nixos-generation-7-" HASH "+.efi",
                "nixos-generation-7-" HASH "+1-.efi",
                "nixos-generation-7-" HASH "+1-2-3.efi",
                "nixos-generation-7-" HASH "+a.efi",
                "nixos-generation-7-" HASH "+1+2.efi",
                "nixos-generation-7-" HASH ".efi.efi",
                "xnixos-generation-7-" HASH ".efi",
                "generation-7-" HASH ".efi",
        };
        ImageName name;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_test_message("%s", bad[i]);
                g_assert_cmpint(image_name_parse(bad[i], NULL, &name), ==, -EINVAL);
        }
}

static void test_image_format(void) {
        static const struct {
                const char *profile, *specialisation, *expected;
        } cases[] = {
                {NULL, NULL, "nixos-generation-3"},
                {"", "", "nixos-generation-3"},
                {"system", NULL, "nixos-generation-3"},
                {"test", "fancy", "nixos-test-generation-3-specialisation-fancy"},
                {"a/b", "ä +x", "nixos-a_b-generation-3-specialisation-____x"},
        };
        Sha256 hash = {{1, 2, 3}};
        ImageName parsed;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *name = NULL;

                g_assert_cmpint(image_name_format(NULL, cases[i].profile, 3, cases[i].specialisation, &hash, &name), ==,
                                0);
                g_assert_cmpint(image_name_parse(name, NULL, &parsed), ==, 0);
                assert_span(parsed.identity, cases[i].expected);
        }
}

/* Whether an image that is made for one generation is taken for one of another. */
static bool is_of(const char *made_profile, uint64_t made_number, const char *specialisation, const char *profile,
                  uint64_t number) {
        static const Sha256 hash;
        g_autofree char *text = NULL;
        ImageName name;

        g_assert_cmpint(image_name_format("laptop", made_profile, made_number, specialisation, &hash, &text), ==, 0);
        g_assert_cmpint(image_name_parse(text, "laptop", &name), ==, 0);
        g_assert_false(image_name_is_of(&name, NULL, profile, number));
        return image_name_is_of(&name, "laptop", profile, number);
}

static void test_image_of(void) {
        static const char ambiguous[] = "generation-1-specialisation-x";
        g_autofree char *longest = g_strnfill(200, 'p'), *other = g_strnfill(3, 'p');

        g_assert_true(is_of(NULL, 12, NULL, "", 12));
        g_assert_true(is_of("system", 12, "x", NULL, 12));
        g_assert_false(is_of(NULL, 12, NULL, NULL, 1));
        g_assert_false(is_of(NULL, 1, NULL, NULL, 12));
        g_assert_true(is_of("w\303\266rk", 12, "x", "w\303\266rk", 12));
        g_assert_false(is_of("work", 12, NULL, "", 12));
        g_assert_false(is_of("", 12, NULL, "work", 12));
        g_assert_false(is_of("work", 12, NULL, "wor", 12));
        g_assert_true(is_of(longest, 12, NULL, longest, 12));
        g_assert_false(is_of(longest, 12, NULL, other, 12));
        g_assert_true(is_of(ambiguous, 7, NULL, ambiguous, 7));
}

static void test_image_longest(void) {
        g_autofree char *long_text = g_strnfill(300, 'x'), *name = NULL, *counted = NULL;
        Sha256 hash = {};
        ImageName parsed;

        g_assert_cmpint(image_name_format("tokentokentokent", long_text, 999999999999999999, long_text, &hash, &name),
                        ==, 0);
        counted = entry_name_with_counter(name, span_from_string("+4294967295-4294967295"));
        g_assert_cmpuint(strlen(counted), <=, ESP_NAME_MAX);
        g_assert_cmpint(image_name_parse(counted, "tokentokentokent", &parsed), ==, 0);
        g_assert_cmpuint(parsed.generation, ==, 999999999999999999);
}

static void test_entries(void) {
        g_autofree char *plain = entry_name("Foo+3-1.EFI"), *kept = entry_name("a+b.efi");
        g_autofree char *counted = entry_name_with_counter("a.efi", span_from_string("+3"));

        g_assert_cmpstr(plain, ==, "Foo.EFI");
        g_assert_cmpstr(kept, ==, "a+b.efi");
        g_assert_cmpstr(counted, ==, "a+3.efi");
        assert_span(entry_name_counter("x+10-2.efi"), "+10-2");
        assert_span(entry_name_counter("x+10-2"), "+10-2");
        g_assert_cmpuint(entry_name_counter("x.efi").size, ==, 0);
        g_assert_true(entry_name_equal("A+1.efi", "a+0-3.EFI"));
        g_assert_true(entry_name_equal("a.efi", "a.efi"));
        g_assert_false(entry_name_equal("a.efi", "b.efi"));
        g_assert_false(entry_name_equal("a.efi", "a"));
        g_assert_false(entry_name_equal("a+x.efi", "a.efi"));
}

static void test_contents(void) {
        g_autofree char *name = NULL, *unknown = NULL, *strange = NULL;
        Sha256 hash;
        ContentName parsed;

        memset(&hash, 0xff, sizeof(hash));
        g_assert_cmpint(content_name_format(CONTENT_KERNEL, "6.1.1", &hash, &name), ==, 0);
        g_assert_true(g_str_has_prefix(name, "kernel-6.1.1-777777"));
        g_assert_cmpint(content_name_parse(name, &parsed), ==, 0);
        g_assert_cmpint(parsed.kind, ==, CONTENT_KERNEL);
        assert_span(parsed.version, "6.1.1");

        g_assert_cmpint(content_name_format(CONTENT_INITRD, NULL, &hash, &unknown), ==, 0);
        g_assert_true(g_str_has_prefix(unknown, "initrd-unknown-7777"));
        g_assert_cmpint(content_name_format(CONTENT_INITRD, "6 1/\\", &hash, &strange), ==, 0);
        g_assert_true(g_str_has_prefix(strange, "initrd-6_1__-7777"));
        g_assert_cmpint(content_name_parse(strange, &parsed), ==, 0);
}

static void test_contents_refused(void) {
        static const char *const bad[] = {
                "kernel-" HASH ".efi",
                "kernel--" HASH ".efi",
                "kernel-6.1-" HASH,
                "kernel-6.1-" HASH ".EFI",
                "Kernel-6.1-" HASH ".efi",
                "kernel-6 1-" HASH ".efi",
                "initrd-6.1-x" HASH ".efi",
                "bzImage-6.1-" HASH ".efi",
                "kernel-6.1-" HASH "+1.efi",
                "kernel-6.1-" HASH ".efi~1",
                "fwupd-6.1-" HASH ".efi",
                "kernel-6.1.efi",
                "KERNEL~1.EFI",
        };
        ContentName parsed;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_test_message("%s", bad[i]);
                g_assert_cmpint(content_name_parse(bad[i], &parsed), ==, -EINVAL);
        }
}

static void test_temporaries(void) {
        char name[TEMPORARY_NAME_SIZE];

        temporary_name_format(0x2a, name);
        g_assert_cmpstr(name, ==, "LANZ002A.TMP");
        g_assert_true(temporary_name_valid(name));
        g_assert_true(temporary_name_valid("lanz002a.tmp"));
        g_assert_false(temporary_name_valid("LANZ002G.TMP"));
        g_assert_false(temporary_name_valid("LANZ02A.TMP"));
        g_assert_false(temporary_name_valid("LANZ002A.TMPX"));
        g_assert_false(temporary_name_valid("XLANZ02A.TMP"));
}

static void test_paths(void) {
        g_autofree char *path = NULL, *back = NULL;

        g_assert_cmpint(esp_path_parse(span_from_string("\\EFI\\nixos\\kernel-6.1.1-x.efi"), &path), ==, 0);
        g_assert_cmpstr(path, ==, "EFI/nixos/kernel-6.1.1-x.efi");
        g_assert_cmpint(esp_path_format(path, &back), ==, 0);
        g_assert_cmpstr(back, ==, "\\EFI\\nixos\\kernel-6.1.1-x.efi");
}

static void test_paths_refused(void) {
        static const char *const bad[] = {
                "",        "\\",      "a",     "a\\b",  "\\\\a", "\\a\\", "\\a\\\\b", "\\..\\a",
                "\\a\\..", "\\.",     "\\a/b", "\\a:b", "\\a*",  "\\a\"", "\\a\nb",   "\\a\\ b",
                "\\a \\b", "\\a.\\b", "\\a?",  "\\a|b", "\\a<b", "\\ä",   "\\a\x7f",  "/EFI/a",
        };
        g_autofree char *longest = g_strnfill(255, 'a'), *too_long = g_strnfill(256, 'a'), *path = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                char *unset = NULL;

                g_test_message("%s", bad[i]);
                g_assert_cmpint(esp_path_parse(span_from_string(bad[i]), &unset), ==, -EINVAL);
        }
        g_assert_cmpint(esp_path_parse((Span){(const uint8_t *)"\\a\0b", 4}, &path), ==, -EINVAL);
        longest[0] = too_long[0] = '\\';
        g_assert_cmpint(esp_path_parse(span_from_string(too_long), &path), ==, -EINVAL);
        g_assert_cmpint(esp_path_parse(span_from_string(longest), &path), ==, 0);
        g_assert_cmpint(esp_path_format(too_long, &path), ==, -EINVAL);
        g_assert_cmpint(esp_path_format("../a", &path), ==, -EINVAL);
        g_assert_cmpint(esp_path_format("/a", &path), ==, -EINVAL);
        g_assert_cmpint(esp_path_format("a\\b", &path), ==, -EINVAL);
}

static void test_case(void) {
        g_assert_true(fat_name_equal("KERNEL-x.EFI", "kernel-X.efi"));
        g_assert_false(fat_name_equal("a", "ab"));
        g_assert_cmpint(fat_name_compare("A", "b"), <, 0);
        g_assert_cmpint(fat_name_compare("b", "A"), >, 0);
        g_assert_cmpint(fat_name_compare("a", "AB"), <, 0);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/esp/names/an-image-name-tells-profile-generation-specialisation-hash-counter",
                        test_image_parts);
        g_test_add_func("/esp/names/another-install's-token-is-not-ours", test_image_token);
        g_test_add_func("/esp/names/what-is-nearly-an-image-name-is-refused", test_image_refused);
        g_test_add_func("/esp/names/a-formatted-image-name-parses-to-what-it-was-made-of", test_image_format);
        g_test_add_func("/esp/names/an-image-is-of-the-profile-and-generation-that-its-name-was-made-for",
                        test_image_of);
        g_test_add_func("/esp/names/the-longest-image-name-fits-with-its-counter", test_image_longest);
        g_test_add_func("/esp/names/entries-are-equal-whatever-their-counter-and-case", test_entries);
        g_test_add_func("/esp/names/a-content-name-tells-kind-version-hash", test_contents);
        g_test_add_func("/esp/names/what-is-nearly-a-content-name-is-refused", test_contents_refused);
        g_test_add_func("/esp/names/a-temporary-name-is-known-exactly", test_temporaries);
        g_test_add_func("/esp/names/an-esp-path-becomes-a-path-below-the-root-and-back", test_paths);
        g_test_add_func("/esp/names/paths-outside-the-grammar-are-refused", test_paths_refused);
        g_test_add_func("/esp/names/names-compare-as-on-fat", test_case);
        return g_test_run();
}
