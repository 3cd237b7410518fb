/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

#define BRICK "yes-this-might-brick-my-machine"

static Machine *synced(bool has_firmware) {
        Machine *machine = machine_new_typical(has_firmware);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        return machine;
}

static void enroll(Machine *machine) {
        outcome_free(machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL));
}

static Outcome *status_of(Machine *machine) {
        return machine_run_status(machine, 0, "status", NULL);
}

/* These problems, each with (part of) its hint, and no others: pairs of message and hint up to a NULL. */
static void assert_problems(const Outcome *outcome, ...) {
        g_autofree char *count = outcome_get(outcome, "problems"), *expected = NULL;
        const char *message;
        unsigned n = 0;
        va_list list;

        va_start(list, outcome);
        for (; (message = va_arg(list, const char *)); n++) {
                g_autofree char *message_path = g_strdup_printf("problems.%u.message", n);
                g_autofree char *hint_path = g_strdup_printf("problems.%u.hint", n);

                outcome_assert_has(outcome, message_path, message);
                outcome_assert_has(outcome, hint_path, va_arg(list, const char *));
        }
        va_end(list);
        expected = g_strdup_printf("%u", n);
        g_assert_cmpstr(count, ==, expected);
}

static void test_fresh(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        g_autofree char *before = NULL, *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        before = machine_snapshot(machine, "");
        outcome = status_of(machine);
        outcome_assert(outcome, "keys-present", "no");
        outcome_assert(outcome, "certificates", "0");
        assert_problems(outcome, "There are no keys here yet", "create-keys", "The firmware is in Setup Mode",
                        "Enroll the keys with 'lanzactl setup'", "No image of a generation stands on /boot",
                        "Run 'lanzactl sync'", NULL);
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
}

/* Another distribution: keys and firmware may be in order, and there is nothing to sync. */
static void test_no_profiles(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        g_autofree char *profiles = test_path(machine->root, "nix/var/nix/profiles"), *images = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        images = test_path(machine->root, "boot/EFI/Linux");
        enroll(machine);
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        g_free(test_run_good("rm", "-r", profiles, images, NULL));
        outcome = status_of(machine);
        assert_problems(outcome, "Cannot open the profile folder", "lanzactl sign", NULL);
}

static void test_setup_mode(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = status_of(machine);

        outcome_assert(outcome, "mode", "setup");
        outcome_assert(outcome, "setup-mode", "yes");
        outcome_assert(outcome, "secure-boot", "no");
        outcome_assert(outcome, "keys-present", "yes");
        outcome_assert(outcome, "keys-enrolled", "no");
        outcome_assert(outcome, "certificates", "3");
        outcome_assert(outcome, "certificates.2.role", "db");
        outcome_assert(outcome, "partitions.0.path", "/boot");
        outcome_assert(outcome, "partitions.0.partition-uuid", MACHINE_ESP_UUID);
        outcome_assert(outcome, "partitions.0.images", "2");
        outcome_assert(outcome, "partitions.0.images-of-ours", "2");
        outcome_assert(outcome, "partitions.0.loader-version", MACHINE_LOADER_VERSION);
        outcome_assert(outcome, "partitions.0.private", "yes");
        outcome_assert(outcome, "generations", "2");
        outcome_assert(outcome, "generations.0.number", "2");
        outcome_assert(outcome, "generations.0.current", "yes");
        outcome_assert(outcome, "generations.0.profile", "system");
        outcome_assert(outcome, "generations.0.label", "Test 2");
        outcome_assert(outcome, "generations.1.current", "no");
        assert_problems(outcome, "The firmware is in Setup Mode: it runs everything", "'lanzactl setup'", NULL);
}

static void test_enrolled(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        enroll(machine);
        outcome = status_of(machine);
        outcome_assert(outcome, "mode", "user");
        outcome_assert(outcome, "secure-boot", "no");
        outcome_assert(outcome, "keys-enrolled", "yes");
        assert_problems(outcome, "The keys are enrolled, but this start did not enforce them", "systemctl reboot",
                        NULL);
}

static void test_enforcing(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_enforce(machine);
        outcome = status_of(machine);
        outcome_assert(outcome, "secure-boot", "yes");
        outcome_assert(outcome, "keys-enrolled", "yes");
        assert_problems(outcome, NULL);
}

static void test_foreign(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_certificate(machine, "PK", "foreign-PK.der");
        machine_set_certificate(machine, "KEK", "foreign-KEK.der");
        machine_set_certificate(machine, "db", "foreign-db.der");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome = status_of(machine);
        outcome_assert(outcome, "secure-boot", "yes");
        outcome_assert(outcome, "keys-enrolled", "no");
        assert_problems(outcome, "The firmware trusts other keys", "Setup Mode", NULL);
}

static void test_tree(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = status_of(machine);

        outcome_assert(outcome, "mode", "-");
        assert_problems(outcome, NULL);
}

static void test_no_efi(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->is_live = machine->needs_mount = true;
        outcome = status_of(machine);
        outcome_assert(outcome, "mode", "unsupported");
        outcome_assert(outcome, "partitions", "0");
        assert_problems(outcome, "There are no EFI variables here", "UEFI mode",
                        "No EFI system partition is mounted: /boot is a folder on", "Mount the EFI system partition",
                        NULL);
}

