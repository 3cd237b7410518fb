/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What nixpkgs' systemd-boot builder left on the ESP: entries, and kernels and initrds named after their places in the
 * store. */

#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

#define MACHINE_ID "0123456789abcdef0123456789abcdef"
#define OTHER_ID "fedcba9876543210fedcba9876543210"
#define KERNEL "0c6v4c1xdhmqrnsz8w9h3gk2la7ybf5p-linux-6.12.30-bzImage.efi"
#define INITRD_1 "1abc4c1xdhmqrnsz8w9h3gk2la7ybf5p-initrd-linux-6.12.30-initrd.efi"
#define INITRD_2 "2abc4c1xdhmqrnsz8w9h3gk2la7ybf5p-initrd-linux-6.12.30-initrd.efi"
#define OTHERS_KERNEL "3abc4c1xdhmqrnsz8w9h3gk2la7ybf5p-linux-6.1-bzImage.efi"
#define WITH_SECRETS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff-initrd.efi"

static char *entry_text(unsigned number, const char *initrd, const char *machine_id) {
        g_autofree char *last = machine_id ? g_strdup_printf("machine-id %s\n", machine_id) : g_strdup("");

        return g_strdup_printf("title NixOS\nsort-key nixos\nversion Generation %u NixOS\nlinux /EFI/nixos/" KERNEL "\n"
                               "initrd /EFI/nixos/%s\noptions init=/nix/store/system-%u/init quiet\n%s",
                               number, initrd, number, last);
}

static void add_entry(Machine *machine, const char *name, const char *text) {
        g_autofree char *path = g_strdup_printf("boot/loader/entries/%s", name);

        machine_write(machine, path, text);
}

static void add_content(Machine *machine, const char *name) {
        g_autofree char *path = g_strdup_printf("boot/EFI/nixos/%s", name);

        machine_write(machine, path, name);
}

/* A typical machine as the builder left it. */
static Machine *machine_of_builder(void) {
        Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *first = entry_text(1, INITRD_1, MACHINE_ID), *second = entry_text(2, INITRD_2, MACHINE_ID);
        g_autofree char *special = g_strdup_printf("%s# specialised\n", second);

        machine_write(machine, "etc/machine-id", MACHINE_ID "\n");
        add_entry(machine, "nixos-generation-1.conf", first);
        add_entry(machine, "nixos-generation-2.conf", second);
        add_entry(machine, "nixos-generation-2-specialisation-a b.conf", special);
        add_entry(machine, "nixos-work-generation-7+2-1.conf", first);
        add_content(machine, KERNEL);
        add_content(machine, INITRD_1);
        add_content(machine, INITRD_2);
        machine_write(machine, "boot/loader/loader.conf",
                      "timeout 5\ndefault nixos-generation-2.conf\nconsole-mode keep\n");
        return machine;
}

static Outcome *sync_well(Machine *machine) {
        Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        outcome_assert(outcome, "warnings", "");
        return outcome;
}

/* The image of generation 2, which the builder's entry was given up for, has booted. */
static void boot_own(Machine *machine) {
        g_autofree char *image = machine_image_of(machine, 2, NULL);

        machine_set_loader_variable(machine, "LoaderEntrySelected", image);
        machine_symlink(machine, "/nix/store/system-2", "run/booted-system");
}

static unsigned count_entries(Machine *machine) {
        return machine_count_files(machine, "loader/entries", "");
}

