/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/synthesis.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/boot/bootspec.h"
#include "daemon/boot/generation.h"
#include "daemon/boot/store-link.h"
#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define TOPLEVEL "/nix/store/aaa-nixos-system"
#define SPECIAL "/nix/store/bbb-nixos-system-gaming"

typedef struct Fixture {
        char *folder;
        int root;
        Bootspec bootspec;
        Failure failure;
} Fixture;

static void write_file(Fixture *fixture, const char *path, const char *text) {
        test_write(fixture->folder, &path[1], text, -1, 0644);
}

static void add_link(Fixture *fixture, const char *path, const char *target) {
        unlinkat(fixture->root, &path[1], 0);
        g_assert_cmpint(symlinkat(target, fixture->root, &path[1]), ==, 0);
}

/* What NixOS 21.11 built, with everything that may be absent. */
static void add_system(Fixture *fixture, const char *toplevel, const char *params) {
        const struct {
                const char *name, *text, *target;
        } files[] = {
                {"init", "#!/bin/sh\n", NULL},
                {"kernel-params", params, NULL},
                {"nixos-version", "21.11pre-git", NULL},
                {"system", "x86_64-linux", NULL},
                {"append-initrd-secrets", "#!/bin/sh\n", NULL},
                {"kernel", NULL, "/nix/store/kkk-linux-5.10.81/bzImage"},
                {"initrd", NULL, "/nix/store/iii-initrd-linux-5.10.81/initrd"},
                {"kernel-modules", NULL, "/nix/store/mmm-kernel-modules"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
                g_autofree char *path = g_strdup_printf("%s/%s", toplevel, files[i].name);

                if (files[i].text)
                        write_file(fixture, path, files[i].text);
                else
                        add_link(fixture, path, files[i].target);
        }
}

static void set_up(Fixture *fixture, gconstpointer data) {
        fixture->folder = test_folder_make();
        fixture->root = open(fixture->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(fixture->root, >=, 0);
        write_file(fixture, "/nix/store/kkk-linux-5.10.81/bzImage", "kernel");
        write_file(fixture, "/nix/store/kkk-linux-5.10.81/lib/modules/5.10.81/modules.dep", "");
        write_file(fixture, "/nix/store/iii-initrd-linux-5.10.81/initrd", "initrd");
        test_make_folder(fixture->folder, "nix/store/mmm-kernel-modules", 0755);
        add_link(fixture, "/nix/store/mmm-kernel-modules/lib", "/nix/store/kkk-linux-5.10.81/lib");
        add_system(fixture, TOPLEVEL, "loglevel=4 net.ifnames=0");
        add_system(fixture, SPECIAL, "quiet");
        test_make_folder(fixture->folder, &TOPLEVEL "/specialisation"[1], 0755);
        add_link(fixture, TOPLEVEL "/specialisation/gaming", SPECIAL);
}

static void tear_down(Fixture *fixture, gconstpointer data) {
        bootspec_done(&fixture->bootspec);
        failure_done(&fixture->failure);
        close(fixture->root);
        test_folder_remove(fixture->folder);
}

static void load(Fixture *fixture) {
        int r = bootspec_load(fixture->root, TOPLEVEL, &fixture->bootspec, &fixture->failure);

        g_assert_cmpstr(fixture->failure.message, ==, NULL);
        g_assert_cmpint(r, ==, 0);
}

static void assert_refused(Fixture *fixture, const char *message) {
        Bootspec untouched = {.label = (char *)"untouched"};
        int r = bootspec_load(fixture->root, TOPLEVEL, &untouched, &fixture->failure);

        g_assert_cmpstr(fixture->failure.message, ==, message);
        g_assert_cmpint(fixture->failure.condition, ==, CONDITION_BAD_BOOTSPEC);
        g_assert_cmpint(r, ==, condition_errno(CONDITION_BAD_BOOTSPEC));
        g_assert_cmpstr(untouched.label, ==, "untouched");
        failure_done(&fixture->failure);
}

/* Held against bootspec's own "synthesize": its expected result for such a system, but for initrd and kernel, which it
 * names by where they lead, too. */
static void test_whole(Fixture *fixture, gconstpointer data) {
        const Bootspec *bootspec = &fixture->bootspec, *special;

        load(fixture);
        g_assert_cmpstr(bootspec->label, ==, "NixOS 21.11pre-git (Linux 5.10.81)");
        g_assert_cmpstr(bootspec->kernel, ==, "/nix/store/kkk-linux-5.10.81/bzImage");
        g_assert_cmpstr(bootspec->initrd, ==, "/nix/store/iii-initrd-linux-5.10.81/initrd");
        g_assert_cmpstr(bootspec->init, ==, TOPLEVEL "/init");
        g_assert_cmpstr(bootspec->initrd_secrets, ==, TOPLEVEL "/append-initrd-secrets");
        g_assert_cmpstr(bootspec->toplevel, ==, TOPLEVEL);
        g_assert_cmpstr(bootspec->system, ==, "x86_64-linux");
        g_assert_cmpuint(bootspec->kernel_params.count, ==, 2);
        g_assert_cmpstr(bootspec->kernel_params.items[0], ==, "loglevel=4");
        g_assert_cmpstr(bootspec->kernel_params.items[1], ==, "net.ifnames=0");
        g_assert_null(bootspec->sort_key);
        g_assert_null(bootspec->stub);

        g_assert_cmpuint(bootspec->specialisation_count, ==, 1);
        g_assert_cmpstr(bootspec->specialisations[0].name, ==, "gaming");
        special = &bootspec->specialisations[0].bootspec;
        g_assert_cmpstr(special->toplevel, ==, SPECIAL);
        g_assert_cmpstr(special->init, ==, SPECIAL "/init");
        g_assert_cmpstr(special->kernel_params.items[0], ==, "quiet");
        g_assert_cmpuint(special->specialisation_count, ==, 0);
}

static void test_boot_json_first(Fixture *fixture, gconstpointer data) {
        write_file(fixture, TOPLEVEL "/boot.json", "{}");
        assert_refused(fixture, TOPLEVEL "/boot.json: \"org.nixos.bootspec.v1\" is missing");
}

static void test_optional(Fixture *fixture, gconstpointer data) {
        static const char *const absent[] = {"initrd", "append-initrd-secrets", "kernel-modules",
                                             "specialisation/gaming"};

        for (size_t i = 0; i < ARRAY_LENGTH(absent); i++) {
                g_autofree char *path = g_strdup_printf("%s/%s", &TOPLEVEL[1], absent[i]);

                g_assert_cmpint(unlinkat(fixture->root, path, 0), ==, 0);
        }
        load(fixture);
        g_assert_null(fixture->bootspec.initrd);
        g_assert_null(fixture->bootspec.initrd_secrets);
        g_assert_cmpstr(fixture->bootspec.label, ==, "NixOS 21.11pre-git");
        g_assert_cmpuint(fixture->bootspec.specialisation_count, ==, 0);
}

static void test_texts(Fixture *fixture, gconstpointer data) {
        static const char *const params[][2] = {
                {"", ""},
                {" \n", ""},
                {"one\n", "one"},
                {"a  b \t\n\n", "a  b"},
                {"dyndbg=\"file a.c +p ; file b.c +p\" x=\"  y\"", "dyndbg=\"file a.c +p ; file b.c +p\" x=\"  y\""},
                {"\xc3\xa9=\"\t\"", "\xc3\xa9=\"\t\""},
        };

        write_file(fixture, TOPLEVEL "/nixos-version", "15.09 \"Dingo\" \\ \xf0\x9f\x90\xb6\n");
        for (size_t i = 0; i < ARRAY_LENGTH(params); i++) {
                g_autofree char *joined = NULL;
                g_autoptr(GPtrArray) words = g_ptr_array_new();

                write_file(fixture, TOPLEVEL "/kernel-params", params[i][0]);
                load(fixture);
                for (size_t j = 0; j < fixture->bootspec.kernel_params.count; j++)
                        g_ptr_array_add(words, fixture->bootspec.kernel_params.items[j]);
                g_ptr_array_add(words, NULL);
                joined = g_strjoinv(" ", (char **)words->pdata);
                g_assert_cmpstr(joined, ==, params[i][1]);
                g_assert_cmpstr(fixture->bootspec.label, ==,
                                "NixOS 15.09 \"Dingo\" \\ \xf0\x9f\x90\xb6 (Linux 5.10.81)");
                bootspec_done(&fixture->bootspec);
        }
}

static void test_missing(Fixture *fixture, gconstpointer data) {
        static const char *const names[] = {"kernel", "init", "kernel-params", "nixos-version", "system"};

        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                g_autofree char *path = g_strdup_printf("%s/%s", &TOPLEVEL[1], names[i]);
                g_autofree char *message =
                        g_strdup_printf(TOPLEVEL " has no boot.json, and its %s is missing", names[i]);

                g_assert_cmpint(renameat(fixture->root, path, fixture->root, "aside"), ==, 0);
                assert_refused(fixture, message);
                g_assert_cmpint(renameat(fixture->root, "aside", fixture->root, path), ==, 0);
        }
        load(fixture);
}

/* Each under the name of a file that has to be there. */
static void test_hostile_links(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *target, *why;
        } bad[] = {
                {"/nix/store/gone/bzImage", "leads to nothing"},
                {"/nix/store/kkk-linux-5.10.81", "is no regular file"},
                {"/home/user/kernel", "leads out of /nix/store"},
                {"/nix/store/../../home/user/kernel", "leads out of /nix/store"},
                {"../../../home/user/kernel", "leads out of /nix/store"},
                {"/nix/store", "leads out of /nix/store"},
                {"/nix/store/", "leads out of /nix/store"},
                {"/nix/storeroom/kernel", "leads out of /nix/store"},
                {"/home/user/back", "leads out of /nix/store"},
                {"/nix/store/way/kernel", "leads out of /nix/store"},
                {TOPLEVEL "/kernel", "cannot be read: Too many levels of symbolic links"},
                {"/nix/store/fifo", "is no regular file"},
                {"/nix/store/not\nprintable", "leads to a name that is no text"},
        };

        write_file(fixture, "/home/user/kernel", "kernel");
        write_file(fixture, "/nix/storeroom/kernel", "kernel");
        write_file(fixture, "/nix/store/not\nprintable", "kernel");
        add_link(fixture, "/home/user/back", "/nix/store/kkk-linux-5.10.81/bzImage");
        add_link(fixture, "/nix/store/way", "/home/user");
        g_assert_cmpint(mkfifoat(fixture->root, "nix/store/fifo", 0644), ==, 0);
        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                g_autofree char *message = g_strdup_printf(TOPLEVEL " has no boot.json, and its kernel %s", bad[i].why);

                add_link(fixture, TOPLEVEL "/kernel", bad[i].target);
                assert_refused(fixture, message);
        }
}

