/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Boot counting: which counters entries get and keep, and what stays because it did boot. */

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

enum { TRIES = 3 };

static void sync_well(Machine *machine) {
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
}

/* Gives the entry of a generation another COUNTER ("+2-1", "": none), as systemd-boot and systemd-bless-boot do. */
static void set_counter(const Machine *machine, unsigned number, const char *counter) {
        g_autofree char *name = machine_image_of(machine, number, NULL);
        g_autofree char *other = g_strdup_printf("%.*s%s.efi", (int)strcspn(name, "+."), name, counter);
        g_autofree char *from = g_build_filename(machine->root, "boot/EFI/Linux", name, NULL);
        g_autofree char *to = g_build_filename(machine->root, "boot/EFI/Linux", other, NULL);

        g_assert_cmpint(g_rename(from, to), ==, 0);
}

static void assert_counter(const Machine *machine, unsigned number, const char *counter) {
        g_autofree char *name = machine_image_of(machine, number, NULL);

        g_assert_cmpstr(name + strcspn(name, "+."), ==, counter);
}

static void assert_writes_nothing(Machine *machine) {
        g_autofree char *before = machine_snapshot(machine, "boot"), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        outcome_assert(outcome, "partitions.0.bytes-written", "0");
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
}

/* Generations 1, confirmed good; 2, tried in vain; 3, started once; 4, the default. */
static Machine *machine_counting(bool has_firmware) {
        Machine *machine = machine_new_typical(has_firmware);

        machine->settings.tries = TRIES;
        for (unsigned number = 3; number <= 4; number++)
                machine_add_generation(machine, &(MachineGeneration){.number = number});
        sync_well(machine);
        for (unsigned number = 1; number <= 4; number++)
                assert_counter(machine, number, "+3.efi");
        set_counter(machine, 1, "");
        set_counter(machine, 2, "+0-3");
        set_counter(machine, 3, "+2-1");
        return machine;
}

static void assert_counters(const Machine *machine) {
        assert_counter(machine, 1, ".efi");
        assert_counter(machine, 2, "+0-3.efi");
        assert_counter(machine, 3, "+2-1.efi");
        assert_counter(machine, 4, "+3.efi");
}

static void test_kept(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);

        assert_writes_nothing(machine);
        machine->settings.tries = 7;
        assert_writes_nothing(machine);
        assert_counters(machine);
}

static void test_switched(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);
        g_autofree char *conf = NULL;

        machine->settings.tries = 0;
        sync_well(machine);
        assert_counters(machine);
        conf = machine_read(machine, "boot/loader/loader.conf");
        g_assert_nonnull(strstr(conf, "default nixos-generation-4-"));
        g_assert_true(g_str_has_suffix(conf, "*\n"));
        assert_writes_nothing(machine);

        machine_add_generation(machine, &(MachineGeneration){.number = 5});
        sync_well(machine);
        assert_counter(machine, 5, ".efi");
        machine->settings.tries = TRIES;
        machine_add_generation(machine, &(MachineGeneration){.number = 6});
        sync_well(machine);
        assert_counters(machine);
        assert_counter(machine, 5, ".efi");
        assert_counter(machine, 6, "+3.efi");
}

static void test_renewed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *restubbed = NULL, *rekeyed = NULL;
        g_autofree char *path = test_path(machine->root, MACHINE_STUB);
        g_autofree char *content = NULL;
        size_t size;

        g_assert_true(g_file_get_contents(path, &content, &size, NULL));
        content[size / 2] ^= 1;
        g_assert_true(g_file_set_contents(path, content, size, NULL));
        restubbed = machine_run_status(machine, 0, "sync", "restub", "yes", NULL);
        outcome_assert(restubbed, "partitions.0.images-kept", "0");
        assert_counters(machine);

        machine_set_keys(machine, "foreign-");
        rekeyed = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(rekeyed, "partitions.0.images-kept", "0");
        assert_counters(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 4);
        assert_writes_nothing(machine);
}

static void test_confirmed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);

        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
        assert_counter(machine, 1, ".efi");
        assert_counter(machine, 4, "+3.efi");
        assert_writes_nothing(machine);
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);

        set_counter(machine, 4, "");
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
        assert_counter(machine, 4, ".efi");
}

/* Writes the image of a generation, as lanzaboote names it, beside ours; without boot counter. Owned. */
static char *write_lanzaboote(const Machine *machine, unsigned number) {
        g_autofree char *name = machine_image_of(machine, number, NULL), *content = NULL;
        g_autofree char *from = g_build_filename(machine->root, "boot/EFI/Linux", name, NULL);
        g_autofree char *hash = g_strnfill(52, 'q'), *to = NULL;
        char *other = g_strdup_printf("nixos-generation-%u-%s.efi", number, hash);
        size_t size;

        to = g_build_filename(machine->root, "boot/EFI/Linux", other, NULL);
        g_assert_true(g_file_get_contents(from, &content, &size, NULL));
        g_assert_true(g_file_set_contents(to, content, size, NULL));
        return other;
}

