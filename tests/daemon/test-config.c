/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test-folder.h"

static Settings defaults(void) {
        Settings settings;

        g_assert_cmpint(config_init(&settings), ==, 0);
        return settings;
}

/* Parses TEXT, in which there is nothing to warn of. */
static void parse_good(Settings *settings, const char *text) {
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(failure_done) Failure failure = {};

        config_parse(settings, span_from_string(text), "test.conf", &warnings, &failure);
        g_assert_cmpstr(failure.message, ==, NULL);
        g_assert_cmpuint(warnings.count, ==, 0);
}

static void assert_list(const StringList *list, const char *expected) {
        g_autoptr(GPtrArray) items = g_ptr_array_new();
        g_autofree char *text = NULL;

        for (size_t i = 0; i < list->count; i++)
                g_ptr_array_add(items, list->items[i]);
        g_ptr_array_add(items, NULL);
        text = g_strjoinv(" ", (char **)items->pdata);
        g_assert_cmpstr(text, ==, expected);
}

static void assert_defaults(const Settings *settings) {
        g_assert_cmpstr(settings->key_directory, ==, "/var/lib/lanzad");
        g_assert_cmpstr(settings->database_key, ==, NULL);
        g_assert_cmpstr(settings->database_certificate, ==, NULL);
        g_assert_cmpstr(settings->key_exchange_key, ==, NULL);
        g_assert_cmpstr(settings->key_exchange_certificate, ==, NULL);
        g_assert_cmpstr(settings->platform_key, ==, NULL);
        g_assert_cmpstr(settings->platform_certificate, ==, NULL);
        assert_list(&settings->profiles, "/nix/var/nix/profiles");
        g_assert_cmpuint(settings->limit, ==, 0);
        g_assert_cmpuint(settings->tries, ==, 0);
        g_assert_cmpstr(settings->stub, ==, "/usr/lib/lanzad/lanzastubx64.efi");
        g_assert_cmpstr(settings->loader, ==, "/usr/lib/systemd/boot/efi/systemd-bootx64.efi");
        g_assert_cmpstr(settings->loader_config, ==, NULL);
        g_assert_cmpstr(settings->sort_key, ==, "lanza");
        g_assert_cmpstr(settings->entry_token, ==, NULL);
        g_assert_cmpint(settings->allow_unsigned, ==, SETTINGS_AUTO);
        g_assert_cmpstr(settings->esp_path, ==, NULL);
        assert_list(&settings->esp_extra_paths, "");
        g_assert_cmpstr(settings->xbootldr_path, ==, NULL);
        g_assert_cmpint(settings->boot_entry, ==, SETTINGS_AUTO);
        g_assert_false(settings->strict_permissions);
}

/* Every key, with another value than its default. */
static const char everything[] = "[Keys]\nDirectory=/k\nDatabaseKey=/a\nDatabaseCertificate=/b\nKeyExchangeKey=/c\n"
                                 "KeyExchangeCertificate=/d\nPlatformKey=/e\nPlatformCertificate=/f\n"
                                 "[Boot]\nProfiles=/p /q\nLimit=7\nTries=3\nStub=/s\nLoader=/l\nLoaderConfig=/m\n"
                                 "SortKey=nixos\nEntryToken=two\nAllowUnsigned=no\n"
                                 "[Esp]\nPath=/boot\nExtraPaths=/boot2\nXbootldrPath=/x\nBootEntry=no\n"
                                 "StrictPermissions=yes\n";

static void test_defaults(void) {
        _cleanup_(config_done) Settings settings = defaults(), empty = defaults();

        assert_defaults(&settings);
        parse_good(&empty, "");
        assert_defaults(&empty);
}

