/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/os-release.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/boot/text.h"
#include "tests/lib/test-folder.h"

static char *format(const char *id, const char *pretty_name, const char *version_id) {
        const OsRelease os_release = {(char *)id, (char *)pretty_name, (char *)version_id};
        _cleanup_(buffer_done) Buffer text = {};

        g_assert_cmpint(os_release_format(&os_release, &text), ==, 0);
        return g_strndup((const char *)text.data, text.size);
}

static char *pretty_name_of(const char *text) {
        _cleanup_(os_release_done) OsRelease os_release = {};

        g_assert_cmpint(os_release_parse(span_from_string(text), &os_release), ==, 0);
        return g_strdup(os_release.pretty_name);
}

static void test_format(void) {
        g_autofree char *text = format("lanza", "NixOS 25.05 (Generation 3, 2026-01-02)", "Generation 3, 2026-01-02");
        g_autofree char *partly = format(NULL, "", NULL);

        g_assert_cmpstr(text, ==,
                        "ID=\"lanza\"\n"
                        "PRETTY_NAME=\"NixOS 25.05 (Generation 3, 2026-01-02)\"\n"
                        "VERSION_ID=\"Generation 3, 2026-01-02\"\n");
        g_assert_cmpstr(partly, ==, "PRETTY_NAME=\"\"\n");
}

static void test_escape(void) {
        g_autofree char *text = format(NULL, "a \"b\" $(c) `d` \\e 'f' #g", NULL);

        g_assert_cmpstr(text, ==, "PRETTY_NAME=\"a \\\"b\\\" \\$(c) \\`d\\` \\\\e 'f' #g\"\n");
}

/* A value can't end its line for anybody: not for a shell, nor for whoever splits at line ends of any kind. */
static void test_injection(void) {
        static const char *const bad[] = {"a\nID=evil", "a\rID=evil", "a\x0b", "a\xc2\x85ID=evil", "a\xff", "tab\t"};

        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                const OsRelease os_release = {.id = (char *)"good", .pretty_name = (char *)bad[i]};
                _cleanup_(buffer_done) Buffer text = {};

                g_assert_cmpint(buffer_append_string(&text, "before"), ==, 0);
                g_assert_cmpint(os_release_format(&os_release, &text), ==, -EINVAL);
                g_assert_cmpuint(text.size, ==, strlen("before"));
        }
}

static void test_parse(void) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                {"", NULL},
                {"PRETTY_NAME=plain", "plain"},
                {"PRETTY_NAME=", ""},
                {"PRETTY_NAME=\"two words\"\n", "two words"},
                {"PRETTY_NAME='single \"quotes\" \\n $x'\n", "single \"quotes\" \\n $x"},
                {"PRETTY_NAME=\"a \\\"b\\\" \\$c \\`d\\` \\\\e \\f\"\n", "a \"b\" $c `d` \\e \\f"},
                {"PRETTY_NAME=a\\ b\\\"c\n", "a b\"c"},
                {"PRETTY_NAME=\"joined\"' parts'\\ of\\ it\n", "joined parts of it"},
                {"  \tPRETTY_NAME=indented  \t\n", "indented"},
                {"PRETTY_NAME=crlf\r\n", "crlf"},
                {"PRETTY_NAME=commented # here\n", "commented"},
                {"PRETTY_NAME=with#inside\n", "with#inside"},
                {"# PRETTY_NAME=comment\n", NULL},
                {"PRETTY_NAME=first\nPRETTY_NAME=last\n", "last"},
                {"NAME=other\nVERSION=\"x\"\nPRETTY_NAME=mine\nBUG=\n", "mine"},
                {"PRETTY_NAMES=longer\nXPRETTY_NAME=longer\n", NULL},
                {"PRETTY_NAME =spaced\nPRETTY_NAME\n", NULL},
                {"PRETTY_NAME=two words\n", NULL},
                {"PRETTY_NAME=\"unclosed\nID=x\n", NULL},
                {"PRETTY_NAME=\"two\nlines\"\n", NULL},
                {"OTHER=\"two\nPRETTY_NAME=hidden\n\"\n", NULL},
                {"OTHER=\"unclosed\nPRETTY_NAME=seen\n", "seen"},
                {"PRETTY_NAME=\"a\\\nb\"\n", "ab"},
                {"PRETTY_NAME=\"gr\xc3\xb6\xc3\x9f"
                 "e\"\n",
                 "gr\xc3\xb6\xc3\x9f"
                 "e"},
                {"PRETTY_NAME=good\nPRETTY_NAME=\"bad\xff\"\n", "good"},
                {"PRETTY_NAME=end\\", NULL},
                {"no assignment at all\n\n\n=\n==\nPRETTY_NAME=after\n", "after"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                g_autofree char *value = pretty_name_of(cases[i].text);

                g_assert_cmpstr(value, ==, cases[i].expected);
        }
}

