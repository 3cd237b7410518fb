/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/bootspec.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/boot/text.h"
#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define TOPLEVEL "/nix/store/aaa-nixos-system"

/* The members of org.nixos.bootspec.v1 in a good document, each to be replaced by a test. */
#define GOOD_LABEL "\"label\": \"NixOS 25.05 (Linux 6.12.1)\""
#define GOOD_SYSTEM "\"system\": \"x86_64-linux\""
#define GOOD_TOPLEVEL "\"toplevel\": \"" TOPLEVEL "\""
#define GOOD_INIT "\"init\": \"" TOPLEVEL "/init\""
#define GOOD_KERNEL "\"kernel\": \"/nix/store/bbb-linux-6.12.1/bzImage\""
#define GOOD_INITRD "\"initrd\": \"/nix/store/ccc-initrd-linux-6.12.1/initrd\""
#define GOOD_SECRETS "\"initrdSecrets\": \"/nix/store/ddd-append/bin/append-initrd-secrets\""
#define GOOD_PARAMS "\"kernelParams\": [\"quiet\", \"loglevel=4\"]"
#define GOOD_REQUIRED GOOD_LABEL ", " GOOD_SYSTEM ", " GOOD_TOPLEVEL ", " GOOD_INIT ", " GOOD_KERNEL ", " GOOD_PARAMS
#define V1(members) "\"org.nixos.bootspec.v1\": {" members "}"
#define GOOD_DOCUMENT "{" V1(GOOD_REQUIRED ", " GOOD_INITRD ", " GOOD_SECRETS) "}"

static void assert_parses(const char *json, Bootspec *bootspec) {
        _cleanup_(failure_done) Failure failure = {};
        int r = bootspec_parse(span_from_string(json), "boot.json", bootspec, &failure);

        g_assert_cmpstr(failure.message, ==, NULL);
        g_assert_cmpint(r, ==, 0);
}

static void assert_refused(const char *json, const char *message) {
        _cleanup_(failure_done) Failure failure = {};
        Bootspec bootspec = {.label = (char *)"untouched"};
        int r = bootspec_parse(span_from_string(json), "boot.json", &bootspec, &failure);

        g_assert_cmpstr(failure.message, ==, message);
        g_assert_cmpint(failure.condition, ==, CONDITION_BAD_BOOTSPEC);
        g_assert_cmpint(r, ==, condition_errno(CONDITION_BAD_BOOTSPEC));
        g_assert_cmpstr(bootspec.label, ==, "untouched");
}

/* The good document with one part replaced. */
static char *document_with(const char *good, const char *replacement) {
        g_auto(GStrv) parts = g_strsplit(GOOD_DOCUMENT, good, 2);

        g_assert_cmpuint(g_strv_length(parts), ==, 2);
        return g_strjoinv(replacement, parts);
}

static void test_whole(void) {
        _cleanup_(bootspec_done) Bootspec bootspec = {};

        assert_parses(GOOD_DOCUMENT, &bootspec);
        g_assert_cmpstr(bootspec.label, ==, "NixOS 25.05 (Linux 6.12.1)");
        g_assert_cmpstr(bootspec.system, ==, "x86_64-linux");
        g_assert_cmpstr(bootspec.toplevel, ==, TOPLEVEL);
        g_assert_cmpstr(bootspec.init, ==, TOPLEVEL "/init");
        g_assert_cmpstr(bootspec.kernel, ==, "/nix/store/bbb-linux-6.12.1/bzImage");
        g_assert_cmpstr(bootspec.initrd, ==, "/nix/store/ccc-initrd-linux-6.12.1/initrd");
        g_assert_cmpstr(bootspec.initrd_secrets, ==, "/nix/store/ddd-append/bin/append-initrd-secrets");
        g_assert_cmpuint(bootspec.kernel_params.count, ==, 2);
        g_assert_cmpstr(bootspec.kernel_params.items[0], ==, "quiet");
        g_assert_cmpstr(bootspec.kernel_params.items[1], ==, "loglevel=4");
        g_assert_null(bootspec.sort_key);
        g_assert_null(bootspec.stub);
        g_assert_cmpuint(bootspec.specialisation_count, ==, 0);
}