static void test_everything(void) {
        _cleanup_(config_done) Settings settings = defaults();

        parse_good(&settings, everything);
        g_assert_cmpstr(settings.key_directory, ==, "/k");
        g_assert_cmpstr(settings.database_key, ==, "/a");
        g_assert_cmpstr(settings.database_certificate, ==, "/b");
        g_assert_cmpstr(settings.key_exchange_key, ==, "/c");
        g_assert_cmpstr(settings.key_exchange_certificate, ==, "/d");
        g_assert_cmpstr(settings.platform_key, ==, "/e");
        g_assert_cmpstr(settings.platform_certificate, ==, "/f");
        assert_list(&settings.profiles, "/p /q");
        g_assert_cmpuint(settings.limit, ==, 7);
        g_assert_cmpuint(settings.tries, ==, 3);
        g_assert_cmpstr(settings.stub, ==, "/s");
        g_assert_cmpstr(settings.loader, ==, "/l");
        g_assert_cmpstr(settings.loader_config, ==, "/m");
        g_assert_cmpstr(settings.sort_key, ==, "nixos");
        g_assert_cmpstr(settings.entry_token, ==, "two");
        g_assert_cmpint(settings.allow_unsigned, ==, SETTINGS_NO);
        g_assert_cmpstr(settings.esp_path, ==, "/boot");
        assert_list(&settings.esp_extra_paths, "/boot2");
        g_assert_cmpstr(settings.xbootldr_path, ==, "/x");
        g_assert_cmpint(settings.boot_entry, ==, SETTINGS_NO);
        g_assert_true(settings.strict_permissions);
}

static void test_forms(void) {
        _cleanup_(config_done) Settings settings = defaults();

        parse_good(&settings, "  # comment\r\n; another\n\n [Boot] \r\n\t Limit \t=  5 \r\nLimit=6\n"
                              "Profiles=  /a\t/b   /c \n[Esp]\nPath=/with space\n[Boot]\nTries=2");
        g_assert_cmpuint(settings.limit, ==, 6); /* the later one counts, and a section may come again */
        g_assert_cmpuint(settings.tries, ==, 2);
        assert_list(&settings.profiles, "/a /b /c");
        g_assert_cmpstr(settings.esp_path, ==, "/with space");
        parse_good(&settings, "[Boot]\nLimit=\nTries=\nProfiles=\n[Esp]\nPath=\n");
        assert_defaults(&settings);
}

static const struct {
        const char *text, *message;
} refused[] = {
        {"[Boot]\nLimit=many\n", "test.conf:2: Limit=many is not a number"},
        {"[Boot]\nLimit=-1\n", "test.conf:2: Limit=-1"},
        {"[Boot]\nLimit=1000001\n", "0 to 1000000"},
        {"[Boot]\nLimit=99999999999999999999999\n", "0 to 1000000"},
        {"[Boot]\nLimit=5x\n", "Limit=5x"},
        {"[Boot]\n\n\nTries=0x5\n", "test.conf:4: Tries"},
        {"[Keys]\nDirectory=keys\n", "absolute path"},
        {"[Keys]\nDirectory=/var/../etc\n", "absolute path"},
        {"[Keys]\nDirectory=/var/.\n", "absolute path"},
        {"[Boot]\nProfiles=/a b\n", "absolute paths"},
        {"[Boot]\nSortKey=a b\n", "SortKey=a b"},
        {"[Boot]\nEntryToken=a-b\n", "EntryToken=a-b"},
        {"[Boot]\nEntryToken=12345678901234567\n", "up to 16"},
        {"[Boot]\nAllowUnsigned=yes\n", "auto or no"},
        {"[Esp]\nBootEntry=true\n", "auto or no"},
        {"[Esp]\nStrictPermissions=maybe\n", "yes or no"},
        {"[Boot\n", "test.conf:1: a section"},
        {"[\n", "test.conf:1: a section"},
        {"[Boot]\nLimit\n", "test.conf:2: neither"},
        {"[Boot]\nLoaderConfig=/a\rb\n", "test.conf:2: a control character (byte 0x0d)"},
        {"[Boot]\nSortKey=a\x01\n", "test.conf:2: a control character (byte 0x01)"},
        {"[Boot]\nStub=/a\x1b[1m\n", "byte 0x1b"},
        {"[Boot]\nStub=/\xff\n", "test.conf:2: the line is no UTF-8"},
        {"# \xc3\n", "test.conf:1: the line is no UTF-8"},
};