static void test_missing_esp(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *checked = NULL;

        machine->settings.esp_path = strdup("/efi");
        outcome = status_of(machine);
        assert_problems(outcome, "/efi does not exist", "Mount the EFI system partition", NULL);
        checked = machine_run_status(machine, OPERATION_WOULD_NOT_BOOT, "status", "check", "yes", NULL);
        assert_problems(checked, "/efi does not exist", "Mount the EFI system partition", NULL);
}

static void test_bad_keys(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_write(machine, "var/lib/lanzad/keys/db/db.pem", "no certificate");
        outcome = status_of(machine);
        outcome_assert(outcome, "keys-present", "no");
        outcome_assert(outcome, "certificates", "2");
        assert_problems(outcome, "keys/db/db.pem holds no certificate", "backup", NULL);
}

static void test_unsigned_images(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *before = NULL, *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        before = status_of(machine);
        outcome_assert(before, "partitions.0.images-of-ours", "1");
        assert_problems(before, "There are no keys here yet", "create-keys", NULL);
        machine_set_keys(machine, "");
        outcome = status_of(machine);
        assert_problems(outcome, "1 of the images on /boot are not signed by these keys", "Run 'lanzactl sync'", NULL);
}

static void test_booted(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_enforce(machine);
        machine_set_loader_variable(machine, "LoaderEntrySelected", "nixos-generation-1-x.efi");
        machine_set_loader_variable(machine, "LoaderInfo", "systemd-boot 257");
        machine_set_loader_variable(machine, "StubInfo", "lanzastub 0.1");
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        outcome = status_of(machine);
        outcome_assert(outcome, "booted-entry", "nixos-generation-1-x.efi");
        outcome_assert(outcome, "booted-loader", "systemd-boot 257");
        outcome_assert(outcome, "booted-stub", "lanzastub 0.1");
        outcome_assert(outcome, "booted-toplevel", "/nix/store/system-1");
        outcome_assert(outcome, "generations.0.booted", "no");
        outcome_assert(outcome, "generations.1.booted", "yes");
        assert_problems(outcome, NULL);
}

static void test_overrides(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_enforce(machine);
        machine_set_loader_variable(machine, "LoaderEntryDefault", "other.conf");
        machine_set_loader_variable(machine, "LoaderEntryPreferred", "better.conf");
        machine_set_loader_variable(machine, "LoaderEntryOneShot", "once.conf");
        outcome = status_of(machine);
        assert_problems(outcome, "LoaderEntryOneShot names once.conf", "bootctl set-oneshot",
                        "LoaderEntryPreferred names better.conf", "bootctl set-preferred",
                        "LoaderEntryDefault names other.conf", "bootctl set-default", NULL);
}

static void test_malformed(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_write(machine, "nix/store/system-1/boot.json", "[]");
        outcome = status_of(machine);
        outcome_assert_has(outcome, "generations.1.problem", "/nix/store/system-1/boot.json");
        assert_problems(outcome, "/nix/store/system-1/boot.json", "Build the generation again", NULL);
}

static void test_unreadable_firmware(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(variables_memory_set(machine->variables, &efi_image_security_database_guid, "db",
                                             VARIABLE_ATTRIBUTES_SECURE, (Span){(const uint8_t *)"garbage", 7}),
                        ==, 0);
        outcome = machine_run_status(machine, 0, "status", NULL);
        outcome_assert_has(outcome, "problems.0.message", "db in the test firmware is not a sequence");
}

static Outcome *check(Machine *machine, int expected) {
        return machine_run_status(machine, expected, "status", "check", "yes", NULL);
}

static void test_check_good(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);

        outcome_free(check(machine, 0));
        enroll(machine);
        outcome_free(check(machine, 0));
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome_free(check(machine, 0));
}

static void test_check_empty(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = check(machine, OPERATION_WOULD_NOT_BOOT);

        assert_problems(outcome, "No image of a generation stands on /boot", "Run 'lanzactl sync'", NULL);
}

/* Flips one bit in the middle of a file. */
static void damage(const Machine *machine, const char *path) {
        g_autofree char *full = g_build_filename(machine->root, path, NULL), *content = NULL;
        size_t size;

        g_assert_true(g_file_get_contents(full, &content, &size, NULL));
        content[size / 2] ^= 1;
        g_assert_true(g_file_set_contents(full, content, size, NULL));
}

static void test_check_damaged(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        /* Nothing looks at signatures in Setup Mode. */
        damage(machine, "boot/" MACHINE_SYSTEMD_BOOT);
        outcome_free(check(machine, 0));
        machine_set_certificate(machine, "PK", "PK.der");
        machine_set_certificate(machine, "db", "db.der");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome = check(machine, OPERATION_WOULD_NOT_BOOT);
        outcome_assert_has(outcome, "problems.1.message", "/boot/" MACHINE_SYSTEMD_BOOT " would be refused");
        outcome_assert_has(outcome, "problems.1.hint", "Run 'lanzactl sync'");
}

