/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/boot-image.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <time.h>

#include "daemon/boot/os-release.h"
#include "daemon/util/encode.h"
#include "stubs/stub-abi.h"
#include "tests/lib/test-folder.h"

#define KERNEL_PATH "\\EFI\\nixos\\kernel-6.12.1-a.efi"
#define INITRD_PATH "\\EFI\\nixos\\initrd-6.12.1-b.efi"
#define SECRETS_PATH "\\EFI\\nixos\\initrd-6.12.1-c.efi"

/* A good input that tests change. */
typedef struct Fixture {
        Bootspec bootspec;
        char *params[8];
        BootVariant variant;
        BootContent initrds[LANZA_INITRDS_MAX + 1];
        BootImageInput input;
} Fixture;

static void fixture_init(Fixture *fixture) {
        *fixture = (Fixture){
                .params = {(char *)"quiet", (char *)"dyndbg=\"file a.c +p\"", (char *)"loglevel=4"},
                .bootspec = {.label = (char *)"NixOS 25.05 (Linux 6.12.1)",
                             .init = (char *)"/nix/store/aaa-nixos/init",
                             .toplevel = (char *)"/nix/store/aaa-nixos"},
                .initrds = {{INITRD_PATH, {{2}}}, {SECRETS_PATH, {{3}}}},
        };
        fixture->bootspec.kernel_params = (StringList){fixture->params, 3};
        fixture->variant.bootspec = &fixture->bootspec;
        fixture->input = (BootImageInput){
                .generation = 12,
                .made = 1767312000, /* 2026-01-02 00:00 UTC */
                .toplevel = "/nix/store/aaa-nixos",
                .variant = &fixture->variant,
                .default_sort_key = "lanza",
                .kernel = {KERNEL_PATH, {{1}}},
                .initrds = fixture->initrds,
                .initrd_count = 2,
        };
}

static void compose(const Fixture *fixture, BootImage *image) {
        g_assert_cmpint(boot_image_compose(&fixture->input, NULL, image, NULL), ==, 0);
}

static char *hash_of(const Fixture *fixture) {
        _cleanup_(boot_image_done) BootImage image = {};

        compose(fixture, &image);
        return hex_encode((Span){image.hash.bytes, SHA256_SIZE});
}

static char *section(const BootImage *image, const char *name) {
        for (size_t i = 0; i < image->section_count; i++)
                if (strcmp(image->sections[i].name, name) == 0)
                        return g_strndup((const char *)image->sections[i].content.data,
                                         image->sections[i].content.size);
        return NULL;
}

static void test_sections(void) {
        static const char *const names[] = {".osrel", ".cmdline", ".linux", ".linuxh", ".initrd", ".initrdh"};
        static const uint8_t hashes[2 * SHA256_SIZE] = {[0] = 2, [SHA256_SIZE] = 3};
        _cleanup_(boot_image_done) BootImage image = {};
        Fixture fixture;

        fixture_init(&fixture);
        compose(&fixture, &image);
        g_assert_cmpuint(image.section_count, ==, ARRAY_LENGTH(names));
        for (size_t i = 0; i < image.section_count; i++) {
                g_assert_cmpstr(image.sections[i].name, ==, names[i]);
                g_assert_cmpuint(image.sections[i].content.size, >, 0);
        }

        g_autofree char *command_line = section(&image, ".cmdline"), *kernel = section(&image, ".linux"),
                        *initrds = section(&image, ".initrd"), *os_release = section(&image, ".osrel");
        g_assert_cmpstr(command_line, ==, "init=/nix/store/aaa-nixos/init quiet dyndbg=\"file a.c +p\" loglevel=4");
        g_assert_cmpstr(kernel, ==, KERNEL_PATH);
        g_assert_cmpstr(initrds, ==, INITRD_PATH "\n" SECRETS_PATH);
        g_assert_cmpstr(os_release, ==,
                        "ID=\"lanza\"\n"
                        "PRETTY_NAME=\"NixOS 25.05 (Linux 6.12.1) (Generation 12, 2026-01-02)\"\n"
                        "VERSION_ID=\"Generation 12, 2026-01-02\"\n");
        g_assert_cmpmem(image.sections[3].content.data, image.sections[3].content.size, fixture.input.kernel.hash.bytes,
                        SHA256_SIZE);
        g_assert_cmpmem(image.sections[5].content.data, image.sections[5].content.size, hashes, sizeof(hashes));
}

