/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

static void test_gc(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *rehearsed = NULL, *outcome = NULL;
        g_autofree char *before = NULL, *between = NULL, *image = NULL, *conf = NULL, *conf_after = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        image = machine_image_of(machine, 1, NULL);
        machine_remove_generation(machine, 1);
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        conf = machine_read(machine, "boot/loader/loader.conf");
        before = machine_snapshot(machine, "");
        rehearsed = machine_run_status(machine, 0, "gc", "dry-run", "yes", NULL);
        between = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, between);

        outcome = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert_same_steps(rehearsed, outcome);
        outcome_assert(outcome, "partitions.0.images-removed", image);
        outcome_assert(outcome, "partitions.0.images-written", "");
        outcome_assert(outcome, "partitions.0.contents-written", "");
        outcome_assert(outcome, "partitions.0.loaders-written", "");
        g_assert_cmpuint(outcome->signatures, ==, 0);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 1);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "kernel-"), ==, 1);
        conf_after = machine_read(machine, "boot/loader/loader.conf");
        g_assert_cmpstr(conf, ==, conf_after);
}

static void test_gc_empty(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *files = NULL;

        outcome = machine_run_status(machine, 0, "gc", NULL);
        files = machine_esp_files(machine, "", "");
        g_assert_cmpstr(files, ==, "");
        g_assert_cmpuint(outcome->signatures, ==, 0);
}

static void test_gc_foreign(void) {
        static const char *const foreign[] = {
                "EFI/Microsoft/Boot/bootmgfw.efi",    "EFI/nixos/fw/update.cap", "EFI/Linux/other.efi",
                "EFI/nixos/kernel-of-somebody.efi",   "loader/random-seed",      "loader/entries/other.conf",
                "EFI/Linux/other.efi.extra.d/x.cred",
        };
        static const char unknown[] =
                "EFI/Linux/nixos-generation-9-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi";
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autoptr(GBytes) application = machine_application("not ours");
        g_autofree char *unknown_path = g_build_filename("boot", unknown, NULL);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++) {
                g_autofree char *path = g_build_filename("boot", foreign[i], NULL);

                machine_write(machine, path, "foreign");
        }
        test_write_bytes(machine->root, unknown_path, application, 0600);
        machine_write(machine, "boot/EFI/nixos/initrd-6.1.1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi",
                      "garbage of ours");

        outcome = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert(outcome, "partitions.0.left-alone", unknown);
        outcome_assert(outcome, "partitions.0.images-removed", "");
        outcome_assert(outcome, "partitions.0.contents-removed",
                       "initrd-6.1.1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi");
        g_assert_true(machine_has_file(machine, "", unknown));
        for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++)
                g_assert_true(machine_has_file(machine, "", foreign[i]));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/gc/removes-what-is-ours-and-writes-nothing", test_gc);
        g_test_add_func("/ops/gc/does-nothing-on-an-empty-esp", test_gc_empty);
        g_test_add_func("/ops/gc/touches-nothing-foreign-and-names-what-it-leaves", test_gc_foreign);
        return g_test_run();
}