static void test_check_cut(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        g_autofree char *image = machine_image_of(machine, 2, NULL), *path = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        path = g_build_filename("boot/EFI/Linux", image, NULL);
        machine_write(machine, path, "");
        outcome = check(machine, OPERATION_WOULD_NOT_BOOT);
        assert_problems(outcome, "-2-", "Run 'lanzactl sync'", "is no PE image", "Run 'lanzactl sync'", NULL);
}

/* Deletes the initrd of generation NUMBER from the ESP, which "list" tells. */
static void remove_initrd(Machine *machine, const char *number) {
        _cleanup_(outcome_freep) Outcome *listed = machine_run_status(machine, 0, "list", NULL);

        for (unsigned i = 0; i < 2; i++) {
                g_autofree char *at = g_strdup_printf("images.%u.generation", i), *found = outcome_get(listed, at);
                g_autofree char *files_at = g_strdup_printf("images.%u.files", i);
                g_autofree char *files = outcome_get(listed, files_at), *path = NULL;

                if (strcmp(found, number) != 0)
                        continue;
                g_assert_nonnull(strstr(files, "EFI/nixos/initrd-"));
                path = g_build_filename(machine->root, "boot", strstr(files, "EFI/nixos/initrd-"), NULL);
                path[strcspn(path, "\n")] = '\0';
                g_assert_cmpint(unlink(path), ==, 0);
        }
}

static void test_check_missing(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        remove_initrd(machine, "1");
        outcome_free(check(machine, 0));
        remove_initrd(machine, "2");
        outcome = check(machine, OPERATION_WOULD_NOT_BOOT);
        assert_problems(outcome, "-1-", "Run 'lanzactl sync'", "-2-", "Run 'lanzactl sync'", NULL);
}

static void test_damaged(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        g_autofree char *image = machine_image_of(machine, 1, NULL), *path = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *mended = NULL;

        path = g_build_filename("boot/EFI/Linux", image, NULL);
        machine_write(machine, path, "");
        outcome = status_of(machine);
        assert_problems(outcome, image, "Run 'lanzactl sync'", NULL);
        outcome_assert_has(outcome, "problems.0.message", "cannot be booted: It is no EFI program");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        mended = status_of(machine);
        assert_problems(mended, NULL);
}

static void test_old_stub(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *before = NULL, *outcome = NULL, *booted = NULL, *missing = NULL;
        g_autofree char *stub = test_path(machine->root, MACHINE_STUB);

        before = status_of(machine);
        outcome_assert(before, "notes", "0");
        damage(machine, MACHINE_STUB);
        machine_add_generation(machine, &(MachineGeneration){.number = 3});
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        outcome = status_of(machine);
        assert_problems(outcome, NULL);
        outcome_assert_has(outcome, "notes.0.message", "2 of the images on /boot have another stub than new ones get");
        outcome_assert_has(outcome, "notes.0.hint", "'lanzactl sync --restub'");

        /* Just the booted one is left. */
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        machine_remove_generation(machine, 2);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        booted = status_of(machine);
        outcome_assert_has(booted, "notes.0.message", "1 of the images");
        outcome_assert_has(booted, "notes.0.hint", "It was booted, and is kept until");

        g_assert_cmpint(unlink(stub), ==, 0);
        missing = status_of(machine);
        outcome_assert(missing, "notes", "0");
        assert_problems(missing, "lanzastubx64.efi cannot be read", "Install the package", NULL);
}

#define TEST(name, function) g_test_add_func("/ops/status/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("tells-a-fresh-machine-what-to-do-and-changes-nothing", test_fresh);
        TEST("says-of-a-system-without-generations-that-there-is-nothing-to-sync", test_no_profiles);
        TEST("shows-setup-mode", test_setup_mode);
        TEST("shows-keys-that-wait-for-a-reboot", test_enrolled);
        TEST("has-nothing-to-say-where-own-keys-are-enforced", test_enforcing);
        TEST("shows-keys-of-somebody-else", test_foreign);
        TEST("says-nothing-of-firmware-in-a-tree", test_tree);
        TEST("shows-a-machine-without-efi", test_no_efi);
        TEST("shows-a-missing-esp", test_missing_esp);
        TEST("shows-unusable-keys", test_bad_keys);
        TEST("shows-images-that-wait-for-a-signature", test_unsigned_images);
        TEST("shows-what-was-booted", test_booted);
        TEST("shows-what-overrides-the-default", test_overrides);
        TEST("shows-a-malformed-generation", test_malformed);
        TEST("shows-variables-that-it-cannot-read", test_unreadable_firmware);
        TEST("check-passes-what-boots", test_check_good);
        TEST("check-fails-an-empty-esp", test_check_empty);
        TEST("check-fails-what-the-firmware-would-refuse", test_check_damaged);
        TEST("check-fails-an-image-that-a-cut-left-empty", test_check_cut);
        TEST("check-fails-a-default-whose-initrd-is-missing", test_check_missing);
        TEST("shows-an-image-that-cannot-be-booted", test_damaged);
        TEST("notes-images-with-another-stub", test_old_stub);
        return g_test_run();
}
