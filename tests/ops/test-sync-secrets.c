/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Initrd secrets in a sync: from a generation's program to the ESP. */

#include <glib.h>
#include <string.h>
#include <unistd.h>

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

static void set_script(Machine *machine, const char *script) {
        g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", script);

        test_write(machine->root, "secrets-2", text, -1, 0700);
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
        set_script(machine, "printf changed >> \"$1\"");
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
        set_script(machine, "exit 7");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "generation 2 keeps the initrd secrets that it has: ");
        outcome_assert_has(outcome, "warnings", "secrets-2 failed with exit status 7");
        g_assert_cmpuint(outcome->signatures, ==, 0);
        after = machine_image_of(machine, 2, NULL);
        g_assert_cmpstr(before, ==, after);
        g_assert_true(has_initrd(machine, "secret"));
}

static void test_fails_other_without(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("exit 7");
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_current(machine, 1);
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "generation 2 is left out: ");
        outcome_assert_has(outcome, "warnings", "secrets-2 failed with exit status 7");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
}

/* A service, on whose ESP stands what root's sync left. */
static Machine *service_with_secrets(void) {
        Machine *machine = machine_with_secrets("printf secret >> \"$1\"");

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine->is_service = true;
        set_script(machine, "touch \"${0%/*}/was-run\"");
        return machine;
}

static void assert_not_run(const Machine *machine) {
        g_assert_false(test_exists(machine->root, "was-run"));
}

static void test_service_keeps(void) {
        _cleanup_(machine_freep) Machine *machine = service_with_secrets();
        g_autofree char *before = machine_snapshot(machine, "boot"), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        outcome_assert(outcome, "warnings",
                       "1 boot image keeps the initrd secrets that it has: no new ones were handed over, as root's "
                       "'lanzactl sync' does where their programs do not fail");
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
        assert_not_run(machine);
}

static void test_service_without(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_secrets("touch \"${0%/*}/was-run\"");
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *other = NULL;
        g_autofree char *files = NULL;

        machine->is_service = true;
        outcome = machine_run_refused(machine, CONDITION_SECRETS_FAILED, "sync", NULL);
        outcome_assert_message(outcome, "generation 2 needs initrd secrets");
        outcome_assert_hint(outcome, "'lanzactl sync' as root");
        files = machine_esp_files(machine, "", "");
        g_assert_cmpstr(files, ==, "");
        machine_set_current(machine, 1);
        other = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(other, "warnings", "generation 2 is left out: generation 2 needs initrd secrets");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
        assert_not_run(machine);
}

static void test_handed_in(void) {
        _cleanup_(machine_freep) Machine *machine = service_with_secrets();
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "sync", "initrd-secrets", "/nix/store/system-2=new", "initrd-secrets",
                                   "/nix/store/system-9=of nobody", NULL);
        _cleanup_(outcome_freep) Outcome *again = NULL;

        outcome_assert(outcome, "warnings", "");
        g_assert_true(has_initrd(machine, "new"));
        g_assert_false(has_initrd(machine, "secret"));
        g_assert_false(has_initrd(machine, "of nobody"));
        again = machine_run_status(machine, 0, "sync", "initrd-secrets", "/nix/store/system-2=new", NULL);
        g_assert_cmpuint(again->signatures, ==, 0);
        outcome_free(machine_run_status(machine, 0, "sync", "initrd-secrets", "/nix/store/system-2=", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 1);
        assert_not_run(machine);
}

/* Who had the disk in their hands may have put there what they like. */
static void test_forged(void) {
        _cleanup_(machine_freep) Machine *machine = service_with_secrets();
        g_autofree char *name = machine_image_of(machine, 2, NULL),
                        *path = g_build_filename("boot/EFI/Linux", name, NULL);
        g_autoptr(GBytes) image = test_read(machine->root, path);
        size_t size;
        const char *bytes = g_bytes_get_data(image, &size), *place;

        for (place = memmem(bytes, size, "quiet", 5); place;) {
                g_autofree char *altered = g_memdup2(bytes, size);

                altered[place - bytes] = 'Q';
                test_write(machine->root, path, altered, size, 0600);
                outcome_free(machine_run_refused(machine, CONDITION_SECRETS_FAILED, "sync", NULL));
                test_write_bytes(machine->root, path, image, 0600);
                outcome_free(machine_run_status(machine, 0, "sync", NULL));
                return;
        }
        g_assert_not_reached();
}

