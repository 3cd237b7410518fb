/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define PROFILES "/nix/var/nix/profiles"

/* A tree with a store and profiles. */
typedef struct Fixture {
        char *folder;
        int root;
        GenerationList list;
        StringList warnings;
        Failure failure;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data) {
        fixture->folder = test_folder_make();
        fixture->root = open(fixture->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(fixture->root, >=, 0);
        test_make_folder(fixture->folder, "nix/store", 0755);
        test_make_folder(fixture->folder, "nix/var/nix/profiles", 0755);
}

static void tear_down(Fixture *fixture, gconstpointer data) {
        generation_list_done(&fixture->list);
        string_list_done(&fixture->warnings);
        failure_done(&fixture->failure);
        close(fixture->root);
        test_folder_remove(fixture->folder);
}

static char *v1(const char *toplevel) {
        return g_strdup_printf("\"org.nixos.bootspec.v1\": {\"label\": \"NixOS\", \"system\": \"x86_64-linux\", "
                               "\"toplevel\": \"/nix/store/%s\", \"init\": \"/nix/store/%s/init\", "
                               "\"kernel\": \"/nix/store/k-linux-6.1/bzImage\", \"kernelParams\": []}",
                               toplevel, toplevel);
}

/* Makes /nix/store/NAME, with a specialisation NAME-gaming. */
static void add_toplevel(Fixture *fixture, const char *name) {
        g_autofree char *inner = g_strconcat(name, "-gaming", NULL);
        g_autofree char *own = v1(name), *specialisation = v1(inner);
        g_autofree char *json =
                g_strdup_printf("{%s, \"org.nixos.specialisation.v1\": {\"gaming\": {%s}}}", own, specialisation);
        g_autofree char *path = g_strdup_printf("nix/store/%s/boot.json", name);

        test_write(fixture->folder, path, json, -1, 0644);
}

/* Makes a link in the profile folder. */
static void add_link(Fixture *fixture, const char *name, const char *target) {
        g_autofree char *path = g_strconcat(&PROFILES[1], "/", name, NULL);

        g_assert_cmpint(symlinkat(target, fixture->root, path), ==, 0);
}

static void add_generation(Fixture *fixture, const char *link, const char *toplevel) {
        g_autofree char *target = g_strconcat("/nix/store/", toplevel, NULL);

        if (!test_exists(fixture->folder, &target[1]))
                add_toplevel(fixture, toplevel);
        add_link(fixture, link, target);
}

static void read_list(Fixture *fixture) {
        int r = generation_list_read(fixture->root, PROFILES, &fixture->warnings, &fixture->list, &fixture->failure);

        g_assert_cmpstr(fixture->failure.message, ==, NULL);
        g_assert_cmpint(r, ==, 0);
}

static void assert_fails(Fixture *fixture, Condition condition, const char *message) {
        g_assert_cmpint(
                generation_list_read(fixture->root, PROFILES, &fixture->warnings, &fixture->list, &fixture->failure), <,
                0);
        g_assert_cmpstr(fixture->failure.message, ==, message);
        g_assert_cmpint(fixture->failure.condition, ==, condition);
        g_assert_cmpuint(fixture->list.count, ==, 0);
}

static void test_order(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *profile;
                uint64_t number;
        } expected[] = {{NULL, 10}, {NULL, 9}, {NULL, 1}, {"a", 3}, {"b-2", 12}, {"b-2", 11}};

        test_make_folder(fixture->folder, "nix/var/nix/profiles/system-profiles", 0755);
        add_generation(fixture, "system-9-link", "nine");
        add_generation(fixture, "system-1-link", "one");
        add_generation(fixture, "system-10-link", "ten");
        add_generation(fixture, "system-profiles/b-2-11-link", "nine");
        add_generation(fixture, "system-profiles/a-3-link", "one");
        add_generation(fixture, "system-profiles/b-2-12-link", "ten");
        read_list(fixture);

        g_assert_cmpuint(fixture->list.count, ==, ARRAY_LENGTH(expected));
        for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
                g_assert_cmpstr(fixture->list.items[i].profile, ==, expected[i].profile);
                g_assert_cmpuint(fixture->list.items[i].number, ==, expected[i].number);
                g_assert_null(fixture->list.items[i].problem.message);
                g_assert_cmpuint(fixture->list.items[i].variants.count, ==, 2);
        }
        g_assert_cmpstr(fixture->list.items[0].link, ==, PROFILES "/system-10-link");
        g_assert_cmpstr(fixture->list.items[0].toplevel, ==, "/nix/store/ten");
        g_assert_cmpstr(fixture->list.items[3].link, ==, PROFILES "/system-profiles/a-3-link");
        g_assert_cmpuint(fixture->warnings.count, ==, 0);
}

