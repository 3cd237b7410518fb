/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

static void sync_machine(Machine *machine) {
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
}

static Outcome *list_of(Machine *machine) {
        return machine_run_status(machine, 0, "list", NULL);
}

/* The path of a member of the image with that name. */
static char *image_member(const Outcome *outcome, const char *name, const char *member) {
        g_autofree char *count = outcome_get(outcome, "images");

        for (unsigned i = 0; i < (unsigned)atoi(count); i++) {
                g_autofree char *path = g_strdup_printf("images.%u.name", i), *found = outcome_get(outcome, path);

                if (strcmp(found, name) == 0)
                        return g_strdup_printf("images.%u.%s", i, member);
        }
        g_error("there is no image %s", name);
}

static void assert_image(const Outcome *outcome, const char *name, const char *member, const char *expected) {
        g_autofree char *path = image_member(outcome, name, member);

        outcome_assert(outcome, path, expected);
}

static void assert_problem(const Outcome *outcome, const char *name, const char *part) {
        g_autofree char *path = image_member(outcome, name, "problem");

        outcome_assert_has(outcome, path, part);
}

static char *image_path(const char *name) {
        return g_build_filename("boot/EFI/Linux", name, NULL);
}

static void rename_image(const Machine *machine, const char *from, const char *to) {
        g_autofree char *old = g_build_filename(machine->root, "boot/EFI/Linux", from, NULL);
        g_autofree char *new = g_build_filename(machine->root, "boot/EFI/Linux", to, NULL);

        g_assert_cmpint(g_rename(old, new), ==, 0);
}

static void test_empty(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        outcome = list_of(machine);
        outcome_assert(outcome, "generations", "1");
        outcome_assert(outcome, "generations.0.images", "");
        outcome_assert(outcome, "generations.0.default", "no");
        outcome_assert(outcome, "images", "0");
        outcome_assert(outcome, "partitions", "1");
        outcome_assert(outcome, "partitions.0.path", "/boot");
}

static void test_typical(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *first = NULL, *second = NULL, *files = NULL, *path = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        sync_machine(machine);
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        outcome = list_of(machine);
        outcome_assert(outcome, "generations.0.number", "2");
        outcome_assert(outcome, "generations.0.images", second);
        outcome_assert(outcome, "generations.0.default", "yes");
        outcome_assert(outcome, "generations.0.booted", "no");
        outcome_assert(outcome, "generations.1.images", first);
        outcome_assert(outcome, "generations.1.default", "no");
        outcome_assert(outcome, "generations.1.booted", "yes");
        outcome_assert(outcome, "images", "2");
        assert_image(outcome, second, "profile", "system");
        assert_image(outcome, second, "generation", "2");
        assert_image(outcome, second, "toplevel", "/nix/store/system-2");
        assert_image(outcome, second, "partition", "/boot");
        assert_image(outcome, second, "ours", "yes");
        assert_image(outcome, second, "signed", "yes");
        assert_image(outcome, second, "default", "yes");
        assert_image(outcome, second, "booted", "no");
        assert_image(outcome, second, "counted", "no");
        assert_image(outcome, second, "problem", "-");
        assert_image(outcome, first, "booted", "yes");
        assert_image(outcome, first, "default", "no");
        path = image_member(outcome, second, "files");
        files = outcome_get(outcome, path);
        g_assert_nonnull(strstr(files, "EFI/nixos/kernel-"));
        g_assert_nonnull(strstr(files, "\nEFI/nixos/initrd-"));
        outcome_assert(outcome, "warnings", "");
}

static void test_variants(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *image = NULL, *special = NULL, *names = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .specialisation = "big"});
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .profile = "other"});
        sync_machine(machine);
        image = machine_image_of(machine, 3, NULL);
        special = machine_image_of(machine, 3, "big");
        outcome = list_of(machine);
        names = g_strdup_printf("%s\n%s", image, special);
        outcome_assert(outcome, "generations.0.number", "3");
        outcome_assert(outcome, "generations.0.images", names);
        assert_image(outcome, special, "specialisation", "big");
        assert_image(outcome, special, "default", "no");
        outcome_assert(outcome, "generations.3.profile", "other");
        outcome_assert_has(outcome, "generations.3.images", "nixos-other-generation-3-");
}

/* An image of a generation whose number was given to another toplevel since. */
static void test_reused_number(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *image = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        sync_machine(machine);
        image = machine_image_of(machine, 2, NULL);
        machine_remove_generation(machine, 2);
        machine_symlink(machine, "/nix/store/system-1", "nix/var/nix/profiles/system-2-link");
        outcome = list_of(machine);
        outcome_assert(outcome, "generations.0.number", "2");
        outcome_assert(outcome, "generations.0.images", "");
        assert_image(outcome, image, "ours", "yes");
}