static void test_without_initrd(void) {
        _cleanup_(boot_image_done) BootImage image = {};
        Fixture fixture;

        fixture_init(&fixture);
        fixture.input.initrd_count = 0;
        compose(&fixture, &image);
        g_assert_cmpuint(image.section_count, ==, 4);
        g_assert_cmpstr(image.sections[3].name, ==, ".linuxh");
}

static void test_titles(void) {
        static const struct {
                const char *profile, *specialisation, *sort_key;
                const char *title, *version, *expected_sort_key;
        } cases[] = {
                {NULL, NULL, NULL, "NixOS 25.05 (Linux 6.12.1) (Generation 12, 2026-01-02)",
                 "Generation 12, 2026-01-02", "lanza"},
                {NULL, "gaming", "games", "NixOS 25.05 (Linux 6.12.1) (Generation 12, gaming, 2026-01-02)",
                 "Generation 12~gaming, 2026-01-02", "games"},
                {"test", "a/b", NULL, "NixOS 25.05 (Linux 6.12.1) (Generation 12 of test, a/b, 2026-01-02)",
                 "Generation 12~a/b, 2026-01-02", "lanza"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(boot_image_done) BootImage image = {};
                Fixture fixture;

                fixture_init(&fixture);
                fixture.input.profile = cases[i].profile;
                fixture.variant.specialisation = (char *)cases[i].specialisation;
                fixture.bootspec.sort_key = (char *)cases[i].sort_key;
                compose(&fixture, &image);
                g_assert_cmpstr(image.title, ==, cases[i].title);
                g_assert_cmpstr(image.version, ==, cases[i].version);
                g_assert_cmpstr(image.sort_key, ==, cases[i].expected_sort_key);
        }
}

static void test_label(void) {
        _cleanup_(boot_image_done) BootImage image = {};
        _cleanup_(os_release_done) OsRelease os_release = {};
        Fixture fixture;

        fixture_init(&fixture);
        fixture.bootspec.label = (char *)"a\" ; $(reboot) `b` \\";
        compose(&fixture, &image);
        g_assert_cmpint(os_release_parse(buffer_span(&image.sections[0].content), &os_release), ==, 0);
        g_assert_cmpstr(os_release.pretty_name, ==, "a\" ; $(reboot) `b` \\ (Generation 12, 2026-01-02)");
        g_assert_cmpstr(os_release.id, ==, "lanza");
}

static void test_dates(void) {
        static const struct {
                int64_t made;
                const char *date;
        } cases[] = {
                {0, "1970-01-01"},         {1, "1970-01-01"},          {1767311999, "2026-01-01"},
                {-1, "1969-12-31"},        {4102444800, "2100-01-01"}, {INT64_MAX, "@9223372036854775807"},
                {951782400, "2000-02-29"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(boot_image_done) BootImage image = {};
                g_autofree char *version = g_strdup_printf("Generation 12, %s", cases[i].date);
                Fixture fixture;

                fixture_init(&fixture);
                fixture.input.made = cases[i].made;
                compose(&fixture, &image);
                g_assert_cmpstr(image.version, ==, version);
        }
}

static void test_time_zone(void) {
        Fixture fixture;

        fixture_init(&fixture);
        g_autofree char *before = hash_of(&fixture);
        g_setenv("TZ", "West+12", TRUE);
        tzset();
        g_autofree char *after = hash_of(&fixture);
        g_unsetenv("TZ");
        tzset();
        g_assert_cmpstr(before, ==, after);
}

/* Computed once by another program from the rule in boot-image.c. */
static void test_hash(void) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.variant.specialisation = (char *)"gaming";
        g_autofree char *hash = hash_of(&fixture);

        g_assert_cmpstr(hash, ==, "35db8410e35e0205732a0508a1ea4a4ade30bd63aefa1e5477a21935bc82070e");
}

enum { CHANGES = 14 };

/* Changes one of the things that tell two images apart; 0: nothing. */
static void change_input(Fixture *fixture, unsigned change) {
        const struct {
                const char **text;
                const char *value;
        } texts[] = {
                {&fixture->input.profile, "test"},
                {&fixture->input.toplevel, "/nix/store/bbb-nixos"},
                {(const char **)&fixture->variant.specialisation, "gaming"},
                {(const char **)&fixture->bootspec.label, "Other"},
                {(const char **)&fixture->bootspec.init, "/nix/store/bbb-nixos/init"},
                {(const char **)&fixture->bootspec.sort_key, "other"},
                {&fixture->input.kernel.path, INITRD_PATH},
                {&fixture->initrds[1].path, INITRD_PATH},
        };
        const unsigned others = ARRAY_LENGTH(texts);

        if (change > 0 && change <= others)
                *texts[change - 1].text = texts[change - 1].value;
        fixture->input.generation += change == others + 1;
        fixture->input.made += change == others + 2 ? 24 * 60 * 60 : 0;
        fixture->bootspec.kernel_params.count -= change == others + 3;
        fixture->input.kernel.hash.bytes[31] ^= change == others + 4;
        fixture->initrds[1].hash.bytes[0] ^= change == others + 5;
        fixture->input.initrd_count -= change == others + 6;
}

/* No two different images have the same hash. */
static void test_hash_covers(void) {
        g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        Fixture fixture;

        for (unsigned change = 0; change <= CHANGES; change++) {
                fixture_init(&fixture);
                change_input(&fixture, change);
                g_assert_true(g_hash_table_add(seen, hash_of(&fixture)));
        }
        fixture_init(&fixture);
        fixture.bootspec.stub = (char *)"/nix/store/ccc/stub.efi";
        g_autofree char *hash = hash_of(&fixture);
        g_assert_true(g_hash_table_contains(seen, hash));
}

static void test_hash_covers_certificate(void) {
        g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        static const char *const names[] = {"db.der", "PK.der"};
        Fixture fixture;

        fixture_init(&fixture);
        g_assert_true(g_hash_table_add(seen, hash_of(&fixture)));
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                g_autoptr(GBytes) der = test_pki(names[i]);
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                g_assert_cmpint(
                        certificate_from_der((Span){g_bytes_get_data(der, NULL), g_bytes_get_size(der)}, &certificate),
                        ==, 0);
                fixture.input.certificate = certificate;
                g_assert_true(g_hash_table_add(seen, hash_of(&fixture)));
        }
}