/* The toplevel, and what the link leads over, have other times. */
static void test_time(Fixture *fixture, gconstpointer data) {
        const struct timespec times[] = {{.tv_sec = 5}, {.tv_sec = 1234567890}};

        add_generation(fixture, "system-1-link", "one");
        g_assert_cmpint(utimensat(fixture->root, "nix/var/nix/profiles/system-1-link", times, AT_SYMLINK_NOFOLLOW), ==,
                        0);
        read_list(fixture);
        g_assert_cmpint(fixture->list.items[0].made, ==, 1234567890);
}

static void test_names(Fixture *fixture, gconstpointer data) {
        static const char *const ignored[] = {"system",          "system-link",    "system-x-link",  "system--link",
                                              "system-3",        "system-3-link~", "default-4-link", "-5-link",
                                              "system-a-6-link", "per-user",       "xsystem-7-link", "system-3-linked",
                                              "system-+3-link",  "system- 3-link", "-link",          "3-link"};
        static const char *const odd[] = {"system-0-link", "system-007-link", "system-18446744073709551616-link",
                                          "system-99999999999999999999999999-link"};

        add_generation(fixture, "system-18446744073709551615-link", "large");
        for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
                add_link(fixture, ignored[i], "/nix/store/large");
        for (size_t i = 0; i < ARRAY_LENGTH(odd); i++)
                add_link(fixture, odd[i], "/nix/store/large");
        read_list(fixture);

        g_assert_cmpuint(fixture->list.count, ==, 1);
        g_assert_cmpuint(fixture->list.items[0].number, ==, UINT64_MAX);
        g_assert_cmpuint(fixture->warnings.count, ==, ARRAY_LENGTH(odd));
        for (size_t i = 0; i < ARRAY_LENGTH(odd); i++) {
                g_autofree char *warning =
                        g_strconcat(PROFILES "/", odd[i], " is ignored: that is no generation's number", NULL);

                g_assert_true(string_list_contains(&fixture->warnings, warning));
        }
}

static void test_hostile_names(Fixture *fixture, gconstpointer data) {
        test_make_folder(fixture->folder, "nix/var/nix/profiles/system-profiles", 0755);
        add_generation(fixture, "system-profiles/a\n-1-link", "one");
        add_generation(fixture, "system-profiles/\xff-1-link", "one");
        read_list(fixture);
        g_assert_cmpuint(fixture->list.count, ==, 0);
        g_assert_cmpuint(fixture->warnings.count, ==, 2);
        for (size_t i = 0; i < 2; i++)
                g_assert_cmpstr(fixture->warnings.items[i], ==,
                                "A link in " PROFILES "/system-profiles is ignored: its name is not UTF-8, or has a "
                                "control character");
}