static void test_optional(void) {
        _cleanup_(bootspec_done) Bootspec absent = {}, null = {};

        assert_parses("{" V1(GOOD_REQUIRED) "}", &absent);
        g_assert_null(absent.initrd);
        g_assert_null(absent.initrd_secrets);
        assert_parses("{\"org.nixos.specialisation.v1\": null, \"org.lanzaboote.lanzad\": null, " V1(
                              GOOD_REQUIRED ", \"initrd\": null, \"initrdSecrets\": null") "}",
                      &null);
        g_assert_null(null.initrd);
        g_assert_null(null.initrd_secrets);
}

static void test_unknown(void) {
        _cleanup_(bootspec_done) Bootspec bootspec = {};

        assert_parses("{\"com.example\": [1, {\"a\": null}], \"org.nixos.systemd-boot\": {\"devicetree\": null}, " V1(
                              GOOD_REQUIRED ", \"future\": 7") "}",
                      &bootspec);
        g_assert_cmpstr(bootspec.label, ==, "NixOS 25.05 (Linux 6.12.1)");
}

static void test_extensions(void) {
        static const char *const keys[][2] = {
                {"{\"org.nixos.systemd-boot\": {\"sortKey\": \"third\"}, ", "third"},
                {"{\"org.nixos.systemd-boot\": {\"sortKey\": \"third\"}, "
                 "\"org.nix-community.lanzaboote\": {\"sort_key\": \"second\"}, ",
                 "second"},
                {"{\"org.nixos.systemd-boot\": {\"sortKey\": \"third\"}, "
                 "\"org.nix-community.lanzaboote\": {\"sort_key\": \"second\"}, "
                 "\"org.lanzaboote.lanzad\": {\"sortKey\": \"first\"}, ",
                 "first"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
                _cleanup_(bootspec_done) Bootspec bootspec = {};
                g_autofree char *json = g_strconcat(keys[i][0], V1(GOOD_REQUIRED) "}", NULL);

                assert_parses(json, &bootspec);
                g_assert_cmpstr(bootspec.sort_key, ==, keys[i][1]);
        }
}

static void test_stub(void) {
        _cleanup_(bootspec_done) Bootspec bootspec = {};

        assert_parses(
                "{\"org.lanzaboote.lanzad\": {\"stub\": \"/nix/store/eee-lanzad/stub.efi\"}, " V1(GOOD_REQUIRED) "}",
                &bootspec);
        g_assert_cmpstr(bootspec.stub, ==, "/nix/store/eee-lanzad/stub.efi");
        g_assert_null(bootspec.sort_key);
}

static void test_bad_extensions(void) {
        assert_refused("{\"org.lanzaboote.lanzad\": 1, " V1(GOOD_REQUIRED) "}",
                       "boot.json: \"org.lanzaboote.lanzad\" is a number instead of an object");
        assert_refused("{\"org.lanzaboote.lanzad\": {\"sortKey\": {}}, " V1(GOOD_REQUIRED) "}",
                       "boot.json: \"org.lanzaboote.lanzad\".sortKey is an object instead of a string");
        assert_refused("{\"org.lanzaboote.lanzad\": {\"stub\": \"stub.efi\"}, " V1(GOOD_REQUIRED) "}",
                       "boot.json: \"org.lanzaboote.lanzad\".stub is not an absolute path");
        assert_refused("{\"org.nixos.systemd-boot\": {\"sortKey\": \"a\\nb\"}, " V1(GOOD_REQUIRED) "}",
                       "boot.json: \"org.nixos.systemd-boot\".sortKey has a control character");
        assert_refused("{\"org.nixos.systemd-boot\": {\"sortKey\": \"\"}, " V1(GOOD_REQUIRED) "}",
                       "boot.json: \"org.nixos.systemd-boot\".sortKey is empty");
}

static void test_missing_members(void) {
        static const char *const names[] = {"label", "system", "toplevel", "init", "kernel", "kernelParams"};

        assert_refused("{}", "boot.json: \"org.nixos.bootspec.v1\" is missing");
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                g_autofree char *name = g_strdup_printf("\"%s\"", names[i]);
                g_autofree char *json = document_with(name, "\"something\"");
                g_autofree char *message =
                        g_strdup_printf("boot.json: \"org.nixos.bootspec.v1\".%s is missing", names[i]);

                assert_refused(json, message);
        }
}