static void test_long_command_line(void) {
        g_autofree char *param = g_strnfill(LANZA_CMDLINE_MAX_BYTES - strlen("init=/nix/store/aaa-nixos/init "), 'p');
        g_autofree char *longer = g_strconcat(param, "p", NULL);
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(boot_image_done) BootImage image = {};
        _cleanup_(failure_done) Failure failure = {};
        Fixture fixture;

        fixture_init(&fixture);
        fixture.bootspec.kernel_params.count = 1;
        fixture.params[0] = param;
        g_assert_cmpint(boot_image_compose(&fixture.input, &warnings, &image, &failure), ==, 0);
        g_assert_cmpuint(warnings.count, ==, 1);
        g_assert_cmpstr(warnings.items[0], ==,
                        "NixOS 25.05 (Linux 6.12.1) (Generation 12, 2026-01-02): its kernel command line has 16384 "
                        "bytes, of which Linux only reads the first 2047");

        fixture.params[0] = longer;
        g_assert_cmpint(boot_image_compose(&fixture.input, &warnings, &image, &failure), ==,
                        condition_errno(CONDITION_BAD_BOOTSPEC));
        g_assert_cmpstr(failure.message, ==,
                        "NixOS 25.05 (Linux 6.12.1) (Generation 12, 2026-01-02): its kernel command line has 16385 "
                        "bytes, more than the 16384 that the stub takes");
}

