/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/boot/generation.h"

/* One generation of a case: "[PROFILE:]N[!][*]", ! for malformed, * for current. Its toplevel is
 * /nix/store/[PROFILE:]N, its specialisation's has "-s" behind it. */
static Generation make_generation(const char *text) {
        const char *colon = strchr(text, ':');
        g_autofree char *id = g_strndup(text, strcspn(text, "!*"));
        Generation generation = {.number = g_ascii_strtoull(colon ? colon + 1 : text, NULL, 10),
                                 .current = strchr(text, '*') != NULL};

        generation.profile = colon ? g_strndup(text, colon - text) : NULL;
        generation.toplevel = g_strconcat("/nix/store/", id, NULL);
        if (strchr(text, '!')) {
                failure_set(&generation.problem, CONDITION_BAD_BOOTSPEC, "%s is broken", id);
                return generation;
        }
        generation.bootspec.toplevel = g_strdup(generation.toplevel);
        generation.bootspec.specialisations = g_new0(BootspecSpecialisation, 1);
        generation.bootspec.specialisation_count = 1;
        generation.bootspec.specialisations[0].name = g_strdup("s");
        generation.bootspec.specialisations[0].bootspec.toplevel = g_strconcat(generation.toplevel, "-s", NULL);
        return generation;
}

static void make_list(const char *text, GenerationList *list) {
        g_auto(GStrv) words = g_strsplit(text, " ", -1);

        for (char **word = words; *word && **word; word++) {
                list->items = g_renew(Generation, list->items, list->count + 1);
                list->items[list->count++] = make_generation(*word);
        }
        for (size_t i = 0; i < list->count; i++)
                if (!list->items[i].problem.message)
                        g_assert_cmpint(bootspec_variants(&list->items[i].bootspec, &list->items[i].variants), ==, 0);
}

/* What was chosen, as "[PROFILE:]N[d][b]": default, booted. */
static char *describe(const GenerationList *list) {
        GString *text = g_string_new(NULL);

        for (size_t i = 0; i < list->count; i++) {
                const Generation *generation = list->items + i;

                if (!generation->chosen)
                        continue;
                if (text->len > 0)
                        g_string_append_c(text, ' ');
                if (generation->profile)
                        g_string_append_printf(text, "%s:", generation->profile);
                g_string_append_printf(text, "%" G_GUINT64_FORMAT "%s%s", generation->number,
                                       generation->is_default ? "d" : "", generation->is_booted ? "b" : "");
        }
        return g_string_free(text, FALSE);
}

static const struct {
        const char *list, *wanted_default, *booted;
        unsigned limit;
        const char *expected;
} good_cases[] = {
        {"3* 2 1", NULL, NULL, 0, "3d 2 1"},
        {"3* 2 1", NULL, NULL, 2, "3d 2"},
        {"3* 2 1", NULL, NULL, 3, "3d 2 1"},
        {"3* 2 1", NULL, NULL, 4, "3d 2 1"},
        /* Over the limit: the default, the booted one. */
        {"5 4 3 2 1*", NULL, NULL, 2, "5 4 1d"},
        {"5* 4 3 2 1", NULL, "1", 2, "5d 4 1b"},
        {"5* 4 3 2 1", "2", "1", 1, "5 2d 1b"},
        {"5* 4 3 2 1", "1", "1", 1, "5 1db"},
        {"5* 4 3 2 1", NULL, "5", 1, "5db"},
        /* A specialisation stands for its generation. */
        {"3* 2 1", "1-s", "2-s", 1, "3 2b 1d"},
        /* What was booted is in no profile any more. */
        {"3* 2 1", NULL, "7", 1, "3d"},
        /* The default without a current generation. */
        {"3 2 1", NULL, NULL, 1, "3d"},
        {"3! 2 1", NULL, NULL, 1, "2d"},
        {"a:3 a:2 b:9", NULL, NULL, 1, "a:3d b:9"},
        {"3! a:3 a:2", NULL, NULL, 1, "a:3d"},
        {"2 a:3*", NULL, NULL, 0, "2d a:3"},
        {"a:2*", NULL, NULL, 0, "a:2d"},
        /* Malformed ones are skipped, and do not count. */
        {"5* 4! 3 2! 1", NULL, NULL, 2, "5d 3"},
        {"5* 4! 3", NULL, "4", 1, "5d"},
        /* The limit is of each profile. */
        {"3* 2 1 a:9 a:8 b:1", NULL, NULL, 2, "3d 2 a:9 a:8 b:1"},
        {"3* 2 1 a:9* a:8 a:7", "a:7", NULL, 1, "3 a:9 a:7d"},
};

static void test_good(void) {
        for (size_t i = 0; i < G_N_ELEMENTS(good_cases); i++) {
                _cleanup_(generation_list_done) GenerationList list = {};
                g_autofree char *wanted = g_strconcat("/nix/store/", good_cases[i].wanted_default, NULL),
                                *booted = g_strconcat("/nix/store/", good_cases[i].booted, NULL);
                const GenerationChoice choice = {
                        .default_toplevel = good_cases[i].wanted_default ? wanted : NULL,
                        .booted_toplevel = good_cases[i].booted ? booted : NULL,
                        .limit = good_cases[i].limit,
                };
                _cleanup_(failure_done) Failure failure = {};
                Generation *generation = NULL;
                const BootVariant *variant = NULL;

                make_list(good_cases[i].list, &list);
                g_assert_cmpint(generations_choose(&list, &choice, &generation, &variant, &failure), ==, 0);
                g_autofree char *chosen = describe(&list);
                g_assert_cmpstr(chosen, ==, good_cases[i].expected);
                g_assert_true(generation->is_default);
                g_assert_true(variant >= generation->variants.items &&
                              variant < generation->variants.items + generation->variants.count);
                if (choice.default_toplevel)
                        g_assert_cmpstr(variant->bootspec->toplevel, ==, choice.default_toplevel);
                else
                        g_assert_null(variant->specialisation);
        }
}

