/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An XBOOTLDR partition: images and contents stand there, the boot loader on the ESP. */

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/partitions-fixture.h"

static void test_xbootldr(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_xbootldr(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL), *listed = NULL,
                                         *status = NULL;

        outcome_assert(outcome, "partitions", "2");
        outcome_assert(outcome, "partitions.0.role", "esp");
        outcome_assert(outcome, "partitions.0.default-entry", "-");
        outcome_assert(outcome, "partitions.0.images-written", "");
        outcome_assert(outcome, "partitions.0.loaders-written",
                       MACHINE_SYSTEMD_BOOT "\n" MACHINE_FALLBACK "\nloader/loader.conf");
        outcome_assert(outcome, "partitions.1.role", "xbootldr");
        outcome_assert(outcome, "partitions.1.path", "/xboot");
        outcome_assert(outcome, "partitions.1.boots", "yes");
        outcome_assert(outcome, "partitions.1.loaders-written", "");
        outcome_assert_has(outcome, "partitions.1.default-entry", "nixos-generation-2-");
        outcome_assert_has(outcome, "partitions.1.images-written", "nixos-generation-1-");
        g_assert_false(test_exists(machine->root, "boot/EFI/Linux"));
        g_assert_false(test_exists(machine->root, "boot/EFI/nixos"));
        g_assert_false(test_exists(machine->root, "xboot/loader"));
        g_assert_false(test_exists(machine->root, "xboot/EFI/BOOT"));
        g_assert_cmpuint(partitions_count_files(machine, "xboot/EFI/Linux", "nixos-"), ==, 2);
        partitions_assert_settled(machine);

        listed = machine_run_status(machine, 0, "list", NULL);
        outcome_assert(listed, "images", "2");
        outcome_assert(listed, "images.1.partition", "/xboot");
        outcome_assert(listed, "images.1.default", "yes");
        outcome_assert(listed, "generations.0.default", "yes");
        status = machine_run_status(machine, 0, "status", "check", "yes", NULL);
        outcome_assert(status, "partitions.1.images-of-ours", "2");
}

/* What stood on the ESP before goes, when the same stands on the XBOOTLDR partition: all but what was booted, until
 * something was booted from there. */
static void test_move(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *collected = NULL, *moved = NULL, *settled = NULL;
        g_autofree char *booted = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        booted = machine_image_of(machine, 1, NULL);
        machine_symlink(machine, "/nix/store/system-1", "/run/booted-system");
        machine_set_loader_variable(machine, "LoaderEntrySelected", booted);
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", MACHINE_ESP_UUID);
        machine_set_loader_variable(machine, "StubDevicePartUUID", MACHINE_ESP_UUID);
        test_make_folder(machine->root, "xboot", 0700);
        partitions_set_xbootldr(machine, "/xboot");

        /* Garbage collection writes nothing, so nothing goes. */
        collected = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert(collected, "partitions.0.images-removed", "");
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 2);

        moved = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(moved, "partitions.0.images-removed", "nixos-generation-2-");
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 1);
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/nixos", ""), ==, 2);
        g_assert_cmpuint(partitions_count_files(machine, "xboot/EFI/Linux", "nixos-"), ==, 2);
        partitions_assert_settled(machine);

        machine_set_loader_variable(machine, "StubDevicePartUUID", MACHINE_SECOND_UUID);
        settled = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(settled, "partitions.0.images-removed", "nixos-generation-1-");
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 0);
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/nixos", ""), ==, 0);
        g_assert_cmpuint(partitions_count_files(machine, "xboot/EFI/Linux", "nixos-"), ==, 2);
        partitions_assert_settled(machine);
}

/* Boots that were counted stay counted, and what was confirmed good stays confirmed. */
static void test_move_counters(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *first = NULL, *second = NULL, *from = NULL, *to = NULL, *path = NULL, *moved = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        path = g_strdup_printf("boot/EFI/Linux/%s", second);
        from = test_path(machine->root, path);
        to = g_strdup_printf("%.*s+1-2.efi", (int)strlen(from) - 4, from);
        g_assert_cmpint(g_rename(from, to), ==, 0);
        machine->settings.tries = 3;
        test_make_folder(machine->root, "xboot", 0700);
        partitions_set_xbootldr(machine, "/xboot");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        moved = g_strdup_printf("xboot/EFI/Linux/%s", first);
        g_assert_true(test_exists(machine->root, moved));
        g_free(moved);
        moved = g_strdup_printf("xboot/EFI/Linux/%.*s+1-2.efi", (int)strlen(second) - 4, second);
        g_assert_true(test_exists(machine->root, moved));
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 0);
}

/* A machine whose ESP is mounted on /efi, and an XBOOTLDR partition on /boot, which holds the images; the first of two
 * generations was booted from there. */