static void test_good_links(Fixture *fixture, gconstpointer data) {
        static const char *const good[] = {
                "../kkk-linux-5.10.81/bzImage",
                "/nix/store//kkk-linux-5.10.81/./bzImage",
                "/nix/store/kkk-linux-5.10.81/lib/../bzImage",
                "/nix/store/mmm-kernel-modules/lib/../bzImage",
                "/nix/store/one",
        };

        add_link(fixture, "/nix/store/one", "two");
        add_link(fixture, "/nix/store/two", "/nix/store/kkk-linux-5.10.81/bzImage");
        for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
                add_link(fixture, TOPLEVEL "/kernel", good[i]);
                load(fixture);
                g_assert_cmpstr(fixture->bootspec.kernel, ==, "/nix/store/kkk-linux-5.10.81/bzImage");
                bootspec_done(&fixture->bootspec);
        }
}

static void test_hostile_texts(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *name, *text, *message;
        } bad[] = {
                {"kernel-params", "one\ntwo", " has no boot.json, and its kernel-params has a control character"},
                {"kernel-params", "\xff", " has no boot.json, and its kernel-params is not UTF-8"},
                {"nixos-version", "a\x1b[31m", " has no boot.json, and its nixos-version has a control character"},
                {"nixos-version", "a\tb",
                 ", which has no boot.json: \"org.nixos.bootspec.v1\".label has a control character"},
                {"system", "", ", which has no boot.json: \"org.nixos.bootspec.v1\".system is empty"},
                {"system", "a b",
                 ", which has no boot.json: \"org.nixos.bootspec.v1\".system is not the name of a kind of system"},
        };
        g_autofree char *long_text = g_strnfill(SYNTHESIS_MAX_TEXT + 1, 'x');

        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                g_autofree char *path = g_strdup_printf("%s/%s", TOPLEVEL, bad[i].name);
                g_autofree char *message = g_strconcat(TOPLEVEL, bad[i].message, NULL);
                g_autoptr(GBytes) before = test_read(fixture->folder, path);

                write_file(fixture, path, bad[i].text);
                assert_refused(fixture, message);
                test_write_bytes(fixture->folder, path, before, 0644);
        }
        test_write(fixture->folder, &TOPLEVEL "/system"[1], "x86_64\0-linux", 13, 0644);
        assert_refused(fixture, TOPLEVEL " has no boot.json, and its system has a control character");
        write_file(fixture, TOPLEVEL "/system", "x86_64-linux");
        write_file(fixture, TOPLEVEL "/kernel-params", long_text);
        assert_refused(fixture, TOPLEVEL " has no boot.json, and its kernel-params cannot be read: File too large");
        long_text[SYNTHESIS_MAX_TEXT] = 0;
        write_file(fixture, TOPLEVEL "/kernel-params", long_text);
        load(fixture);
}