static void test_initrd_parameter(void) {
        _cleanup_(boot_image_done) BootImage image = {}, other = {};
        _cleanup_(failure_done) Failure failure = {};
        Fixture fixture;

        fixture_init(&fixture);
        fixture.params[1] = (char *)"initrd=\\evil.img";
        g_assert_cmpint(boot_image_compose(&fixture.input, NULL, &image, NULL), ==, 0); /* ours comes first */
        fixture.input.initrd_count = 0;
        g_assert_cmpint(boot_image_compose(&fixture.input, NULL, &other, &failure), ==,
                        condition_errno(CONDITION_BAD_BOOTSPEC));
        g_assert_nonnull(strstr(failure.message, "initrd="));
        fixture.params[1] = (char *)"noinitrd";
        g_assert_cmpint(boot_image_compose(&fixture.input, NULL, &other, NULL), ==, 0);
}

static void test_linux_limit(void) {
        g_autofree char *param = g_strnfill(2047 - strlen("init=/nix/store/aaa-nixos/init "), 'p');
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(boot_image_done) BootImage image = {};
        Fixture fixture;

        fixture_init(&fixture);
        fixture.bootspec.kernel_params.count = 1;
        fixture.params[0] = param;
        g_assert_cmpint(boot_image_compose(&fixture.input, &warnings, &image, NULL), ==, 0);
        g_assert_cmpuint(warnings.count, ==, 0);
}

static void test_trailing_space(void) {
        _cleanup_(boot_image_done) BootImage image = {};
        Fixture fixture;

        fixture_init(&fixture);
        fixture.params[2] = (char *)" \t";
        compose(&fixture, &image);
        g_autofree char *command_line = section(&image, ".cmdline");
        g_assert_cmpstr(command_line, ==, "init=/nix/store/aaa-nixos/init quiet dyndbg=\"file a.c +p\"");
}

static void test_bad_paths(void) {
        g_autofree char *long_name = g_strnfill(LANZA_ESP_PATH_MAX_BYTES, 'x');
        g_autofree char *too_long = g_strconcat("\\", long_name, NULL);
        const char *const bad[] = {"",        "EFI\\a", "\\",         "\\a\\",   "\\a\\\\b", "\\a/b",
                                   "\\..\\a", "\\a\\.", "\\a.\\b",    "\\a \\b", "\\ a",     "\\a\nb",
                                   "\\a:b",   "\\a*",   "\\\xc3\xa9", "\\a\"b",  too_long};

        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                BootImage image = {};
                Fixture fixture;

                fixture_init(&fixture);
                fixture.input.kernel.path = bad[i];
                g_assert_cmpint(boot_image_compose(&fixture.input, NULL, &image, NULL), ==, -EINVAL);
                fixture_init(&fixture);
                fixture.initrds[1].path = bad[i];
                g_assert_cmpint(boot_image_compose(&fixture.input, NULL, &image, NULL), ==, -EINVAL);
                g_assert_cmpuint(image.section_count, ==, 0);
        }
        too_long[LANZA_ESP_PATH_MAX_BYTES] = 0;
        _cleanup_(boot_image_done) BootImage image = {};
        Fixture fixture;
        fixture_init(&fixture);
        fixture.input.kernel.path = too_long;
        compose(&fixture, &image);
}