static void test_foreign(void) {
        _cleanup_(machine_freep) Machine *machine = service_with_secrets();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_keys(machine, "foreign-");
        outcome_free(machine_run_refused(machine, CONDITION_SECRETS_FAILED, "sync", NULL));
        outcome = machine_run_status(machine, 0, "sync", "initrd-secrets", "/nix/store/system-2=new", NULL);
        g_assert_true(has_initrd(machine, "new"));
}

static void test_missing(void) {
        _cleanup_(machine_freep) Machine *machine = service_with_secrets();
        g_autofree char *names = machine_esp_files(machine, "EFI/nixos", "initrd-");
        g_auto(GStrv) list = g_strsplit(names, "\n", -1);

        for (size_t i = 0; list[i]; i++) {
                g_autofree char *path = g_build_filename(machine->root, "boot/EFI/nixos", list[i], NULL);

                g_assert_cmpint(unlink(path), ==, 0);
        }
        outcome_free(machine_run_refused(machine, CONDITION_SECRETS_FAILED, "sync", NULL));
}

/* The image that was booted stays for a while, with the secrets of its time. */
static void test_newest(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        g_autofree char *booted = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->is_live = true;
        machine_set_keys(machine, "");
        machine_add_generation(machine, &(MachineGeneration){.number = 2, .secrets = "printf old >> \"$1\""});
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        booted = machine_image_of(machine, 2, NULL);
        machine_set_loader_variable(machine, "LoaderEntrySelected", booted);
        set_script(machine, "printf new >> \"$1\"");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
        machine->is_service = true;
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.images-kept", "1");
        g_assert_cmpuint(outcome->signatures, ==, 0);
        g_assert_true(has_initrd(machine, "new"));
        g_assert_true(has_initrd(machine, "old"));
}

static void test_gc(void) {
        _cleanup_(machine_freep) Machine *machine = service_with_secrets();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *old = machine_image_of(machine, 1, NULL), *left = NULL,
                        *wanted = machine_image_of(machine, 2, NULL);

        machine->is_service = false;
        machine_remove_generation(machine, 1);
        outcome = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert(outcome, "partitions.0.images-removed", old);
        outcome_assert(outcome, "partitions.0.images-kept", "1");
        outcome_assert(outcome, "warnings", "");
        left = machine_image_of(machine, 2, NULL);
        g_assert_cmpstr(left, ==, wanted);
        g_assert_true(has_initrd(machine, "secret"));
        assert_not_run(machine);
        test_make_folder(machine->root, "boot", 0755); /* what it only removes from may be as it is */
        machine->settings.strict_permissions = true;
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
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
        TEST("that-fail-for-another-generation-without-old-ones-leave-it-out", test_fails_other_without);
        TEST("are-kept-by-the-service-which-runs-no-program", test_service_keeps);
        TEST("that-the-service-cannot-have-are-asked-of-root", test_service_without);
        TEST("handed-in-are-used-as-they-are", test_handed_in);
        TEST("are-not-kept-on-the-word-of-an-altered-image", test_forged);
        TEST("are-not-kept-on-the-word-of-another-key", test_foreign);
        TEST("that-an-image-names-and-that-are-gone-are-not-kept", test_missing);
        TEST("that-are-kept-are-the-newest", test_newest);
        TEST("are-kept-by-gc", test_gc);
        TEST("warn-of-an-esp-that-others-can-read", test_open_esp);
        TEST("alone-make-an-open-esp-a-fault", test_open_esp_without);
        return g_test_run();
}