static void test_malformed(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *name, *target, *problem;
        } cases[] = {
                {"system-10-link", "/home/user/link",
                 PROFILES "/system-10-link does not lead directly into /nix/store"},
                {"system-9-link", "/nix/store/absent", PROFILES "/system-9-link leads to nothing"},
                {"system-8-link", "system-8-link", PROFILES "/system-8-link leads around in a circle"},
                {"system-7-link", "/etc", PROFILES "/system-7-link does not lead directly into /nix/store"},
                {"system-6-link", "/nix/store", PROFILES "/system-6-link does not lead directly into /nix/store"},
                {"system-5-link", "/nix/store/one/deeper",
                 PROFILES "/system-5-link does not lead directly into /nix/store"},
                {"system-4-link", "/nix/store/file", PROFILES "/system-4-link does not lead to a folder"},
                {"system-3-link", "/nix/store/bare", "/nix/store/bare has no boot.json, and its kernel is missing"},
                {"system-2-link", "/nix/store/away", PROFILES "/system-2-link does not lead directly into /nix/store"},
        };

        test_make_folder(fixture->folder, "etc", 0755);
        test_make_folder(fixture->folder, "home/user", 0755);
        g_assert_cmpint(symlinkat("/nix/store/bare", fixture->root, "home/user/link"), ==, 0);
        test_make_folder(fixture->folder, "nix/store/one/deeper", 0755);
        test_make_folder(fixture->folder, "nix/store/bare", 0755);
        test_write(fixture->folder, "nix/store/file", "x", 1, 0644);
        g_assert_cmpint(symlinkat("../../etc", fixture->root, "nix/store/away"), ==, 0);
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
                add_link(fixture, cases[i].name, cases[i].target);
        test_write(fixture->folder, "nix/var/nix/profiles/system-1-link", "no link", -1, 0644);
        read_list(fixture);

        g_assert_cmpuint(fixture->list.count, ==, ARRAY_LENGTH(cases) + 1);
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                g_assert_cmpstr(fixture->list.items[i].problem.message, ==, cases[i].problem);
                g_assert_cmpint(fixture->list.items[i].problem.condition, ==, CONDITION_BAD_BOOTSPEC);
                g_assert_cmpuint(fixture->list.items[i].variants.count, ==, 0);
        }
        g_assert_cmpstr(fixture->list.items[9].problem.message, ==, PROFILES "/system-1-link is not a symbolic link");
        g_assert_cmpstr(fixture->list.items[7].toplevel, ==, "/nix/store/bare");
        g_assert_null(fixture->list.items[0].toplevel);
}

/* Nix's own form, absolute, and a link straight into the store. */
static void test_current(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *target;
                uint64_t current; /* 0: none */
        } cases[] = {
                {"system-2-link", 2},
                {PROFILES "/system-1-link", 1},
                {"system-9-link", 0},
                {"/nix/store/one", 3},
                {"/nix/store/two", 2},
                {"/nix/store/absent", 0},
                {"../profiles/system-2-link", 2},
                {"system", 0},
        };

        add_generation(fixture, "system-1-link", "one");
        add_generation(fixture, "system-2-link", "two");
        add_generation(fixture, "system-3-link", "one");
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                add_link(fixture, "system", cases[i].target);
                read_list(fixture);
                for (size_t k = 0; k < fixture->list.count; k++)
                        g_assert_cmpint(fixture->list.items[k].current, ==,
                                        fixture->list.items[k].number == cases[i].current);
                generation_list_done(&fixture->list);
                g_assert_cmpint(unlinkat(fixture->root, "nix/var/nix/profiles/system", 0), ==, 0);
        }
}

static void test_current_of_others(Fixture *fixture, gconstpointer data) {
        test_make_folder(fixture->folder, "nix/var/nix/profiles/system-profiles", 0755);
        add_generation(fixture, "system-1-link", "one");
        add_generation(fixture, "system-profiles/a-1-link", "one");
        add_generation(fixture, "system-profiles/a-2-link", "two");
        add_generation(fixture, "system-profiles/b-1-link", "one");
        add_link(fixture, "system", "system-1-link");
        add_link(fixture, "system-profiles/a", "a-1-link");
        read_list(fixture);
        g_assert_cmpuint(fixture->list.count, ==, 4);
        g_assert_true(fixture->list.items[0].current);  /* system 1 */
        g_assert_false(fixture->list.items[1].current); /* a 2 */
        g_assert_true(fixture->list.items[2].current);  /* a 1 */
        g_assert_false(fixture->list.items[3].current); /* b 1 */
}