/* It has no counter: it was confirmed good, or nobody counted. Ours was not confirmed yet. */
static void test_lanzaboote(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);
        g_autofree char *theirs = NULL;

        set_counter(machine, 1, "+3");
        machine->settings.limit = 1;
        theirs = write_lanzaboote(machine, 3);
        sync_well(machine);
        g_assert_true(machine_has_file(machine, "EFI/Linux", theirs));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-3-"), ==, 2);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 3);
        assert_writes_nothing(machine);
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
        g_assert_true(machine_has_file(machine, "EFI/Linux", theirs));

        /* A newer one is confirmed. */
        set_counter(machine, 4, "");
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
        assert_counter(machine, 4, ".efi");
        assert_writes_nothing(machine);
}

/* Named for the generation itself, it starts its specialisation. */
static void test_specialisation(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);
        g_autofree char *hash = g_strnfill(52, 'q'), *name = g_strdup_printf("nixos-generation-5-%s.efi", hash);
        g_autofree char *from = NULL, *to = g_build_filename(machine->root, "boot/EFI/Linux", name, NULL);
        g_autofree char *special = NULL;

        set_counter(machine, 1, "+3");
        machine_add_generation(machine, &(MachineGeneration){.number = 5, .specialisation = "x"});
        machine_add_generation(machine, &(MachineGeneration){.number = 6});
        sync_well(machine);
        special = machine_image_of(machine, 5, "x");
        from = g_build_filename(machine->root, "boot/EFI/Linux", special, NULL);
        g_assert_cmpint(link(from, to), ==, 0);
        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_true(machine_has_file(machine, "EFI/Linux", name));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 4);
        assert_writes_nothing(machine);
}

/* What stands for the generation that was confirmed good is rewritten: it is not, until it boots again. The one that
 * was before it stays as long. */
static void test_empty(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);
        g_autofree char *name = NULL, *path = NULL;

        set_counter(machine, 4, "");
        name = machine_image_of(machine, 4, NULL);
        path = g_build_filename(machine->root, "boot/EFI/Linux", name, NULL);
        g_assert_true(g_file_set_contents(path, "", 0, NULL));
        machine->settings.limit = 1;
        sync_well(machine);
        assert_counter(machine, 4, "+3.efi");
        assert_counter(machine, 1, ".efi");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
        assert_writes_nothing(machine);
}

static void test_gc(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);

        machine->settings.limit = 2;
        set_counter(machine, 2, "");
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 3);
        assert_counter(machine, 2, ".efi");
}

static void test_unconfirmed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);

        /* A name without counter says nothing where nothing is counted. */
        machine->settings.tries = 0;
        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
        assert_counter(machine, 4, "+3.efi");
}

static void test_reused_number(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);

        /* What did boot was another system. */
        machine_remove_generation(machine, 1);
        machine_symlink(machine, "/nix/store/system-4", "nix/var/nix/profiles/system-1-link");
        machine_set_current(machine, 4);
        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
}

static void test_used_up(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        set_counter(machine, 4, "+0-3");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "has no tries left: systemd-boot starts nixos-generation-3-");
        outcome_assert(outcome, "partitions.0.bytes-written", "0");
        assert_counter(machine, 4, "+0-3.efi");
}

/* Of this profile nothing is known to have booted, though it has an image of that number and toplevel. */
static void test_other_profile(void) {
        _cleanup_(machine_freep) Machine *machine = machine_counting(/* has_firmware= */ false);

        set_counter(machine, 1, "+3");
        for (unsigned number = 1; number <= 2; number++)
                machine_add_generation(machine, &(MachineGeneration){.number = number, .profile = "work"});
        machine_symlink(machine, "/nix/store/system-1", "nix/var/nix/profiles/system-profiles/work-1-link");
        sync_well(machine);
        set_counter(machine, 1, "");
        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-work-generation-1-"), ==, 0);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-1-"), ==, 1);
}

#define TEST(name, function) g_test_add_func("/ops/counting/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("entries-keep-their-counters", test_kept);
        TEST("switching-it-off-or-on-changes-no-name", test_switched);
        TEST("new-stubs-and-new-keys-keep-counters", test_renewed);
        TEST("the-newest-confirmed-generation-stays-over-the-limit", test_confirmed);
        TEST("lanzaboote's-image-without-counter-stays-until-ours-was-confirmed", test_lanzaboote);
        TEST("so-does-one-that-starts-a-specialisation", test_specialisation);
        TEST("an-empty-image-was-not-confirmed-and-nor-is-its-successor", test_empty);
        TEST("the-newest-confirmed-generation-is-no-garbage", test_gc);
        TEST("without-counting-nothing-counts-as-confirmed", test_unconfirmed);
        TEST("a-number-given-anew-was-not-confirmed", test_reused_number);
        TEST("another-profile's-generation-of-that-number-was-not-confirmed", test_other_profile);
        TEST("tells-that-the-default-has-no-tries-left", test_used_up);
        return g_test_run();
}