/* Nothing, as long as the machine was booted by them. */
static void test_before(void) {
        static const char *const booted[] = {"nixos-generation-2.conf", "auto-windows", NULL};
        _cleanup_(machine_freep) Machine *machine = machine_of_builder();
        g_autofree char *entries = machine_snapshot(machine, "boot/loader/entries");
        g_autofree char *contents = machine_esp_files(machine, "EFI/nixos", ""), *text = NULL;

        machine_symlink(machine, "/nix/store/system-2", "run/booted-system");
        for (unsigned i = 0; i < G_N_ELEMENTS(booted); i++) {
                g_autofree char *entries_after = NULL, *contents_after = NULL;
                g_auto(GStrv) names = g_strsplit(contents, "\n", -1);

                if (booted[i])
                        machine_set_loader_variable(machine, "LoaderEntrySelected", booted[i]);
                outcome_free(sync_well(machine));
                outcome_free(machine_run_status(machine, 0, "gc", NULL));
                entries_after = machine_snapshot(machine, "boot/loader/entries");
                g_assert_cmpstr(entries_after, ==, entries);
                for (size_t j = 0; names[j]; j++)
                        g_assert_true(machine_has_file(machine, "EFI/nixos", names[j]));
        }
        text = machine_read(machine, "boot/loader/loader.conf");
        g_assert_null(strstr(text, "console-mode"));
}

static void test_after(void) {
        _cleanup_(machine_freep) Machine *machine = machine_of_builder();
        _cleanup_(outcome_freep) Outcome *rehearsed = NULL, *done = NULL;
        g_autofree char *before = NULL, *after = NULL;

        outcome_free(sync_well(machine));
        boot_own(machine);
        rehearsed = machine_run_status(machine, 0, "gc", "dry-run", "yes", NULL);
        g_assert_cmpuint(count_entries(machine), ==, 4);
        done = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert_same_steps(rehearsed, done);
        outcome_assert(done, "partitions.0.entries-removed",
                       "nixos-generation-1.conf\nnixos-generation-2-specialisation-a b.conf\nnixos-generation-2.conf\n"
                       "nixos-work-generation-7+2-1.conf");
        outcome_assert(done, "partitions.0.contents-removed", KERNEL "\n" INITRD_1 "\n" INITRD_2);
        outcome_assert(done, "partitions.0.images-removed", "");
        g_assert_cmpuint(count_entries(machine), ==, 0);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", ""), ==, 3);
        before = machine_snapshot(machine, "boot");
        outcome_free(sync_well(machine));
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(after, ==, before);
}

/* Since 2025 their names are hashes of their texts: no other text has such a name. Initrds with secrets have names of
 * their own. */
static void test_hashed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_of_builder();
        g_autofree char *text = entry_text(2, WITH_SECRETS, MACHINE_ID), *other = entry_text(2, INITRD_2, MACHINE_ID);
        g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
        g_autofree char *name = g_strdup_printf("nixos-%s+3.conf", hash), *false_name = g_strdup(name), *path = NULL;
        _cleanup_(outcome_freep) Outcome *done = NULL;

        false_name[6] = name[6] == '0' ? '1' : '0';
        add_entry(machine, name, text);
        add_entry(machine, false_name, other);
        add_content(machine, WITH_SECRETS);
        outcome_free(sync_well(machine));
        boot_own(machine);
        done = sync_well(machine);
        outcome_assert_has(done, "partitions.0.entries-removed", name);
        g_assert_cmpuint(count_entries(machine), ==, 1);
        path = g_strdup_printf("boot/loader/entries/%s", false_name);
        g_assert_true(test_exists(machine->root, path));
        outcome_assert(done, "partitions.0.contents-removed", WITH_SECRETS "\n" INITRD_1);
}