static Machine *machine_with_usual_places(void) {
        Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *booted = NULL;

        test_make_folder(machine->root, "efi", 0700);
        machine->settings.esp_path = strdup("/efi");
        partitions_set_xbootldr(machine, "/boot");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 2);
        booted = machine_image_of(machine, 1, NULL);
        machine_symlink(machine, "/nix/store/system-1", "/run/booted-system");
        machine_set_loader_variable(machine, "LoaderEntrySelected", booted);
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", MACHINE_ESP_UUID);
        machine_set_loader_variable(machine, "StubDevicePartUUID", MACHINE_SECOND_UUID);
        return machine;
}

/* The other way round: where none is configured any more, the images go back to the ESP, and the boot loader would
 * still show those on the partition at its usual place. */
static void test_move_back(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_usual_places();
        _cleanup_(outcome_freep) Outcome *collected = NULL, *moved = NULL, *settled = NULL;

        test_write(machine->root, "boot/EFI/Linux/other.efi", "another system's", -1, 0600);
        partitions_set_xbootldr(machine, NULL);
        collected = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert(collected, "partitions", "2");
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 2);

        moved = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(moved, "partitions.0.default-entry", "nixos-generation-2-");
        outcome_assert_has(moved, "partitions.1.images-removed", "nixos-generation-2-");
        g_assert_cmpuint(partitions_count_files(machine, "efi/EFI/Linux", "nixos-"), ==, 2);
        g_assert_cmpuint(partitions_count_files(machine, "efi/EFI/nixos", ""), ==, 3);
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-generation-1-"), ==, 1);
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", "nixos-"), ==, 1);
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/nixos", ""), ==, 2);
        partitions_assert_settled(machine);

        machine_set_loader_variable(machine, "StubDevicePartUUID", MACHINE_ESP_UUID);
        settled = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(settled, "partitions.1.images-removed", "nixos-generation-1-");
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", ""), ==, 1);
        g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/nixos", ""), ==, 0);
        g_assert_cmpuint(partitions_count_files(machine, "efi/EFI/Linux", "nixos-"), ==, 2);
        partitions_assert_settled(machine);
}

static void test_move_back_counters(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_usual_places();
        g_autofree char *second = machine_image_of(machine, 2, NULL), *from = NULL, *to = NULL, *path = NULL;

        from = g_build_filename(machine->root, "boot/EFI/Linux", second, NULL);
        to = g_strdup_printf("%.*s+1-2.efi", (int)strlen(from) - 4, from);
        g_assert_cmpint(g_rename(from, to), ==, 0);
        machine->settings.tries = 3;
        partitions_set_xbootldr(machine, NULL);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        path = g_strdup_printf("efi/EFI/Linux/%.*s+1-2.efi", (int)strlen(second) - 4, second);
        g_assert_true(test_exists(machine->root, path));
        g_assert_cmpuint(partitions_count_files(machine, "efi/EFI/Linux", "nixos-"), ==, 2);
}

/* An ESP and its XBOOTLDR partition are one: where one of them fails, the other is left alone. */
static void test_halves(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_xbootldr(/* has_firmware= */ false);
        g_autofree char *xboot = test_path(machine->root, "xboot");
        _cleanup_(outcome_freep) Outcome *alone = NULL, *other = NULL, *whole = NULL;

        g_assert_cmpint(g_rmdir(xboot), ==, 0);
        alone = machine_run_refused(machine, CONDITION_ESP_NOT_FOUND, "sync", NULL);
        outcome_assert_message(alone, "XBOOTLDR");
        g_assert_cmpuint(partitions_count_files(machine, "boot", ""), ==, 0);

        test_make_folder(machine->root, "boot2", 0700);
        partitions_add_esp(machine, "/boot2");
        other = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert(other, "partitions", "3");
        outcome_assert_has(other, "partitions.0.problem", "belongs to /xboot");
        outcome_assert(other, "partitions.1.error", "EspNotFound");
        outcome_assert_has(other, "partitions.2.default-entry", "nixos-generation-2-");
        g_assert_cmpuint(partitions_count_files(machine, "boot", ""), ==, 0);
        /* Nobody looks for an XBOOTLDR partition on another disk: the extra ESP has everything itself. */
        g_assert_cmpuint(partitions_count_files(machine, "boot2/EFI/Linux", "nixos-"), ==, 2);

        test_make_folder(machine->root, "xboot", 0700);
        whole = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_has(whole, "partitions.1.default-entry", "nixos-generation-2-");
        g_assert_cmpuint(partitions_count_files(machine, "xboot/EFI/Linux", "nixos-"), ==, 2);
        g_assert_true(test_exists(machine->root, "boot/loader/loader.conf"));
        partitions_assert_settled(machine);
}

#define TEST(name, function) g_test_add_func("/ops/xbootldr/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("images-stand-there-and-loaders-on-the-esp", test_xbootldr);
        TEST("images-move-there-the-booted-one-last", test_move);
        TEST("images-that-move-keep-their-boot-counters", test_move_counters);
        TEST("images-move-back-where-it-is-configured-no-more", test_move_back);
        TEST("images-that-move-back-keep-their-boot-counters", test_move_back_counters);
        TEST("it-is-one-with-its-esp", test_halves);
        return g_test_run();
}