static void test_problems(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *first = NULL, *second = NULL, *path = NULL, *initrds = NULL, *initrd = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        sync_machine(machine);
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        path = image_path(first);
        machine_write(machine, path, "");
        machine_write(machine, "boot/EFI/Linux/other.efi", "no program");
        outcome = list_of(machine);
        assert_problem(outcome, first, "no EFI program");
        assert_image(outcome, first, "ours", "no");
        assert_problem(outcome, "other.efi", "no EFI program");
        assert_image(outcome, "other.efi", "generation", "0");
        assert_image(outcome, "other.efi", "profile", "-");
        assert_image(outcome, second, "problem", "-");
        outcome_free(outcome);

        initrds = machine_esp_files(machine, "EFI/nixos", "initrd-");
        for (char *rest = initrds, *name; (name = strsep(&rest, "\n"));)
                if (*name) {
                        g_autofree char *file = g_build_filename("boot/EFI/nixos", name, NULL);

                        machine_write(machine, file, "");
                }
        outcome = list_of(machine);
        assert_problem(outcome, second, "EFI/nixos/initrd-");
        assert_problem(outcome, second, "empty");
}

static void test_counted(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *first = NULL, *second = NULL, *used_up = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *later = NULL;

        machine->settings.tries = 3;
        sync_machine(machine);
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        g_assert_nonnull(strstr(second, "+3.efi"));
        outcome = list_of(machine);
        assert_image(outcome, second, "counted", "yes");
        assert_image(outcome, second, "tries-left", "3");
        assert_image(outcome, second, "tries-done", "0");
        assert_image(outcome, second, "default", "yes");
        outcome_assert(outcome, "generations.0.images", second);

        /* What never came up makes room for the one before. */
        used_up = g_strdup_printf("%.*s+0-3.efi", (int)strcspn(second, "+"), second);
        rename_image(machine, second, used_up);
        later = list_of(machine);
        assert_image(later, used_up, "tries-left", "0");
        assert_image(later, used_up, "tries-done", "3");
        assert_image(later, used_up, "default", "no");
        assert_image(later, first, "default", "yes");
        outcome_assert(later, "generations.1.default", "yes");
}

static void test_override(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *first = NULL, *second = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        sync_machine(machine);
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        machine_set_loader_variable(machine, "LoaderEntryDefault", first);
        machine_set_loader_variable(machine, "LoaderEntrySelected", second);
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        outcome = list_of(machine);
        assert_image(outcome, first, "default", "yes");
        assert_image(outcome, second, "default", "no");
        assert_image(outcome, second, "booted", "yes");
        assert_image(outcome, first, "booted", "no");
}

static void install_loader(Machine *machine, const char *version) {
        g_autofree char *mark = g_strdup_printf("#### LoaderInfo: systemd-boot %s ####", version);
        g_autoptr(GBytes) loader = machine_application(mark);

        test_write_bytes(machine->root, MACHINE_LOADER, loader, 0644);
}

static void assert_default(Machine *machine, const char *name) {
        _cleanup_(outcome_freep) Outcome *outcome = list_of(machine);

        assert_image(outcome, name, "default", "yes");
        outcome_assert(outcome, "partitions.0.images", "2");
}

/* What each systemd-boot makes of names that firmware variables and loader.conf have. */
static void test_versions(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *first = NULL, *second = NULL, *counted = NULL, *used_up = NULL;

        sync_machine(machine);
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        machine_write(machine, "boot/loader/loader.conf", "default nixos-*");
        machine_set_loader_variable(machine, "LoaderEntryPreferred", first);
        assert_default(machine, second);
        machine_set_loader_variable(machine, "LoaderEntryDefault", first);
        assert_default(machine, first);

        /* Its counter was a part of its name. */
        counted = g_strdup_printf("%.*s+3.efi", (int)strcspn(first, "."), first);
        rename_image(machine, first, counted);
        assert_default(machine, second);
        install_loader(machine, "260");
        machine->settings.tries = 3;
        sync_machine(machine);
        assert_default(machine, counted);

        /* `preferred` comes before what was named for good, as long as there are tries left. */
        machine_set_loader_variable(machine, "LoaderEntryPreferred", "none.efi");
        assert_default(machine, second);
        used_up = g_strdup_printf("%.*s+0-3.efi", (int)strcspn(second, "."), second);
        rename_image(machine, second, used_up);
        assert_default(machine, counted);
}

static void test_in_part(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->settings.esp_path = strdup("/efi");
        outcome = machine_run_status(machine, OPERATION_IN_PART, "list", NULL);
        outcome_assert(outcome, "generations", "2");
        outcome_assert(outcome, "partitions", "0");
        outcome_assert_has(outcome, "warnings", "/efi does not exist");
}

#define TEST(name, function) g_test_add_func("/ops/list/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("shows-generations-without-images", test_empty);
        TEST("shows-which-generation-has-which-image", test_typical);
        TEST("tells-profiles-and-specialisations-apart", test_variants);
        TEST("takes-a-number-given-anew-for-another-generation", test_reused_number);
        TEST("shows-what-is-wrong-with-an-image", test_problems);
        TEST("shows-boot-counters-and-passes-over-what-is-used-up", test_counted);
        TEST("knows-what-the-boot-loader-was-told", test_override);
        TEST("reads-what-the-boot-loader-was-told-as-its-version-does", test_versions);
        TEST("shows-generations-where-there-is-no-esp", test_in_part);
        return g_test_run();
}