/* Where a profile's own link leads straight into the store, other profiles may have the same toplevel. */
static void test_current_by_toplevel(Fixture *fixture, gconstpointer data) {
        test_make_folder(fixture->folder, "nix/var/nix/profiles/system-profiles", 0755);
        add_generation(fixture, "system-profiles/a-1-link", "one");
        add_generation(fixture, "system-profiles/b-1-link", "one");
        add_link(fixture, "system-profiles/b", "/nix/store/one");
        read_list(fixture);
        g_assert_cmpuint(fixture->list.count, ==, 2);
        g_assert_false(fixture->list.items[0].current);
        g_assert_true(fixture->list.items[1].current);
}

static void test_find(Fixture *fixture, gconstpointer data) {
        const BootVariant *variant;

        add_generation(fixture, "system-1-link", "one");
        add_generation(fixture, "system-2-link", "two");
        add_generation(fixture, "system-3-link", "one");
        add_link(fixture, "system-4-link", "/nix/store/bare");
        test_make_folder(fixture->folder, "nix/store/bare", 0755);
        add_link(fixture, "system", "system-1-link");
        read_list(fixture);

        g_assert_cmpuint(generation_list_find(&fixture->list, "/nix/store/one", &variant)->number, ==, 1);
        g_assert_null(variant->specialisation);
        g_assert_cmpuint(generation_list_find(&fixture->list, "/nix/store/two-gaming", &variant)->number, ==, 2);
        g_assert_cmpstr(variant->specialisation, ==, "gaming");
        g_assert_cmpuint(generation_list_find(&fixture->list, "/nix/store/bare", &variant)->number, ==, 4);
        g_assert_null(variant);
        g_assert_null(generation_list_find(&fixture->list, "/nix/store/three", NULL));
        g_assert_null(generation_list_find(&fixture->list, "/nix/store/on", NULL));
}

static void test_folders(Fixture *fixture, gconstpointer data) {
        read_list(fixture);
        g_assert_cmpuint(fixture->list.count, ==, 0);
        g_assert_cmpint(unlinkat(fixture->root, "nix/var/nix/profiles", AT_REMOVEDIR), ==, 0);
        assert_fails(fixture, CONDITION_FAILED,
                     "Cannot open the profile folder " PROFILES ": No such file or directory");
}

static void test_writable_folder(Fixture *fixture, gconstpointer data) {
        g_autofree char *path = test_path(fixture->folder, "nix/var/nix/profiles");

        g_assert_cmpint(chmod(path, 0775), ==, 0);
        assert_fails(fixture, CONDITION_BAD_CONFIGURATION,
                     "The profile folder " PROFILES
                     " belongs to user 0 and has mode 0775, so that others than root decide what is booted");
        g_assert_cmpstr(fixture->failure.hint, ==, "Make it root's: chown root " PROFILES "; chmod 755 " PROFILES);
}

static void test_foreign_folder(Fixture *fixture, gconstpointer data) {
        g_autofree char *path = test_path(fixture->folder, "nix/var/nix/profiles/system-profiles");

        test_make_folder(fixture->folder, "nix/var/nix/profiles/system-profiles", 0755);
        g_assert_cmpint(chown(path, 65534, 65534), ==, 0);
        assert_fails(fixture, CONDITION_BAD_CONFIGURATION,
                     "The profile folder " PROFILES "/system-profiles belongs to user 65534 and has mode 0755, so "
                     "that others than root decide what is booted");
}

static void assert_way_fails(Fixture *fixture, const char *message) {
        failure_done(&fixture->failure);
        assert_fails(fixture, CONDITION_BAD_CONFIGURATION, message);
}