static void test_many_initrds(void) {
        _cleanup_(boot_image_done) BootImage image = {};
        BootImage refused = {};
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ARRAY_LENGTH(fixture.initrds); i++)
                fixture.initrds[i].path = INITRD_PATH;
        fixture.input.initrd_count = LANZA_INITRDS_MAX;
        compose(&fixture, &image);
        g_assert_cmpuint(image.sections[5].content.size, ==, LANZA_INITRDS_MAX * SHA256_SIZE);
        fixture.input.initrd_count = LANZA_INITRDS_MAX + 1;
        g_assert_cmpint(boot_image_compose(&fixture.input, NULL, &refused, NULL), ==, -EINVAL);
}

static void test_kernel_version(void) {
        g_autofree char *longest = g_strnfill(KERNEL_VERSION_MAX, '1');
        g_autofree char *at_most = g_strdup_printf("/nix/store/a-linux-%s/bzImage", longest),
                        *above = g_strdup_printf("/nix/store/a-linux-%s1/bzImage", longest);
        const char *const cases[][2] = {
                {"/nix/store/0abc-linux-6.12.1/bzImage", "6.12.1"},
                {"/nix/store/0abc-initrd-linux-6.12.1/initrd", "6.12.1"},
                {"/nix/store/0abc-linux-6.12.1", "6.12.1"},
                {"/nix/store/0abc-linux-zen-6.12_x-linux-2/bzImage", "zen-6.12_x-linux-2"},
                {"/nix/store/0abc-kernel/a-linux-6.1/bzImage", "unknown"},
                {"/nix/store/0abc-linux-/bzImage", "unknown"},
                {"/nix/store/0abc-linux-6+1/bzImage", "unknown"},
                {"/nix/store/0abc-linux-6 1/bzImage", "unknown"},
                {"/nix/store/linux-6.1/bzImage", "unknown"},
                {"/gnu/store/0abc-linux-6.1/bzImage", "unknown"},
                {"/boot/a-linux-6.1", "unknown"},
                {"", "unknown"},
                {at_most, longest},
                {above, "unknown"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                char *version;

                g_assert_cmpint(kernel_version(cases[i][0], &version), ==, 0);
                g_assert_cmpstr(version, ==, cases[i][1]);
                free(version);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/boot/boot-image/has-the-sections-of-the-stub", test_sections);
        g_test_add_func("/boot/boot-image/without-initrd-has-no-section-for-it", test_without_initrd);
        g_test_add_func("/boot/boot-image/title-tells-images-apart", test_titles);
        g_test_add_func("/boot/boot-image/a-label-stays-in-its-line", test_label);
        g_test_add_func("/boot/boot-image/any-date-can-be-shown", test_dates);
        g_test_add_func("/boot/boot-image/does-not-depend-on-the-time-zone", test_time_zone);
        g_test_add_func("/boot/boot-image/hash-follows-its-rule", test_hash);
        g_test_add_func("/boot/boot-image/hash-covers-all-but-the-stub", test_hash_covers);
        g_test_add_func("/boot/boot-image/hash-covers-the-certificate", test_hash_covers_certificate);
        g_test_add_func("/boot/boot-image/refuses-a-command-line-that-the-stub-would", test_long_command_line);
        g_test_add_func("/boot/boot-image/does-not-warn-of-what-linux-reads", test_linux_limit);
        g_test_add_func("/boot/boot-image/refuses-an-initrd-parameter-that-linux-would-follow", test_initrd_parameter);
        g_test_add_func("/boot/boot-image/drops-white-space-at-the-end-of-the-command-line", test_trailing_space);
        g_test_add_func("/boot/boot-image/refuses-esp-paths-that-the-stub-would", test_bad_paths);
        g_test_add_func("/boot/boot-image/bounds-the-number-of-initrds", test_many_initrds);
        g_test_add_func("/boot/kernel-version/comes-from-the-store-name", test_kernel_version);
        return g_test_run();
}