static void test_refused(void) {
        for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
                _cleanup_(config_done) Settings settings = defaults();
                _cleanup_(string_list_done) StringList warnings = {};
                _cleanup_(failure_done) Failure failure = {};

                g_assert_cmpint(
                        config_parse(&settings, span_from_string(refused[i].text), "test.conf", &warnings, &failure),
                        ==, -EINVAL);
                g_assert_cmpint(failure.condition, ==, CONDITION_BAD_CONFIGURATION);
                if (!strstr(failure.message, refused[i].message))
                        g_error("'%s' does not say '%s'", failure.message, refused[i].message);
        }
}

static void test_nul(void) {
        static const uint8_t text[] = "[Boot]\nLimit=1\0002\n";
        _cleanup_(config_done) Settings settings = defaults();
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(config_parse(&settings, (Span){text, sizeof(text) - 1}, "test.conf", NULL, &failure), <, 0);
        g_assert_nonnull(strstr(failure.message, "test.conf:2: a control character (byte 0x00)"));
}

static void test_warnings(void) {
        static const char *const expected[] = {
                "test.conf:1: Limit= stands before any section, ignored",
                "test.conf:2: unknown section [Boots], ignored",
                "test.conf:5: unknown key Limits= in section [Boot], ignored",
                "test.conf:6: unknown key limit= in section [Boot], ignored",
                "test.conf:7: unknown key Path= in section [Boot], ignored",
        };
        _cleanup_(config_done) Settings settings = defaults();
        _cleanup_(string_list_done) StringList warnings = {};

        g_assert_cmpint(
                config_parse(&settings,
                             span_from_string("Limit=1\n[Boots]\nLimit=2\n[Boot]\nLimits=3\nlimit=4\nPath=/x\n"),
                             "test.conf", &warnings, NULL),
                ==, 0);
        g_assert_cmpuint(warnings.count, ==, ARRAY_LENGTH(expected));
        for (size_t i = 0; i < warnings.count; i++)
                g_assert_cmpstr(warnings.items[i], ==, expected[i]);
        assert_defaults(&settings);
}

/* A line of a megabyte is read like any other, and no message repeats all of it. */
static void test_long_line(void) {
        g_autofree char *value = g_strnfill(1024 * 1024 - 100, 'x');
        g_autofree char *good = g_strconcat("[Boot]\nStub=/", value, "\n", NULL);
        g_autofree char *bad = g_strconcat("[Boot]\nLimit=", value, "\n", NULL);
        _cleanup_(config_done) Settings settings = defaults();
        _cleanup_(failure_done) Failure failure = {};

        parse_good(&settings, good);
        g_assert_cmpuint(strlen(settings.stub), ==, strlen(value) + 1);
        g_assert_cmpint(config_parse(&settings, span_from_string(bad), "test.conf", NULL, &failure), <, 0);
        g_assert_cmpuint(strlen(failure.message), <, 500);
}

static Settings load_good(const char *root, const char *file) {
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(failure_done) Failure failure = {};
        Settings settings = {};

        config_load(root, file, &settings, &warnings, &failure);
        g_assert_cmpstr(failure.message, ==, NULL);
        g_assert_cmpuint(warnings.count, ==, 0);
        return settings;
}