/* Whoever can rename a folder above it can put another in its place. */
static void test_foreign_way(Fixture *fixture, gconstpointer data) {
        g_autofree char *var = test_path(fixture->folder, "nix/var"), *nix = test_path(fixture->folder, "nix");
        g_autofree char *here = test_path(fixture->folder, "nix/var/nix"),
                        *there = test_path(fixture->folder, "home/user/nix");

        g_assert_cmpint(chown(var, 65534, 65534), ==, 0);
        assert_way_fails(fixture,
                         "The folder /nix/var belongs to user 65534 and has mode 0700, so that others than root decide "
                         "what is booted");
        g_assert_cmpstr(fixture->failure.hint, ==, "Make it root's: chown root /nix/var; chmod 755 /nix/var");
        g_assert_cmpint(chown(var, 0, 0), ==, 0);
        g_assert_cmpint(chmod(nix, 0777), ==, 0);
        assert_way_fails(fixture,
                         "The folder /nix belongs to user 0 and has mode 0777, so that others than root decide what is "
                         "booted");
        /* What is root's stays where it is. */
        g_assert_cmpint(chmod(nix, 01777), ==, 0);
        failure_done(&fixture->failure);
        read_list(fixture);
        g_assert_cmpint(chmod(nix, 0755), ==, 0);

        /* A good link to a folder of root's, in one of another's. */
        test_make_folder(fixture->folder, "home/user", 0755);
        g_assert_cmpint(rename(here, there), ==, 0);
        g_assert_cmpint(symlink("../../home/./user/../user/nix", here), ==, 0);
        failure_done(&fixture->failure);
        read_list(fixture);
        g_free(there);
        there = test_path(fixture->folder, "home/user");
        g_assert_cmpint(chown(there, 65534, 65534), ==, 0);
        assert_way_fails(
                fixture,
                "The folder /home/user belongs to user 65534 and has mode 0755, so that others than root decide "
                "what is booted");
        g_assert_cmpint(chown(there, 0, 0), ==, 0);
        g_assert_cmpint(lchown(here, 65534, 65534), ==, 0);
        assert_way_fails(
                fixture,
                "The link /nix/var/nix belongs to user 65534 and has mode 0777, so that others than root decide "
                "what is booted");
}

static void test_too_many(Fixture *fixture, gconstpointer data) {
        test_make_folder(fixture->folder, "nix/var/nix/profiles/system-profiles", 0755);
        for (unsigned i = 0; i <= GENERATION_PROFILES_MAX; i++) {
                g_autofree char *name = g_strdup_printf("system-profiles/p%u-1-link", i);

                add_link(fixture, name, "/nix/store/absent");
        }
        assert_fails(fixture, CONDITION_LIMITS_EXCEEDED,
                     "There are more than 256 profiles in " PROFILES "/system-profiles");
}

static void test_many(Fixture *fixture, gconstpointer data) {
        add_toplevel(fixture, "one");
        for (unsigned i = 1; i <= 700; i++) {
                g_autofree char *name = g_strdup_printf("system-%u-link", i);

                add_link(fixture, name, "/nix/store/one");
        }
        read_list(fixture);
        g_assert_cmpuint(fixture->list.count, ==, 700);
        for (size_t i = 0; i < 700; i++)
                g_assert_cmpuint(fixture->list.items[i].number, ==, 700 - i);
}

static void test_resolve(Fixture *fixture, gconstpointer data) {
        _cleanup_(free_pointer) char *toplevel = NULL;

        g_assert_cmpint(toplevel_resolve(fixture->root, GENERATION_BOOTED_SYSTEM, &toplevel), ==, -ENOENT);
        add_toplevel(fixture, "one");
        test_make_folder(fixture->folder, "run", 0755);
        g_assert_cmpint(symlinkat("/nix/store/one", fixture->root, "run/booted-system"), ==, 0);
        g_assert_cmpint(toplevel_resolve(fixture->root, GENERATION_BOOTED_SYSTEM, &toplevel), ==, 0);
        g_assert_cmpstr(toplevel, ==, "/nix/store/one");
}