static void test_hostile_specialisations(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *target, *message;
        } bad[] = {
                {"/nix/store/gone", " has no boot.json, and its specialisation/gaming leads to nothing"},
                {"/home/user/system", " has no boot.json, and its specialisation/gaming leads out of /nix/store"},
                {SPECIAL "/init", " has no boot.json, and its specialisation/gaming is no folder"},
                {TOPLEVEL, " has no boot.json, and its specialisation/gaming is no other system of /nix/store"},
                {"/nix/store/kkk-linux-5.10.81/lib",
                 " has no boot.json, and its specialisation/gaming is no other system of /nix/store"},
        };

        test_make_folder(fixture->folder, "home/user/system", 0755);
        for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
                g_autofree char *message = g_strconcat(TOPLEVEL, bad[i].message, NULL);

                add_link(fixture, TOPLEVEL "/specialisation/gaming", bad[i].target);
                assert_refused(fixture, message);
        }
        add_link(fixture, TOPLEVEL "/specialisation/gaming", "/nix/store/kkk-linux-5.10.81");
        assert_refused(fixture, "/nix/store/kkk-linux-5.10.81 has no boot.json, and its kernel is missing");

        add_link(fixture, TOPLEVEL "/specialisation/gaming", SPECIAL);
        add_link(fixture, TOPLEVEL "/specialisation/\xff\n", SPECIAL);
        assert_refused(fixture, TOPLEVEL " has no boot.json, and its specialisation holds a name that is no text");
}

