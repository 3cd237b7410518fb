/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Initrd secrets in a sync: from a generation's program to the ESP. */

#include <glib.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

/* A running system with two generations, of which the second, the default, has secrets by SCRIPT. */
static Machine *machine_with_secrets(const char *script) {
        Machine *machine = machine_new(/* has_firmware= */ false);

        machine->is_live = true;
        machine_set_keys(machine, "");
        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine_add_generation(machine, &(MachineGeneration){.number = 2, .secrets = script});
        return machine;
}

/* Whether one of the initrds on the ESP has this content. */
static bool has_initrd(const Machine *machine, const char *content) {
        g_autofree char *names = machine_esp_files(machine, "EFI/nixos", "initrd-");
        g_auto(GStrv) list = g_strsplit(names, "\n", -1);

        for (size_t i = 0; *names && list[i]; i++) {
                g_autofree char *path = g_build_filename("boot/EFI/nixos", list[i], NULL);
                g_autofree char *found = machine_read(machine, path);

                if (strcmp(found, content) == 0)
                        return true;
        }
        return false;
}

static void test_written(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("printf secret >> \"$1\"");
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL), *again = NULL;
        g_autofree char *before = machine_snapshot(machine, "boot"), *after = NULL;

        outcome_assert(outcome, "warnings", "");
        g_assert_true(has_initrd(machine, "secret"));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 2);
        again = machine_run_status(machine, 0, "sync", NULL);
        g_assert_cmpuint(again->signatures, ==, 0);
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
}

static void test_none(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("exit 0");

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 1);
}

static void test_changed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("printf secret >> \"$1\"");
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *old = NULL, *new = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        old = machine_image_of(machine, 2, NULL);
        test_write(machine->root, "secrets-2", "#!/bin/sh\nprintf changed >> \"$1\"\n", -1, 0700);
        outcome = machine_run_status(machine, 0, "sync", NULL);
        new = machine_image_of(machine, 2, NULL);
        outcome_assert(outcome, "partitions.0.images-written", new);
        outcome_assert(outcome, "partitions.0.images-removed", old);
        g_assert_true(has_initrd(machine, "changed"));
        g_assert_false(has_initrd(machine, "secret"));
}

static void test_tree(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("printf secret >> \"$1\"");
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->is_live = false;
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "generation 2: only the system itself can run");
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 1);
}

static void test_fails_default(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("exit 7");
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_refused(machine, CONDITION_SECRETS_FAILED, "sync", NULL);
        g_autofree char *files = machine_esp_files(machine, "", "");

        outcome_assert_message(outcome, "secrets-2 failed with exit status 7");
        outcome_assert_hint(outcome, "by hand");
        g_assert_cmpstr(files, ==, "");
}

static void test_fails_other(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("printf secret >> \"$1\"");
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *before = NULL, *after = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        before = machine_image_of(machine, 2, NULL);
        machine_set_current(machine, 1);
        test_write(machine->root, "secrets-2", "#!/bin/sh\nexit 7\n", -1, 0700);
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "generation 2 is left out: ");
        outcome_assert_has(outcome, "warnings", "secrets-2 failed with exit status 7");
        after = machine_image_of(machine, 2, NULL);
        g_assert_cmpstr(before, ==, after);
        g_assert_true(has_initrd(machine, "secret"));
}

static void test_open_esp(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("printf secret >> \"$1\"");
        _cleanup_(outcome_freep) Outcome *warned = NULL, *strict = NULL, *shown = NULL;
        g_autofree char *files = NULL;

        test_make_folder(machine->root, "boot", 0755);
        machine->settings.strict_permissions = true;
        strict = machine_run_refused(machine, CONDITION_ESP_NOT_PRIVATE, "sync", NULL);
        outcome_assert_hint(strict, "umask=0077");
        files = machine_esp_files(machine, "", "");
        g_assert_cmpstr(files, ==, "");
        machine->settings.strict_permissions = false;
        warned = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(warned, "warnings", "/boot can be read by others");
        shown = machine_run_status(machine, 0, "status", NULL);
        outcome_assert_has(shown, "problems.1.message", "/boot can be read by others");
        outcome_assert_has(shown, "problems.1.hint", "umask=0077");
}

static void test_open_esp_without(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        test_make_folder(machine->root, "boot", 0755);
        machine->settings.strict_permissions = true;
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "warnings", "");
}

#define TEST(name, function) g_test_add_func("/ops/sync/secrets/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("stand-beside-the-initrd-and-are-written-once", test_written);
        TEST("need-no-file-where-there-are-none", test_none);
        TEST("renew-the-image-when-they-change", test_changed);
        TEST("are-left-to-the-system-itself-in-a-tree", test_tree);
        TEST("that-fail-for-the-default-change-nothing", test_fails_default);
        TEST("that-fail-for-another-generation-leave-its-old-ones", test_fails_other);
        TEST("warn-of-an-esp-that-others-can-read", test_open_esp);
        TEST("alone-make-an-open-esp-a-fault", test_open_esp_without);
        return g_test_run();
}