static void test_link_owner(Fixture *fixture, gconstpointer data) {
        add_generation(fixture, "system-1-link", "one");
        add_generation(fixture, "system-2-link", "two");
        g_assert_cmpint(
                fchownat(fixture->root, "nix/var/nix/profiles/system-2-link", 65534, 65534, AT_SYMLINK_NOFOLLOW), ==,
                0);
        read_list(fixture);
        g_assert_cmpstr(fixture->list.items[0].problem.message, ==,
                        PROFILES "/system-2-link belongs to user 65534, not to root");
        g_assert_null(fixture->list.items[0].toplevel);
        g_assert_null(fixture->list.items[1].problem.message);
        g_assert_null(generation_list_find(&fixture->list, "/nix/store/two", NULL));
}

/* The kernel that add_toplevel() names. */
static void add_kernel(Fixture *fixture) {
        test_write(fixture->folder, "nix/store/k-linux-6.1/bzImage", "kernel", -1, 0444);
}

static void test_unlisted(Fixture *fixture, gconstpointer data) {
        const BootVariant *variant = NULL;
        const Generation *found;

        add_kernel(fixture);
        add_generation(fixture, "system-7-link", "seven");
        add_toplevel(fixture, "other");
        read_list(fixture);
        g_assert_cmpint(
                generation_list_add_unlisted(fixture->root, "/nix/store/other", &fixture->list, &fixture->failure), ==,
                0);
        g_assert_cmpuint(fixture->list.count, ==, 2);
        found = generation_list_find(&fixture->list, "/nix/store/other", &variant);
        g_assert_true(found == fixture->list.items); /* the newest one comes first */
        g_assert_cmpuint(found->number, ==, 8);
        g_assert_null(found->profile);
        g_assert_true(variant == found->variants.items);
        g_assert_cmpuint(found->variants.count, ==, 2);
        g_assert_nonnull(generation_list_find(&fixture->list, "/nix/store/seven-gaming", &variant));
        g_assert_cmpstr(variant->specialisation, ==, "gaming");
}

static void refuse_unlisted(Fixture *fixture, const char *toplevel, const char *message) {
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(generation_list_add_unlisted(fixture->root, toplevel, &fixture->list, &failure), <, 0);
        g_assert_cmpstr(condition_name(failure.condition), ==, "ForeignToplevel");
        g_assert_cmpstr(failure.message, ==, message);
        g_assert_cmpuint(fixture->list.count, ==, 0);
}