static void test_many_specialisations(Fixture *fixture, gconstpointer data) {
        for (unsigned i = 1; i < BOOTSPEC_MAX_SPECIALISATIONS; i++) {
                g_autofree char *path = g_strdup_printf(TOPLEVEL "/specialisation/%u", i);

                add_link(fixture, path, SPECIAL);
        }
        load(fixture);
        g_assert_cmpuint(fixture->bootspec.specialisation_count, ==, BOOTSPEC_MAX_SPECIALISATIONS);
        add_link(fixture, TOPLEVEL "/specialisation/more", SPECIAL);
        assert_refused(fixture, TOPLEVEL " has no boot.json, and its specialisation has too many names");
}

/* A specialisation may have specialisations of its own only in a boot.json. */
static void test_no_nesting(Fixture *fixture, gconstpointer data) {
        test_make_folder(fixture->folder, &SPECIAL "/specialisation"[1], 0755);
        add_link(fixture, SPECIAL "/specialisation/outer", TOPLEVEL);
        load(fixture);
        g_assert_cmpuint(fixture->bootspec.specialisations[0].bootspec.specialisation_count, ==, 0);
}

static void test_releases(Fixture *fixture, gconstpointer data) {
        test_make_folder(fixture->folder, "nix/store/kkk-linux-5.10.81/lib/modules/4.19.0", 0755);
        load(fixture);
        g_assert_cmpstr(fixture->bootspec.label, ==, "NixOS 21.11pre-git (Linux 4.19.0)");
        test_make_folder(fixture->folder, "nix/store/kkk-linux-5.10.81/lib/modules/\x01", 0755);
        assert_refused(fixture,
                       TOPLEVEL " has no boot.json, and its kernel-modules/lib/modules holds a name that is no text");
}