static void test_bad_members(void) {
        static const struct {
                const char *good, *bad, *message;
        } cases[] = {
                {GOOD_LABEL, "\"label\": 5", "label is a number instead of a string"},
                {GOOD_LABEL, "\"label\": \"two\\nlines\"", "label has a control character"},
                {GOOD_LABEL, "\"label\": \"bell\\u0007\"", "label has a control character"},
                {GOOD_LABEL, "\"label\": \"csi\\u009b\"", "label has a control character"},
                {GOOD_LABEL, "\"label\": \"tab\\t\"", "label has a control character"},
                {GOOD_LABEL, "\"label\": \"\"", "label is empty"},
                {GOOD_SYSTEM, "\"system\": \"x86_64 linux\"", "system is not the name of a kind of system"},
                {GOOD_SYSTEM, "\"system\": []", "system is an array instead of a string"},
                {GOOD_TOPLEVEL, "\"toplevel\": \"nix/store\"", "toplevel is not an absolute path"},
                {GOOD_TOPLEVEL, "\"toplevel\": \"/\"", "toplevel is not a normalised path"},
                {GOOD_TOPLEVEL, "\"toplevel\": \"/nix//store\"", "toplevel is not a normalised path"},
                {GOOD_TOPLEVEL, "\"toplevel\": \"/nix/store/\"", "toplevel is not a normalised path"},
                {GOOD_TOPLEVEL, "\"toplevel\": \"/nix/./store\"", "toplevel is not a normalised path"},
                {GOOD_TOPLEVEL, "\"toplevel\": \"/nix/store/..\"", "toplevel is not a normalised path"},
                {GOOD_TOPLEVEL, "\"toplevel\": null", "toplevel is missing"},
                {GOOD_INIT, "\"init\": \"/init single\"",
                 "init has a space or a quote, and cannot be a word of the command line"},
                {GOOD_INIT, "\"init\": \"/ini\\\"t\"",
                 "init has a space or a quote, and cannot be a word of the command line"},
                {GOOD_INIT, "\"init\": true", "init is a boolean instead of a string"},
                {GOOD_KERNEL, "\"kernel\": \"\"", "kernel is empty"},
                {GOOD_KERNEL, "\"kernel\": \"../../etc/shadow\"", "kernel is not an absolute path"},
                {GOOD_INITRD, "\"initrd\": \"\"", "initrd is empty"},
                {GOOD_INITRD, "\"initrd\": [\"/a\", \"/b\"]", "initrd is an array instead of a string"},
                {GOOD_SECRETS, "\"initrdSecrets\": \"/a/../b\"", "initrdSecrets is not a normalised path"},
                {GOOD_PARAMS, "\"kernelParams\": \"quiet\"", "kernelParams is a string instead of an array"},
                {GOOD_PARAMS, "\"kernelParams\": null", "kernelParams is null instead of an array"},
                {GOOD_PARAMS, "\"kernelParams\": [\"a\", 5]",
                 "kernelParams has a number instead of a string as item 1"},
                {GOOD_PARAMS, "\"kernelParams\": [\"a\\nb\"]",
                 "kernelParams has an item 0 that has a control character"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                g_autofree char *json = document_with(cases[i].good, cases[i].bad);
                g_autofree char *message = g_strdup_printf("boot.json: \"org.nixos.bootspec.v1\".%s", cases[i].message);

                assert_refused(json, message);
        }
}

static void test_long_members(void) {
        g_autofree char *label = g_strnfill(BOOTSPEC_MAX_TEXT, 'l'), *path = g_strnfill(5000, 'p');
        g_autofree char *member = g_strdup_printf("\"label\": \"%s\"", label),
                        *longer = g_strdup_printf("\"label\": \"%sl\"", label),
                        *kernel = g_strdup_printf("\"kernel\": \"/%s\"", path);
        g_autofree char *good = document_with(GOOD_LABEL, member), *bad = document_with(GOOD_LABEL, longer),
                        *bad_kernel = document_with(GOOD_KERNEL, kernel);
        _cleanup_(bootspec_done) Bootspec bootspec = {};

        assert_parses(good, &bootspec);
        assert_refused(bad, "boot.json: \"org.nixos.bootspec.v1\".label is too long");
        assert_refused(bad_kernel, "boot.json: \"org.nixos.bootspec.v1\".kernel is too long for a path");
}

static void test_many_params(void) {
        g_autoptr(GString) params = g_string_new("\"kernelParams\": [\"x\"");

        for (int i = 0; i < BOOTSPEC_MAX_PARAMS; i++)
                g_string_append(params, ",\"x\"");
        g_string_append(params, "]");
        g_autofree char *json = document_with(GOOD_PARAMS, params->str);

        assert_refused(json, "boot.json: \"org.nixos.bootspec.v1\".kernelParams has more than 4096 items");
}

/* What is behind the line is the JSON library's. */
static void assert_malformed(const char *json, unsigned line, const char *cause) {
        _cleanup_(failure_done) Failure failure = {};
        g_autofree char *start = g_strdup_printf("boot.json, line %u, column ", line);
        Bootspec bootspec;

        g_assert_cmpint(bootspec_parse(span_from_string(json), "boot.json", &bootspec, &failure), ==,
                        condition_errno(CONDITION_BAD_BOOTSPEC));
        g_assert_true(g_str_has_prefix(failure.message, start));
        g_assert_nonnull(strstr(failure.message, cause));
        g_assert_null(strstr(failure.message, "near"));
        g_assert_cmpstr(text_problem(failure.message, false), ==, NULL);
}

static void test_malformed(void) {
        assert_malformed("", 1, "expected");
        assert_malformed("{\n\"a\": 1,\n\"a\": 2}", 3, "duplicate");
        assert_malformed("{\n\n  \"org.nixos\": }", 3, "unexpected token");
        assert_malformed("{}\n{}", 2, "end of file expected");
        assert_malformed("{\"a\": \"\\u0000\"}", 1, "not allowed");
        assert_malformed("{\"a\": \"\xff\"}", 1, "unable to decode byte");
        assert_malformed("{\"a\": \"\x1b[2J\"}", 1, "control character");
        assert_refused("[]", "boot.json: the document is an array instead of an object");
}

/* A document cut off anywhere is refused, and never read past its end (which the sanitizer would tell). */
static void test_truncated(void) {
        for (size_t length = 0; length < strlen(GOOD_DOCUMENT); length++) {
                g_autofree uint8_t *copy = g_memdup2(GOOD_DOCUMENT, length);
                Bootspec bootspec = {};

                g_assert_cmpint(bootspec_parse((Span){copy, length}, "boot.json", &bootspec, NULL), ==,
                                condition_errno(CONDITION_BAD_BOOTSPEC));
        }
}

static void test_nul(void) {
        static const char json[] = GOOD_DOCUMENT;
        Bootspec bootspec = {};

        g_assert_cmpint(bootspec_parse((Span){(const uint8_t *)json, sizeof(json)}, "boot.json", &bootspec, NULL), ==,
                        condition_errno(CONDITION_BAD_BOOTSPEC));
}

static void test_huge(void) {
        g_autofree char *spaces = g_strnfill(BOOTSPEC_MAX_BYTES - strlen(GOOD_DOCUMENT) + 1, ' ');
        g_autofree char *huge = g_strconcat(GOOD_DOCUMENT, spaces, NULL);
        g_autofree char *deep = g_strnfill(BOOTSPEC_MAX_BYTES, '[');
        _cleanup_(bootspec_done) Bootspec bootspec = {};

        assert_refused(huge, "boot.json has more than 2097152 bytes");
        huge[BOOTSPEC_MAX_BYTES] = 0;
        assert_parses(huge, &bootspec);
        assert_malformed(deep, 1, "depth");
}

/* A good document's members with another toplevel, and MORE behind them. */
#define NESTED(toplevel, more)                                                                                         \
        V1(GOOD_LABEL ", " GOOD_SYSTEM ", \"toplevel\": \"" toplevel "\", " GOOD_INIT ", " GOOD_KERNEL                 \
                      ", " GOOD_PARAMS)                                                                                \
        more
#define SPECIALISATIONS(members) "\"org.nixos.specialisation.v1\": {" members "}"

static void test_specialisations(void) {
        static const char *const names[] = {NULL, "gaming", "work", "work/safe", "work/safe/er"};
        static const char document[] = "{" NESTED("/nix/store/0", ", ") SPECIALISATIONS(
                "\"work\": {" NESTED("/nix/store/2", ", ")
                        SPECIALISATIONS("\"safe\": {" NESTED("/nix/store/3", ", ") SPECIALISATIONS("\"er\": {" NESTED(
                                "/nix/store/4",
                                "") "}") "}") "}, "
                                              "\"gaming\": {\"org.nixos.systemd-boot\": {\"sortKey\": \"games\"}, " NESTED(
                                                      "/nix/store/1", "") "}") "}";
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(boot_variant_list_done) BootVariantList list = {};

        assert_parses(document, &bootspec);
        g_assert_cmpuint(bootspec.specialisation_count, ==, 2);
        g_assert_cmpstr(bootspec.specialisations[0].name, ==, "gaming");
        g_assert_cmpstr(bootspec.specialisations[0].bootspec.sort_key, ==, "games");
        g_assert_null(bootspec.specialisations[1].bootspec.sort_key);
        g_assert_null(bootspec.sort_key);

        g_assert_cmpint(bootspec_variants(&bootspec, &list), ==, 0);
        g_assert_cmpuint(list.count, ==, ARRAY_LENGTH(names));
        for (size_t i = 0; i < list.count; i++) {
                g_autofree char *toplevel = g_strdup_printf("/nix/store/%zu", i);

                g_assert_cmpstr(list.items[i].specialisation, ==, names[i]);
                g_assert_cmpstr(list.items[i].bootspec->toplevel, ==, toplevel);
                g_assert_true(boot_variant_list_find(&list, toplevel) == list.items + i);
        }
        g_assert_null(boot_variant_list_find(&list, "/nix/store/5"));
}

static void test_bad_specialisations(void) {
        static const char *const names[][2] = {
                {"", "is empty"},
                {"a/b", "has a slash"},
                {"..", "is no file name"},
                {".", "is no file name"},
                {"a\\n", "has a control character"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                g_autofree char *json = g_strdup_printf("{%s, \"org.nixos.specialisation.v1\": {\"%s\": {}}}",
                                                        V1(GOOD_REQUIRED), names[i][0]);
                g_autofree char *message = g_strdup_printf(
                        "boot.json: \"org.nixos.specialisation.v1\" has a member whose name %s", names[i][1]);

                assert_refused(json, message);
        }
        assert_refused("{" V1(GOOD_REQUIRED) ", \"org.nixos.specialisation.v1\": []}",
                       "boot.json: \"org.nixos.specialisation.v1\" is an array instead of an object");
        assert_refused("{" V1(GOOD_REQUIRED) ", " SPECIALISATIONS("\"a\": {" V1("") "}") "}",
                       "boot.json: \"org.nixos.specialisation.v1\".\"a\".\"org.nixos.bootspec.v1\".label is missing");
        assert_refused("{" V1(GOOD_REQUIRED) ", " SPECIALISATIONS("\"a\": \"b\"") "}",
                       "boot.json: \"org.nixos.specialisation.v1\".\"a\" is a string instead of an object");
}

/* DEPTH specialisations within each other. */
static char *nested_document(unsigned depth) {
        GString *json = g_string_new("{" V1(GOOD_REQUIRED));

        for (unsigned i = 0; i < depth; i++)
                g_string_append(json, ", \"org.nixos.specialisation.v1\": {\"n\": {" V1(GOOD_REQUIRED));
        for (unsigned i = 0; i < depth; i++)
                g_string_append(json, "}}");
        g_string_append(json, "}");
        return g_string_free(json, FALSE);
}

static void test_depth(void) {
        g_autofree char *good = nested_document(BOOTSPEC_MAX_DEPTH), *bad = nested_document(BOOTSPEC_MAX_DEPTH + 1);
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(boot_variant_list_done) BootVariantList list = {};
        _cleanup_(failure_done) Failure failure = {};

        assert_parses(good, &bootspec);
        g_assert_cmpint(bootspec_variants(&bootspec, &list), ==, 0);
        g_assert_cmpuint(list.count, ==, BOOTSPEC_MAX_DEPTH + 1);
        g_assert_cmpstr(list.items[BOOTSPEC_MAX_DEPTH].specialisation, ==, "n/n/n/n/n/n/n/n");
        g_assert_cmpint(bootspec_parse(span_from_string(bad), "boot.json", &bootspec, &failure), <, 0);
        g_assert_nonnull(strstr(failure.message, "is nested more than 8 levels deep"));
}

/* A document with OUTER specialisations, each of which has INNER. */
static char *wide_document(unsigned outer, unsigned inner) {
        GString *json = g_string_new("{" V1(GOOD_REQUIRED) ", \"org.nixos.specialisation.v1\": {");

        for (unsigned i = 0; i < outer; i++) {
                g_string_append_printf(json, "%s\"o%u\": {%s, \"org.nixos.specialisation.v1\": {", i > 0 ? ", " : "", i,
                                       V1(GOOD_REQUIRED));
                for (unsigned k = 0; k < inner; k++)
                        g_string_append_printf(json, "%s\"i%u\": {%s}", k > 0 ? ", " : "", k, V1(GOOD_REQUIRED));
                g_string_append(json, "}}");
        }
        g_string_append(json, "}}");
        return g_string_free(json, FALSE);
}

static void test_count(void) {
        g_autofree char *good = wide_document(16, 15), *bad = wide_document(16, 16), *flat = wide_document(257, 0);
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(failure_done) Failure failure = {};

        assert_parses(good, &bootspec);
        g_assert_cmpint(bootspec_parse(span_from_string(bad), "boot.json", &bootspec, &failure), <, 0);
        g_assert_nonnull(strstr(failure.message, "more than 256 specialisations"));
        assert_refused(flat, "boot.json: \"org.nixos.specialisation.v1\" has too many members: the document has more "
                             "than 256 specialisations");
}

static void test_load(void) {
        static const struct {
                const char *toplevel, *message;
        } bad[] = {
                {"/nix/store/other", "/nix/store/other/boot.json is of another toplevel: it names " TOPLEVEL},
                {"/nix/store/none", "/nix/store/none has no boot.json, and its kernel is missing"},
                {"/nix/store/dangling", "Cannot read /nix/store/dangling/boot.json: No such file"},
                {"/nix/store/folder", "Cannot read /nix/store/folder/boot.json: Is a directory"},
                {"/nix/store/broken", "/nix/store/broken/boot.json, line 1, column "},
        };
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(bootspec_done) Bootspec bootspec = {};

        test_write(folder, "nix/store/aaa-nixos-system/boot.json", GOOD_DOCUMENT, -1, 0644);
        test_write(folder, "nix/store/other/boot.json", GOOD_DOCUMENT, -1, 0644);
        test_write(folder, "nix/store/broken/boot.json", "{", -1, 0644);
        test_make_folder(folder, "nix/store/none", 0755);
        test_make_folder(folder, "nix/store/folder/boot.json", 0755);
        test_make_folder(folder, "nix/store/dangling", 0755);
        g_assert_cmpint(symlinkat("/nix/store/gone/boot.json", root, "nix/store/dangling/boot.json"), ==, 0);

        g_assert_cmpint(bootspec_load(root, TOPLEVEL, &bootspec, NULL), ==, 0);
        g_assert_cmpstr(bootspec.toplevel, ==, TOPLEVEL);
        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                _cleanup_(failure_done) Failure failure = {};

                g_assert_cmpint(bootspec_load(root, bad[i].toplevel, &bootspec, &failure), <, 0);
                g_assert_cmpint(failure.condition, ==, CONDITION_BAD_BOOTSPEC);
                g_assert_true(g_str_has_prefix(failure.message, bad[i].message));
        }
}

static void test_text(void) {
        static const char *const good[] = {
                "",         "abc",          "\xc3\xa9",    "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
                "\xc2\xa0", "\xed\x9f\xbf", "\xee\x80\x80"};
        static const char *const malformed[] = {
                "\x80",     "\xc3",         "\xc3(",        "\xc0\xaf",         "\xc1\x81",         "\xe0\x80\xaf",
                "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80",
                "\xff",     "ab\xfe",
        };
        static const char *const controls[] = {"\x01", "a\x1f", "\x7f", "\xc2\x80", "\xc2\x9f", "\n", "\r"};

        for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
                g_assert_cmpstr(text_problem(good[i], false), ==, NULL);
        for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++)
                g_assert_cmpstr(text_problem(malformed[i], true), ==, "is not UTF-8");
        for (size_t i = 0; i < ARRAY_LENGTH(controls); i++)
                g_assert_cmpstr(text_problem(controls[i], true), ==, "has a control character");
        g_assert_cmpstr(text_problem("\t", true), ==, NULL);
        g_assert_cmpstr(text_problem("\t", false), ==, "has a control character");
}