static void test_files(void) {
        _cleanup_(test_folder_cleanup) char *root = test_folder_make();
        g_autofree char *link = test_path(root, "etc/lanza/lanzad.conf.d/30-link.conf");

        {
                _cleanup_(config_done) Settings nothing = load_good(root, NULL);

                assert_defaults(&nothing);
        }
        test_write(root, "etc/lanza/lanzad.conf", "[Boot]\nLimit=1\nTries=1\nSortKey=main\n", -1, 0644);
        test_write(root, "etc/lanza/lanzad.conf.d/20-b.conf", "[Boot]\nLimit=3\n", -1, 0644);
        test_write(root, "etc/lanza/lanzad.conf.d/10-a.conf", "[Boot]\nLimit=2\nTries=2\n", -1, 0644);
        test_write(root, "etc/lanza/lanzad.conf.d/.hidden.conf", "nonsense", -1, 0644);
        test_write(root, "etc/lanza/lanzad.conf.d/90-c.conf.bak", "nonsense", -1, 0644);
        /* an absolute link, as configuration management makes them, leads to the tree's own file */
        test_write(root, "nix/store/x", "[Esp]\nPath=/esp\n", -1, 0444);
        g_assert_cmpint(symlink("/nix/store/x", link), ==, 0);
        {
                _cleanup_(config_done) Settings all = load_good(root, NULL);

                g_assert_cmpuint(all.limit, ==, 3);
                g_assert_cmpuint(all.tries, ==, 2);
                g_assert_cmpstr(all.sort_key, ==, "main");
                g_assert_cmpstr(all.esp_path, ==, "/esp");
        }
        test_write(root, "elsewhere.conf", "[Boot]\nTries=9\n", -1, 0644);
        {
                _cleanup_(config_done) Settings alone = load_good(root, "/elsewhere.conf");

                g_assert_cmpuint(alone.tries, ==, 9);
                g_assert_cmpuint(alone.limit, ==, 0);
        }
}

static void assert_load_fails(const char *root, const char *file, const char *message) {
        _cleanup_(failure_done) Failure failure = {};
        Settings settings;

        g_assert_cmpint(config_load(root, file, &settings, NULL, &failure), <, 0);
        g_assert_cmpint(failure.condition, ==, CONDITION_BAD_CONFIGURATION);
        if (!strstr(failure.message, message))
                g_error("'%s' does not say '%s'", failure.message, message);
}

static void test_bad_files(void) {
        _cleanup_(test_folder_cleanup) char *root = test_folder_make();
        g_autofree char *large = g_strnfill(CONFIG_SIZE_MAX + 1, '\n');

        assert_load_fails(root, "/missing", "No such file");
        assert_load_fails(root, "missing", "No such file");
        test_write(root, "etc/lanza/lanzad.conf.d/10-bad.conf", "[Boot]\nLimit=x\n", -1, 0644);
        assert_load_fails(root, NULL, "/etc/lanza/lanzad.conf.d/10-bad.conf:2: Limit=x");
        test_write(root, "etc/lanza/lanzad.conf", large, -1, 0644);
        assert_load_fails(root, NULL, "Cannot read /etc/lanza/lanzad.conf: File too large");
}

static bool is_example(const char *line) {
        return g_regex_match_simple("^#[A-Z][A-Za-z]*=", line, 0, 0);
}

/* The example's keys, with their "#" taken away, bring every default back: none is missing and none is wrong. */
static void test_example(void) {
        const char *source = g_getenv("LANZA_SOURCE");
        g_autoptr(GBytes) bytes = test_read(source ? source : ".", "units/lanzad.conf");
        g_autofree char *text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
        g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
        _cleanup_(config_done) Settings settings = defaults(), shipped = defaults();
        g_autofree char *uncommented = NULL;

        parse_good(&shipped, text);
        assert_defaults(&shipped);
        for (char **line = lines; *line; line++)
                if (is_example(*line))
                        memmove(*line, *line + 1, strlen(*line));
        uncommented = g_strjoinv("\n", lines);
        parse_good(&settings, everything);
        parse_good(&settings, uncommented);
        assert_defaults(&settings);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/daemon/config/has-the-documented-defaults", test_defaults);
        g_test_add_func("/daemon/config/takes-every-key", test_everything);
        g_test_add_func("/daemon/config/takes-comments-white-space-and-repetitions", test_forms);
        g_test_add_func("/daemon/config/refuses-bad-values-with-file-and-line", test_refused);
        g_test_add_func("/daemon/config/refuses-nul", test_nul);
        g_test_add_func("/daemon/config/warns-of-what-it-does-not-know", test_warnings);
        g_test_add_func("/daemon/config/survives-a-line-of-a-megabyte", test_long_line);
        g_test_add_func("/daemon/config/reads-the-tree's-files-in-order", test_files);
        g_test_add_func("/daemon/config/says-which-file-is-bad", test_bad_files);
        g_test_add_func("/daemon/config/the-example-names-every-key-with-its-default", test_example);
        return g_test_run();
}