/* A link in the middle of a long way, and one too many. */
static void test_link_limit(Fixture *fixture, gconstpointer data) {
        g_autofree char *real = NULL;
        struct stat st;

        for (unsigned i = 0; i < 41; i++) {
                g_autofree char *path = g_strdup_printf("/nix/store/link-%u", i);
                g_autofree char *target = i == 0 ? g_strdup("kkk-linux-5.10.81") : g_strdup_printf("link-%u", i - 1);

                add_link(fixture, path, target);
        }
        g_assert_cmpint(store_link_follow(fixture->root, "/nix/store/link-39/bzImage", &real, &st), ==, 0);
        g_assert_cmpstr(real, ==, "/nix/store/kkk-linux-5.10.81/bzImage");
        g_assert_true(S_ISREG(st.st_mode));
        g_free(g_steal_pointer(&real));
        g_assert_cmpint(store_link_follow(fixture->root, "/nix/store/link-40/bzImage", &real, &st), ==, -ELOOP);
        g_assert_cmpint(store_link_follow(fixture->root, "relative", &real, &st), ==, -EXDEV);
        g_assert_cmpint(store_link_follow(fixture->root, "/etc/passwd", &real, &st), ==, -EXDEV);
        g_assert_cmpint(store_link_follow(fixture->root, "/nix/store/kkk-linux-5.10.81/bzImage/x", &real, &st), ==,
                        -ENOTDIR);
        g_assert_null(real);
}

#define TEST(name, function) g_test_add("/boot/synthesis/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        TEST("makes-what-the-reference-makes", test_whole);
        TEST("only-where-there-is-no-boot-json", test_boot_json_first);
        TEST("initrd-secrets-modules-and-specialisations-may-be-absent", test_optional);
        TEST("keeps-the-command-line-byte-by-byte", test_texts);
        TEST("names-what-is-missing", test_missing);
        TEST("follows-no-link-that-leaves-the-store", test_hostile_links);
        TEST("follows-links-within-the-store", test_good_links);
        TEST("refuses-texts-that-are-none-or-too-long", test_hostile_texts);
        TEST("refuses-specialisations-that-are-no-systems", test_hostile_specialisations);
        TEST("bounds-the-number-of-specialisations", test_many_specialisations);
        TEST("specialisations-do-not-nest", test_no_nesting);
        TEST("of-several-releases-the-first-is-told", test_releases);
        TEST("bounds-the-number-of-links", test_link_limit);
        return g_test_run();
}
