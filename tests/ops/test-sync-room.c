/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* On a file system that has no room for everything. */

#include <glib/gstdio.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

enum { INITRD_KIB = 256 };

/* With an initrd of its own. */
static void add_generation(Machine *machine, unsigned number) {
        g_autofree char *initrd = g_strnfill(INITRD_KIB * 1024, 'a' + number);

        machine_add_generation(machine, &(MachineGeneration){.number = number, .initrd = initrd});
}

/* An ESP for the initrds of so many generations, and SPARE KiB for all else. */
static Machine *small_machine(unsigned generations, unsigned spare) {
        Machine *machine = machine_new(/* has_firmware= */ true);

        machine_set_keys(machine, "");
        machine_mount_esp(machine, generations * INITRD_KIB + spare);
        return machine;
}

/* Nothing may be written by it; what it leaves out is what the run before left out. */
static void assert_stable(Machine *machine, int status, const char *left_out) {
        g_autofree char *before = machine_snapshot(machine, "boot"), *after = NULL;
        _cleanup_(outcome_freep) Outcome *again = machine_run_status(machine, status, "sync", NULL);

        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(after, ==, before);
        g_assert_cmpuint(again->signatures, ==, 0);
        outcome_assert(again, "partitions.0.left-out", left_out);
        outcome_assert(again, "partitions.0.images-written", "");
}

static void test_oldest_left_out(void) {
        _cleanup_(machine_freep) Machine *machine = small_machine(3, 350);
        _cleanup_(outcome_freep) Outcome *first = NULL, *rehearsed = NULL, *second = NULL;
        g_autofree char *oldest = NULL;

        for (unsigned number = 1; number <= 3; number++)
                add_generation(machine, number);
        first = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(first, "partitions.0.left-out", "");
        oldest = machine_image_of(machine, 1, NULL);

        add_generation(machine, 4);
        rehearsed = machine_run_status(machine, OPERATION_IN_PART, "sync", "dry-run", "yes", NULL);
        second = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_same_steps(rehearsed, second);
        outcome_assert(second, "partitions.0.left-out", "generation 1");
        outcome_assert(second, "partitions.0.images-removed", oldest);
        outcome_assert_has(second, "warnings",
                           "no room for generation 1 on the EFI system partition: its boot files have");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 3);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 3);
        assert_stable(machine, OPERATION_IN_PART, "generation 1");

        /* There is room again. */
        machine_remove_generation(machine, 2);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-1-"), ==, 1);
        assert_stable(machine, 0, "");
}

/* All at once, on an empty partition. */
static void test_fresh(void) {
        _cleanup_(machine_freep) Machine *machine = small_machine(3, 500);

        for (unsigned number = 1; number <= 6; number++)
                add_generation(machine, number);
        outcome_free(machine_run_status(machine, OPERATION_IN_PART, "sync", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 3);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-6-"), ==, 1);
        assert_stable(machine, OPERATION_IN_PART, "generation 3\ngeneration 2\ngeneration 1");
}

static void test_booted_stays(void) {
        _cleanup_(machine_freep) Machine *machine = small_machine(3, 350);

        for (unsigned number = 1; number <= 3; number++)
                add_generation(machine, number);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        add_generation(machine, 4);
        outcome_free(machine_run_status(machine, OPERATION_IN_PART, "sync", NULL));
        assert_stable(machine, OPERATION_IN_PART, "generation 2");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-1-"), ==, 1);
}

static void test_confirmed_stays(void) {
        _cleanup_(machine_freep) Machine *machine = small_machine(3, 330);
        g_autofree char *counted = NULL, *confirmed = NULL, *from = NULL, *to = NULL;

        machine->settings.tries = 3;
        for (unsigned number = 1; number <= 3; number++)
                add_generation(machine, number);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        counted = machine_image_of(machine, 1, NULL);
        confirmed = g_strdup_printf("%.*s.efi", (int)strcspn(counted, "+"), counted);
        from = g_build_filename(machine->root, "boot/EFI/Linux", counted, NULL);
        to = g_build_filename(machine->root, "boot/EFI/Linux", confirmed, NULL);
        g_assert_cmpint(g_rename(from, to), ==, 0);
        add_generation(machine, 4);
        outcome_free(machine_run_status(machine, OPERATION_IN_PART, "sync", NULL));
        assert_stable(machine, OPERATION_IN_PART, "generation 2");
        g_assert_true(machine_has_file(machine, "EFI/Linux", confirmed));
}

static void test_full(void) {
        _cleanup_(machine_freep) Machine *machine = small_machine(2, 200);
        g_autofree char *before = NULL, *after = NULL, *other = g_strnfill(INITRD_KIB * 1024, 'x');

        add_generation(machine, 1);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        machine_write(machine, "boot/EFI/Linux/other.efi", other);
        add_generation(machine, 2);
        before = machine_snapshot(machine, "boot");
        for (unsigned rehearsal = 0; rehearsal < 2; rehearsal++) {
                _cleanup_(outcome_freep) Outcome *outcome = machine_run_refused(
                        machine, CONDITION_ESP_FULL, "sync", rehearsal ? "dry-run" : NULL, "yes", NULL);

                outcome_assert_message(outcome, "are missing even without every generation that may go");
                outcome_assert_hint(outcome, "not lanzad's have 262144 bytes");
        }
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(after, ==, before);
}

#define TEST(name, function) g_test_add_func("/ops/sync-room/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("the-oldest-generation-is-left-out-and-comes-back-when-there-is-room", test_oldest_left_out);
        TEST("on-an-empty-partition-the-newest-generations-are-written", test_fresh);
        TEST("the-booted-generation-stays-though-it-is-the-oldest", test_booted_stays);
        TEST("the-generation-that-was-confirmed-good-stays-though-it-is-the-oldest", test_confirmed_stays);
        TEST("where-not-even-the-default-fits-nothing-is-changed", test_full);
        return g_test_run();
}