static void test_limits(void) {
        g_autofree char *filler = g_strnfill(OS_RELEASE_MAX_BYTES + 1, '\n');
        OsRelease os_release = {};

        g_assert_cmpint(os_release_parse((Span){}, &os_release), ==, 0);
        g_assert_cmpint(os_release_parse((Span){(const uint8_t *)"ID=a\0", 5}, &os_release), ==, -EBADMSG);
        g_assert_cmpint(os_release_parse(span_from_string(filler), &os_release), ==, -EFBIG);
        filler[OS_RELEASE_MAX_BYTES] = 0;
        g_assert_cmpint(os_release_parse(span_from_string(filler), &os_release), ==, 0);
        g_assert_null(os_release.id);
}

/* A text of up to LENGTH characters, of which many have a meaning to a shell. */
static char *random_text(unsigned length) {
        static const char *const pieces[] = {"\"",
                                             "'",
                                             "\\",
                                             "$",
                                             "`",
                                             "#",
                                             " ",
                                             "=",
                                             "n",
                                             "a",
                                             "$(",
                                             "${",
                                             "!",
                                             "~",
                                             "*",
                                             "\xc3\xa9",
                                             "\xf0\x9f\x98\x80",
                                             ";"};
        GString *text = g_string_new(NULL);

        for (unsigned n = g_test_rand_int_range(0, length + 1); n > 0; n--)
                g_string_append(text, pieces[g_test_rand_int_range(0, ARRAY_LENGTH(pieces))]);
        return g_string_free(text, FALSE);
}

static void test_round_trip(void) {
        unsigned count = g_getenv("LANZA_LONG") ? 200000 : 5000;

        for (unsigned i = 0; i < count; i++) {
                g_autofree char *id = random_text(8), *pretty_name = random_text(20), *version_id = random_text(8);
                g_autofree char *text = format(id, pretty_name, version_id);
                _cleanup_(os_release_done) OsRelease back = {};

                g_assert_cmpint(os_release_parse(span_from_string(text), &back), ==, 0);
                g_assert_cmpstr(back.id, ==, id);
                g_assert_cmpstr(back.pretty_name, ==, pretty_name);
                g_assert_cmpstr(back.version_id, ==, version_id);
        }
}

/* What a shell makes of the text that PATH holds, where a value may hold anything but NUL. */
static void assert_shell_reads(const char *path, const char *pretty_name, const char *version_id) {
        const char *arguments[] = {"sh", "-c", ". \"$1\"; printf '%s\\n%s' \"$PRETTY_NAME\" \"$VERSION_ID\"",
                                   "sh", path, NULL};
        g_autofree char *output = NULL, *expected = g_strconcat(pretty_name, "\n", version_id, NULL);
        g_autoptr(GError) error = NULL;

        g_assert_true(g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, NULL,
                                   &error));
        g_assert_no_error(error);
        g_assert_cmpstr(output, ==, expected);
}

static void test_shell(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        unsigned count = g_getenv("LANZA_LONG") ? 500 : 30;

        for (unsigned i = 0; i < count; i++) {
                g_autofree char *pretty_name = random_text(30), *version_id = random_text(10);
                g_autofree char *text = format("x", pretty_name, version_id), *path = test_path(folder, "os-release");

                test_write(folder, "os-release", text, -1, 0644);
                assert_shell_reads(path, pretty_name, version_id);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/boot/os-release/has-a-line-a-field", test_format);
        g_test_add_func("/boot/os-release/escapes-what-a-shell-would-expand", test_escape);
        g_test_add_func("/boot/os-release/a-value-cannot-add-a-line", test_injection);
        g_test_add_func("/boot/os-release/reads-every-form-of-value", test_parse);
        g_test_add_func("/boot/os-release/bounds-what-it-reads", test_limits);
        g_test_add_func("/boot/os-release/reads-back-what-it-wrote", test_round_trip);
        g_test_add_func("/boot/os-release/a-shell-reads-the-same", test_shell);
        return g_test_run();
}