/* Every string of three bytes (or every seventh) is judged as GLib judges it. */
static void test_text_exhaustively(void) {
        unsigned step = g_getenv("LANZA_LONG") ? 1 : 7;

        for (unsigned value = 0x010101; value < 0x1000000; value += step) {
                char text[] = {value >> 16, value >> 8, value, 0};
                const char *problem = text_problem(text, true);
                bool is_utf8 = g_utf8_validate(text, -1, NULL),
                     said_malformed = g_strcmp0(problem, "is not UTF-8") == 0;

                /* Of a control character and malformed bytes after it, the first is told. */
                if (is_utf8 == said_malformed && !(problem && !is_utf8))
                        g_error("%02x %02x %02x: %s", (uint8_t)text[0], (uint8_t)text[1], (uint8_t)text[2], problem);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/boot/bootspec/reads-every-member", test_whole);
        g_test_add_func("/boot/bootspec/optional-members-may-be-absent-or-null", test_optional);
        g_test_add_func("/boot/bootspec/ignores-what-it-does-not-know", test_unknown);
        g_test_add_func("/boot/bootspec/our-sort-key-goes-before-others", test_extensions);
        g_test_add_func("/boot/bootspec/may-name-its-own-stub", test_stub);
        g_test_add_func("/boot/bootspec/refuses-bad-extensions", test_bad_extensions);
        g_test_add_func("/boot/bootspec/names-the-missing-member", test_missing_members);
        g_test_add_func("/boot/bootspec/names-the-bad-member-and-why", test_bad_members);
        g_test_add_func("/boot/bootspec/bounds-texts-and-paths", test_long_members);
        g_test_add_func("/boot/bootspec/bounds-the-number-of-kernel-parameters", test_many_params);
        g_test_add_func("/boot/bootspec/names-the-line-of-malformed-json", test_malformed);
        g_test_add_func("/boot/bootspec/refuses-truncated-documents", test_truncated);
        g_test_add_func("/boot/bootspec/refuses-a-nul-behind-the-document", test_nul);
        g_test_add_func("/boot/bootspec/bounds-size-and-depth-of-json", test_huge);
        g_test_add_func("/boot/bootspec/specialisations-nest", test_specialisations);
        g_test_add_func("/boot/bootspec/refuses-bad-specialisations", test_bad_specialisations);
        g_test_add_func("/boot/bootspec/bounds-the-depth-of-specialisations", test_depth);
        g_test_add_func("/boot/bootspec/bounds-the-number-of-specialisations", test_count);
        g_test_add_func("/boot/bootspec/must-be-of-the-toplevel-it-is-in", test_load);
        g_test_add_func("/boot/text/accepts-utf8-without-control-characters", test_text);
        g_test_add_func("/boot/text/agrees-with-glib", test_text_exhaustively);
        return g_test_run();
}