static void test_unlisted_bounds(Fixture *fixture, gconstpointer data) {
        g_autofree char *top = test_path(fixture->folder, "nix/store/one");
        g_autofree char *kernel = test_path(fixture->folder, "nix/store/k-linux-6.1/bzImage");

        add_toplevel(fixture, "one");
        add_toplevel(fixture, "one/sub");
        test_write(fixture->folder, "home/me/boot.json", "{}", -1, 0644);
        refuse_unlisted(fixture, "/nix/store/gone", "/nix/store/gone is not signed: /nix/store/gone cannot be opened");
        refuse_unlisted(fixture, "/home/me", "/home/me is not signed: /home/me is not in /nix/store");
        refuse_unlisted(fixture, "/nix/store/../../home/me",
                        "/nix/store/../../home/me is not signed: /nix/store/../../home/me is not in /nix/store");
        refuse_unlisted(fixture, "/nix/store/one/sub",
                        "/nix/store/one/sub is not signed: it is no folder directly in /nix/store");
        refuse_unlisted(fixture, "/nix/store/one",
                        "/nix/store/one is not signed: /nix/store/k-linux-6.1/bzImage cannot be opened");
        add_kernel(fixture);
        g_assert_cmpint(chmod(kernel, 0664), ==, 0);
        refuse_unlisted(fixture, "/nix/store/one",
                        "/nix/store/one is not signed: /nix/store/k-linux-6.1/bzImage can be written by others than "
                        "root");
        g_assert_cmpint(chmod(kernel, 0444), ==, 0);
        g_assert_cmpint(chown(kernel, 65534, 65534), ==, 0);
        refuse_unlisted(fixture, "/nix/store/one",
                        "/nix/store/one is not signed: /nix/store/k-linux-6.1/bzImage does not belong to root");
        g_assert_cmpint(unlink(kernel), ==, 0);
        g_assert_cmpint(symlink("/home/me/boot.json", kernel), ==, 0);
        refuse_unlisted(fixture, "/nix/store/one",
                        "/nix/store/one is not signed: /nix/store/k-linux-6.1/bzImage is not in /nix/store");
        g_assert_cmpint(chown(top, 65534, 65534), ==, 0); /* a builder still works on it */
        refuse_unlisted(fixture, "/nix/store/one",
                        "/nix/store/one is not signed: /nix/store/one does not belong to root");
        g_assert_cmpint(chown(top, 0, 0), ==, 0);
        g_assert_cmpint(chmod(top, 0757), ==, 0);
        refuse_unlisted(fixture, "/nix/store/one",
                        "/nix/store/one is not signed: /nix/store/one can be written by others than root");
}

static void test_unlisted_program(Fixture *fixture, gconstpointer data) {
        static const char text[] =
                "{\"org.nixos.bootspec.v1\": {\"init\": \"/nix/store/s/init\", \"kernel\": "
                "\"/nix/store/k-linux-6.1/bzImage\", \"initrdSecrets\": \"/home/me/program\", \"kernelParams\": [], "
                "\"label\": \"S\", \"system\": \"x86_64-linux\", \"toplevel\": \"/nix/store/s\"}}";

        add_kernel(fixture);
        test_write(fixture->folder, "home/me/program", "", -1, 0755);
        test_write(fixture->folder, "nix/store/s/boot.json", text, -1, 0444);
        refuse_unlisted(fixture, "/nix/store/s", "/nix/store/s is not signed: /home/me/program is not in /nix/store");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add("/boot/generation/" name, Fixture, NULL, set_up, function, tear_down)
        TEST("newest-first-in-each-profile", test_order);
        TEST("was-made-when-its-link-was", test_time);
        TEST("ignores-other-names-and-tells-odd-numbers", test_names);
        TEST("does-not-repeat-hostile-names", test_hostile_names);
        TEST("a-malformed-one-says-why-and-spares-the-others", test_malformed);
        TEST("the-profiles-own-link-tells-the-current-one", test_current);
        TEST("each-profile-has-its-current-one", test_current_of_others);
        TEST("a-toplevel-is-current-in-its-own-profile", test_current_by_toplevel);
        TEST("is-found-by-its-toplevel-or-a-specialisations", test_find);
        TEST("a-missing-profile-folder-is-an-error", test_folders);
        TEST("refuses-a-profile-folder-that-others-write-to", test_writable_folder);
        TEST("refuses-one-whose-place-others-may-give-to-another", test_foreign_way);
        TEST("refuses-a-profile-folder-of-another-user", test_foreign_folder);
        TEST("of-a-link-that-another-user-owns-is-not-followed", test_link_owner);
        TEST("of-no-profile-is-the-next-of-system-if-root-wants-it", test_unlisted);
        TEST("of-no-profile-must-be-finished-and-in-the-store", test_unlisted_bounds);
        TEST("of-no-profile-has-its-program-for-secrets-there-too", test_unlisted_program);
        TEST("bounds-the-number-of-profiles", test_too_many);
        TEST("hundreds-are-no-problem", test_many);
        TEST("booted-system-is-resolved-inside-the-root", test_resolve);
        return g_test_run();
}