static void test_refused(void) {
        static const struct {
                const char *list, *wanted_default;
                Condition condition;
                const char *message;
        } cases[] = {
                {"", NULL, CONDITION_NOTHING_BOOTABLE, "There is no well-formed generation in any profile"},
                {"3! a:2!", NULL, CONDITION_NOTHING_BOOTABLE, "There is no well-formed generation in any profile"},
                {"3 2!* 1", NULL, CONDITION_BAD_BOOTSPEC,
                 "Generation 2, which is to be the default, is malformed: 2 is broken"},
                {"3* a:2!", "/nix/store/a:2", CONDITION_BAD_BOOTSPEC,
                 "Generation 2 of a, which is to be the default, is malformed: a:2 is broken"},
                {"3* 2", "/nix/store/4", CONDITION_FOREIGN_TOPLEVEL,
                 "/nix/store/4 is no generation of a configured profile, nor a specialisation of one"},
                {"3* 2", "", CONDITION_FOREIGN_TOPLEVEL,
                 " is no generation of a configured profile, nor a specialisation of one"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                _cleanup_(generation_list_done) GenerationList list = {};
                const GenerationChoice choice = {.default_toplevel = cases[i].wanted_default};
                _cleanup_(failure_done) Failure failure = {};
                Generation *generation = NULL;
                const BootVariant *variant = NULL;

                make_list(cases[i].list, &list);
                g_assert_cmpint(generations_choose(&list, &choice, &generation, &variant, &failure), ==,
                                condition_errno(cases[i].condition));
                g_assert_cmpint(failure.condition, ==, cases[i].condition);
                g_assert_cmpstr(failure.message, ==, cases[i].message);
                g_assert_null(generation);
                g_assert_null(variant);
        }
}

/* One toplevel in two generations: any of them may be what runs. */
static void test_same_toplevel(void) {
        _cleanup_(generation_list_done) GenerationList list = {};
        const GenerationChoice choice = {.booted_toplevel = "/nix/store/1", .limit = 1};
        Generation *generation;
        const BootVariant *variant;

        make_list("4* 3 2 1", &list);
        g_free(list.items[2].toplevel);
        g_free(list.items[2].bootspec.toplevel);
        list.items[2].toplevel = g_strdup("/nix/store/1");
        list.items[2].bootspec.toplevel = g_strdup("/nix/store/1");
        g_assert_cmpint(generations_choose(&list, &choice, &generation, &variant, NULL), ==, 0);
        g_autofree char *chosen = describe(&list);
        g_assert_cmpstr(chosen, ==, "4d 2b 1b");
}

/* Choosing again forgets the first choice. */
static void test_again(void) {
        _cleanup_(generation_list_done) GenerationList list = {};
        const GenerationChoice first = {.default_toplevel = "/nix/store/1", .booted_toplevel = "/nix/store/2"};
        const GenerationChoice second = {.limit = 1};
        Generation *generation;
        const BootVariant *variant;

        make_list("3* 2 1", &list);
        g_assert_cmpint(generations_choose(&list, &first, &generation, &variant, NULL), ==, 0);
        g_assert_cmpint(generations_choose(&list, &second, &generation, &variant, NULL), ==, 0);
        g_autofree char *chosen = describe(&list);
        g_assert_cmpstr(chosen, ==, "3d");
        g_assert_false(list.items[1].is_booted);
        g_assert_false(list.items[2].is_default);
}

/* USERDATA are toplevels, each with a space on both sides. */
static bool did_boot(void *userdata, const Generation *generation) {
        g_autofree char *word = g_strdup_printf(" %s ", generation->toplevel);

        return strstr(userdata, word) != NULL;
}

static void test_confirmed(void) {
        _cleanup_(generation_list_done) GenerationList list = {};
        const GenerationChoice choice = {.limit = 1};
        Generation *generation;
        const BootVariant *variant;

        make_list("6* 5 4! 3 2 work:9 work:8 work:7", &list);
        g_assert_cmpint(generations_choose(&list, &choice, &generation, &variant, NULL), ==, 0);
        generations_choose_confirmed(
                &list, did_boot,
                (char *)" /nix/store/4 /nix/store/3 /nix/store/2 /nix/store/work:9 /nix/store/work:8 ");
        g_autofree char *chosen = describe(&list);
        g_assert_cmpstr(chosen, ==, "6d 3 work:9");
        g_assert_true(list.items[3].is_confirmed && list.items[5].is_confirmed);
        g_assert_false(list.items[0].is_confirmed || list.items[4].is_confirmed);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/boot/generation-choice/newest-up-to-the-limit-and-always-default-and-booted", test_good);
        g_test_add_func("/boot/generation-choice/refuses-a-default-that-cannot-be", test_refused);
        g_test_add_func("/boot/generation-choice/protects-all-that-may-be-booted", test_same_toplevel);
        g_test_add_func("/boot/generation-choice/can-be-made-again", test_again);
        g_test_add_func("/boot/generation-choice/newest-confirmed-one-of-each-profile-over-the-limit", test_confirmed);
        return g_test_run();
}