/* Another machine's, somebody's own, and what only looks like the builder's. */
static void test_foreign(void) {
        _cleanup_(machine_freep) Machine *machine = machine_of_builder();
        g_autofree char *others = entry_text(1, OTHERS_KERNEL, OTHER_ID), *nobodys = NULL, *before = NULL,
                        *after = NULL;
        g_autofree char *unknown = entry_text(9, INITRD_1, NULL), *twice = NULL;
        static const char *const contents[] = {OTHERS_KERNEL, "0c6v4c1xdhmqrnsz8w9h3gk2la7ybf5p.efi", "memtest.efi",
                                               "0c6v4c1xdhmqrnsz8w9h3gk2la7ybf5e-linux-6.12.30-bzImage.efi"};

        nobodys = g_strdup("title mine\nlinux /EFI/nixos/" KERNEL "\noptions quiet\nmachine-id " MACHINE_ID "\n");
        twice = g_strdup_printf("%smachine-id " OTHER_ID "\n", unknown);
        machine_write(machine, "boot/loader/entries/nixos-generation-1.conf", others);
        machine_write(machine, "boot/loader/entries/mine.conf", nobodys);
        machine_write(machine, "boot/loader/entries/nixos-generation-9.conf", nobodys);
        machine_write(machine, "boot/loader/entries/nixos-generation-10.conf", unknown);
        machine_write(machine, "boot/loader/entries/nixos-generation-11.conf", twice);
        machine_write(machine, "boot/loader/entries/nixos-generation-02.conf", others);
        machine_write(machine, "boot/loader/entries/memtest86.conf", "title memtest\nefi /EFI/nixos/memtest.efi\n");
        for (size_t i = 0; i < G_N_ELEMENTS(contents); i++)
                add_content(machine, contents[i]);
        test_make_folder(machine->root, "boot/EFI/nixos/.extra-files", 0700);
        outcome_free(sync_well(machine));
        boot_own(machine);
        outcome_free(sync_well(machine));
        g_assert_false(test_exists(machine->root, "boot/loader/entries/nixos-generation-2.conf"));
        g_assert_cmpuint(count_entries(machine), ==, 7);
        g_assert_true(machine_has_file(machine, "EFI/nixos", KERNEL));
        g_assert_true(machine_has_file(machine, "EFI/nixos", INITRD_1));
        g_assert_false(machine_has_file(machine, "EFI/nixos", INITRD_2));
        for (size_t i = 0; i < G_N_ELEMENTS(contents); i++)
                g_assert_true(machine_has_file(machine, "EFI/nixos", contents[i]));
        before = machine_snapshot(machine, "boot");
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(after, ==, before);
}

/* As nixos-install's first run writes it: then it is ours by what it starts. */
static void test_without_machine_id(void) {
        _cleanup_(machine_freep) Machine *machine = machine_of_builder();
        g_autofree char *text = entry_text(1, INITRD_1, NULL);

        machine_write(machine, "boot/loader/entries/nixos-generation-1.conf", text);
        outcome_free(sync_well(machine));
        boot_own(machine);
        machine_write(machine, "etc/machine-id", "uninitialized\n");
        outcome_free(sync_well(machine));
        g_assert_cmpuint(count_entries(machine), ==, 3);
        g_assert_false(test_exists(machine->root, "boot/loader/entries/nixos-generation-1.conf"));
}

/* It may be all that a generation has which nobody can judge. */
static void test_shielded(void) {
        _cleanup_(machine_freep) Machine *machine = machine_of_builder();

        outcome_free(sync_well(machine));
        boot_own(machine);
        machine_write(machine, "nix/store/system-1/boot.json", "{");
        outcome_free(machine_run_status(machine, OPERATION_IN_PART, "sync", NULL));
        g_assert_true(test_exists(machine->root, "boot/loader/entries/nixos-generation-1.conf"));
        g_assert_true(machine_has_file(machine, "EFI/nixos", KERNEL));
        g_assert_true(machine_has_file(machine, "EFI/nixos", INITRD_1));
        g_assert_cmpuint(count_entries(machine), ==, 1);
}

#define TEST(name, function) g_test_add_func("/ops/builder-leftovers/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("stay-until-an-image-of-ours-has-booted", test_before);
        TEST("then-they-go-and-a-dry-run-says-so-first", test_after);
        TEST("go-when-their-names-are-hashes", test_hashed);
        TEST("foreign-entries-and-what-they-name-stay", test_foreign);
        TEST("without-machine-id-the-toplevel-decides", test_without_machine_id);
        TEST("of-a-malformed-generation-stay", test_shielded);
        return g_test_run();
}
