/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/firmware/secure-boot.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

#define BRICK "yes-this-might-brick-my-machine"

static bool flag(const Machine *machine, const char *name) {
        bool value;

        g_assert_cmpint(variables_read_flag(machine->variables, &efi_global_variable_guid, name, false, &value), ==, 0);
        return value;
}

/* All variables that hold keys, as one checksum each; and whether the mode is Setup Mode. */
static char *firmware_snapshot(const Machine *machine) {
        GString *text = g_string_new(flag(machine, "SetupMode") ? "setup" : "user");

        for (SecureVariable i = 0; i < SECURE_VARIABLE_COUNT; i++) {
                _cleanup_(buffer_done) Buffer content = {};
                g_autofree char *hash = NULL;

                (void)variables_read(machine->variables, secure_variable_vendor(i), secure_variable_name(i), NULL,
                                     &content);
                hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, content.data, content.size);
                g_string_append_printf(text, " %s", hash);
        }
        return g_string_free(text, /* free_segment= */ FALSE);
}

/* Refused with CONDITION, and neither a file nor a variable has changed. */
static Outcome *refuse(Machine *machine, Condition condition) {
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;
        g_autofree char *variables = machine->variables ? firmware_snapshot(machine) : NULL, *variables_after = NULL;
        Outcome *outcome = machine_run_refused(machine, condition, "enroll-keys", BRICK, "yes", NULL);

        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
        if (variables) {
                variables_after = firmware_snapshot(machine);
                g_assert_cmpstr(variables, ==, variables_after);
        }
        return outcome;
}

static Machine *synced(void) {
        Machine *machine = machine_new_typical(/* has_firmware= */ true);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        return machine;
}

static void assert_origins(Machine *machine, const char *variable, unsigned index, const char *subject,
                           const char *origin) {
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "list-enrolled-keys", "variable", variable, NULL);
        g_autofree char *subject_path = g_strdup_printf("keys.%u.subject", index);
        g_autofree char *origin_path = g_strdup_printf("keys.%u.origin", index);

        outcome_assert(outcome, subject_path, subject);
        outcome_assert(outcome, origin_path, origin);
        outcome_assert(outcome, "keys.0.variable", variable);
        outcome_assert(outcome, "keys.0.type", "x509");
}

static void test_enrolls(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL);

        outcome_assert(outcome, "reboot-needed", "yes");
        outcome_assert(outcome, "variables", "3");
        outcome_assert(outcome, "variables.0.variable", "db");
        outcome_assert(outcome, "variables.0.signed-by", "KEK");
        outcome_assert(outcome, "variables.0.written", "yes");
        outcome_assert(outcome, "variables.1.variable", "KEK");
        outcome_assert(outcome, "variables.1.signed-by", "PK");
        outcome_assert(outcome, "variables.2.variable", "PK");
        outcome_assert(outcome, "variables.2.entries-added", "1");
        g_assert_false(flag(machine, "SetupMode"));
        g_assert_false(flag(machine, "SecureBoot"));
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        g_assert_true(flag(machine, "SecureBoot"));
        assert_origins(machine, "PK", 0, "CN=Test PK", "own");
        assert_origins(machine, "KEK", 0, "CN=Test KEK", "own");
        assert_origins(machine, "db", 0, "CN=Test db", "own");
}

static void test_twice(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *before = NULL, *after = NULL;
        size_t writes;

        outcome_free(machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL));
        writes = variables_memory_write_count(machine->variables);
        before = machine_run_status(machine, 0, "enroll-keys", NULL);
        outcome_assert(before, "reboot-needed", "yes");
        outcome_assert(before, "variables.0.written", "no");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        after = machine_run_status(machine, 0, "enroll-keys", NULL);
        outcome_assert(after, "reboot-needed", "no");
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, writes);
}

static void test_keeps_foreign(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_certificate(machine, "KEK", "foreign-KEK.der");
        machine_set_certificate(machine, "db", "foreign-db.der");
        outcome = machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL);
        outcome_assert(outcome, "variables.0.entries-kept", "1");
        outcome_assert(outcome, "variables.0.entries-added", "1");
        outcome_assert(outcome, "variables.2.entries-kept", "0");
        assert_origins(machine, "db", 0, "CN=Foreign db", "foreign");
        assert_origins(machine, "db", 1, "CN=Test db", "own");
        assert_origins(machine, "KEK", 0, "CN=Foreign KEK", "foreign");
        assert_origins(machine, "KEK", 1, "CN=Test KEK", "own");
}

static void test_dry_run(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", "dry-run", "yes", NULL);

        outcome_assert(outcome, "variables.0.written", "yes");
        outcome_assert(outcome, "reboot-needed", "no");
        outcome_assert(outcome, "dry-run", "yes");
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, 0);
        g_assert_true(flag(machine, "SetupMode"));
}

static void test_not_in_setup_mode(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_certificate(machine, "PK", "foreign-PK.der");
        machine_set_certificate(machine, "db", "foreign-db.der");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome = refuse(machine, CONDITION_NOT_IN_SETUP_MODE);
        outcome_assert_message(outcome, "User Mode");
        outcome_assert_hint(outcome, "Reset to Setup Mode");
}

static void test_option_roms(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *rehearsed = NULL;

        outcome = machine_run_refused(machine, CONDITION_OPTION_ROM_RISK, "enroll-keys", NULL);
        outcome_assert_hint(outcome, "--yes-this-might-brick-my-machine");
        rehearsed = machine_run_refused(machine, CONDITION_OPTION_ROM_RISK, "enroll-keys", "dry-run", "yes", NULL);
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, 0);
}

static void test_no_variables(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = refuse(machine, CONDITION_NOT_SUPPORTED), *listed = NULL;

        outcome_assert_message(outcome, "There are no EFI variables to enroll keys in");
        outcome_assert_hint(outcome, "on the system itself");
        listed = machine_run_refused(machine, CONDITION_NOT_SUPPORTED, "list-enrolled-keys", NULL);
}

static void test_no_secure_boot(void) {
        _cleanup_(machine_freep) Machine *machine = synced();

        g_assert_cmpint(variables_memory_set(machine->variables, &efi_global_variable_guid, "SetupMode", 6, (Span){}),
                        ==, 0);
        outcome_free(refuse(machine, CONDITION_NOT_SUPPORTED));
}

static void test_read_only(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(variables_memory_set_read_only(machine->variables, true), ==, 0);
        outcome = refuse(machine, CONDITION_VARIABLES_READ_ONLY);
        outcome_assert_hint(outcome, "remount,rw");
}

static void test_full(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(variables_memory_set_capacity(machine->variables, 2000), ==, 0);
        outcome = refuse(machine, CONDITION_VARIABLE_STORE_FULL);
        outcome_assert_message(outcome, "bytes");
}

static void test_no_keys(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = refuse(machine, CONDITION_NO_KEYS);

        outcome_assert_hint(outcome, "create-keys");
}

static void test_no_sync_yet(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT);

        outcome_assert_message(outcome, "No image of a generation stands on /boot");
        outcome_assert_hint(outcome, "Run 'lanzactl sync'.");
}

static void remove_from_esp(Machine *machine, const char *name) {
        g_autofree char *path = g_build_filename(machine->root, "boot", name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
}

static void test_no_loader(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        remove_from_esp(machine, MACHINE_SYSTEMD_BOOT);
        remove_from_esp(machine, MACHINE_FALLBACK);
        outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT);
        outcome_assert_message(outcome, "No boot loader stands on /boot");
}

static void test_foreign_loaders(void) {
        static const char *const places[] = {MACHINE_FALLBACK, MACHINE_SYSTEMD_BOOT};
        g_autoptr(GBytes) application = machine_application("somebody else's");

        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
                _cleanup_(machine_freep) Machine *machine = synced();
                _cleanup_(outcome_freep) Outcome *outcome = NULL;
                g_autofree char *path = g_build_filename("boot", places[i], NULL);

                test_write_bytes(machine->root, path, application, 0600);
                outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT);
                outcome_assert_message(outcome, places[i]);
                outcome_assert_hint(outcome, "Run 'lanzactl sync'");
        }
}

static void test_damaged_image(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *image = machine_image_of(machine, 1, NULL), *content = NULL;
        g_autofree char *path = g_build_filename(machine->root, "boot/EFI/Linux", image, NULL);
        size_t size;

        g_assert_true(g_file_get_contents(path, &content, &size, NULL));
        content[size / 2] ^= 1;
        g_assert_true(g_file_set_contents(path, content, size, NULL));
        outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT);
        outcome_assert_message(outcome, image);
}

/* The first switch writes unsigned images, for there are no keys yet. The one that may be running stays. */
static void test_unsigned_before(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *refused = NULL;
        g_autofree char *unsigned_image = NULL, *images = NULL, *path = NULL;
        g_auto(GStrv) names = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        unsigned_image = machine_image_of(machine, 1, NULL);
        machine_set_keys(machine, "");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        images = machine_esp_files(machine, "EFI/Linux", "");
        names = g_strsplit(images, "\n", -1);
        g_assert_cmpuint(g_strv_length(names), ==, 2);

        outcome = machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", "dry-run", "yes", NULL);
        outcome_assert_has(outcome, "warnings", unsigned_image);
        outcome_assert_has(outcome, "warnings", "a newer image of this generation would run");

        path = g_build_filename(machine->root, "boot/EFI/Linux", names[strcmp(names[0], unsigned_image) == 0 ? 1 : 0],
                                NULL);
        g_assert_cmpint(g_unlink(path), ==, 0);
        refused = machine_run_refused(machine, CONDITION_WOULD_NOT_BOOT, "enroll-keys", BRICK, "yes", NULL);
        outcome_assert_message(refused, unsigned_image);
}

static void test_boot_entry(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *done = NULL;
        g_autoptr(GBytes) application = machine_application("Windows");

        test_write_bytes(machine->root, "boot/EFI/Other/boot.efi", application, 0600);
        machine_set_boot_entry(machine, "Other", MACHINE_ESP_UUID, "\\EFI\\Other\\boot.efi", /* active= */ true);
        outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT);
        outcome_assert_message(outcome, "EFI/Other/boot.efi");
        outcome_assert_hint(outcome, "leave the boot order");

        machine_set_boot_entry(machine, "Other", MACHINE_ESP_UUID, "\\EFI\\Other\\boot.efi", /* active= */ false);
        done = machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", "dry-run", "yes", NULL);
        outcome_assert(done, "warnings", "");
}

static void test_boot_entry_gone(void) {
        _cleanup_(machine_freep) Machine *machine = synced();

        machine_set_boot_entry(machine, "Gone", MACHINE_ESP_UUID, "\\EFI\\Gone\\boot.efi", /* active= */ true);
        outcome_free(machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL));
}

static void test_boot_entry_elsewhere(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_boot_entry(machine, "Elsewhere", "aaaaaaaa-6b0f-4c35-9d77-5d7a2a5d5c11", "\\EFI\\x.efi",
                               /* active= */ true);
        outcome = machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL);
        outcome_assert_has(outcome, "warnings", "\"Elsewhere\" starts \\EFI\\x.efi on another partition");
}

/* Which write fails, the first run says which variable; the second finishes. */
static void test_failing_writes(void) {
        static const char *const names[] = {"db", "KEK", "PK"};

        for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
                _cleanup_(machine_freep) Machine *machine = synced();
                _cleanup_(outcome_freep) Outcome *failed = NULL, *finished = NULL;

                g_assert_cmpint(variables_memory_fail_write(machine->variables, i + 1, -EIO), ==, 0);
                failed = machine_run_refused(machine, CONDITION_FAILED, "enroll-keys", BRICK, "yes", NULL);
                g_assert_true(g_str_has_prefix(failed->failure.message, names[i]));
                g_assert_true(flag(machine, "SetupMode"));
                finished = machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL);
                outcome_assert(finished, "variables.0.written", i == 0 ? "yes" : "no");
                outcome_assert(finished, "variables.1.written", i <= 1 ? "yes" : "no");
                outcome_assert(finished, "variables.2.written", "yes");
                g_assert_false(flag(machine, "SetupMode"));
        }
}

static void test_refused_writes(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(variables_memory_fail_write(machine->variables, 3, -EACCES), ==, 0);
        outcome = machine_run_refused(machine, CONDITION_FIRMWARE_REFUSED, "enroll-keys", BRICK, "yes", NULL);
        outcome_assert_message(outcome, "The firmware refused to change PK");
        outcome_assert_hint(outcome, "--timestamp");
}

static char *stored_timestamp(const Machine *machine) {
        char *text = machine_read(machine, "var/lib/lanzad/timestamp");

        return g_strstrip(text);
}

static void test_timestamps(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        g_autofree char *folder = test_path(machine->root, ""), *named = NULL, *next = NULL;

        outcome_free(machine_run_status(machine, 0, "enroll-keys", "export", "auth", "output", folder, "timestamp",
                                        "1900000000", NULL));
        named = stored_timestamp(machine);
        g_assert_cmpstr(named, ==, "1900000000");
        outcome_free(machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", NULL));
        next = stored_timestamp(machine);
        g_assert_cmpstr(next, ==, "1900000001");
}

static void test_bad_timestamps(void) {
        static const char *const bad[] = {"9223372036854775807", "18446744073709551615", "253402300800"};
        _cleanup_(machine_freep) Machine *machine = synced();
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                outcome_free(machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "enroll-keys", BRICK, "yes",
                                                 "timestamp", bad[i], NULL));
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
}

static void assert_equal_files(const char *a, const char *b) {
        g_free(test_run_good("cmp", a, b, NULL));
}

/* What efitools make of the same keys, in FOLDER, for one variable. */
static void make_reference(const char *folder, const char *variable, const char *signer) {
        g_autofree char *certificate_name = g_strdup_printf("%s.pem", variable);
        g_autofree char *certificate = test_pki_path(certificate_name);
        g_autofree char *key_name = g_strdup_printf("%s.key", signer), *signer_name = g_strdup_printf("%s.pem", signer);
        g_autofree char *key = test_pki_path(key_name), *signer_path = test_pki_path(signer_name);
        g_autofree char *esl = g_strdup_printf("%s/reference-%s.esl", folder, variable);
        g_autofree char *auth = g_strdup_printf("%s/reference-%s.auth", folder, variable);

        g_free(test_run_good("cert-to-efi-sig-list", "-g", "11111111-2222-3333-4444-555555555555", certificate, esl,
                             NULL));
        g_free(test_run_good("env", "TZ=UTC", "sign-efi-sig-list", "-t", "2026-01-02 03:04:05", "-k", key, "-c",
                             signer_path, variable, esl, auth, NULL));
}

static void export_and_compare(Machine *machine) {
        static const char *const variables[] = {"PK", "KEK", "db"}, *const signers[] = {"PK", "PK", "KEK"},
                                 *const formats[] = {"esl", "auth"};
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();

        machine->now = 1767323045; /* 2026-01-02 03:04:05 */
        for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
                _cleanup_(outcome_freep) Outcome *outcome = NULL;

                outcome = machine_run_status(machine, 0, "enroll-keys", "export", formats[i], "output", folder, NULL);
                outcome_assert(outcome, "reboot-needed", "no");
                for (size_t n = 0; n < G_N_ELEMENTS(variables); n++) {
                        g_autofree char *file = g_strdup_printf("%s/%s.%s", folder, variables[n], formats[i]);

                        outcome_assert_has(outcome, "files", file);
                }
                machine->now = 1767323045;
        }
        for (size_t n = 0; n < G_N_ELEMENTS(variables); n++) {
                make_reference(folder, variables[n], signers[n]);
                for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
                        g_autofree char *ours = g_strdup_printf("%s/%s.%s", folder, variables[n], formats[i]);
                        g_autofree char *theirs =
                                g_strdup_printf("%s/reference-%s.%s", folder, variables[n], formats[i]);

                        assert_equal_files(ours, theirs);
                }
        }
}

static void test_export(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        export_and_compare(machine);
}

static void test_export_with_variables(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);

        /* Neither a sync, Setup Mode nor a flag is needed; PK is replaced whatever it holds. */
        machine_set_certificate(machine, "PK", "foreign-PK.der");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        export_and_compare(machine);
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, 0);
}

static void test_export_keeps(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *esl = NULL, *output = NULL, *subject = NULL;

        machine_set_certificate(machine, "db", "foreign-db.der");
        outcome_free(machine_run_status(machine, 0, "enroll-keys", "export", "esl", "output", folder, NULL));
        esl = test_path(folder, "db.esl");
        subject = test_path(folder, "out");
        output = test_run_good("sig-list-to-certs", esl, subject, NULL);
        g_assert_true(test_exists(folder, "out-0.der"));
        g_assert_true(test_exists(folder, "out-1.der"));
        g_assert_false(test_exists(folder, "out-2.der"));
}

static void test_export_dry_run(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;
        g_autofree char *folder = test_path(machine->root, "boot"), *file = test_path(folder, "PK.auth");

        outcome = machine_run_status(machine, 0, "enroll-keys", "export", "auth", "output", folder, "dry-run", "yes",
                                     NULL);
        outcome_assert_has(outcome, "files", file);
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
}

static void test_export_parameters(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *alone = NULL, *other = NULL, *format = NULL, *folder = NULL;

        alone = machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "enroll-keys", "export", "esl", NULL);
        outcome_assert_message(alone, "--export and --output go together");
        other = machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "enroll-keys", "output", "/tmp", NULL);
        outcome_assert_message(other, "--export and --output go together");
        format = machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "enroll-keys", "export", "pem", "output",
                                     "/tmp", NULL);
        outcome_assert_message(format, "'pem' is no format");
        folder = machine_run_refused(machine, CONDITION_FAILED, "enroll-keys", "export", "esl", "output",
                                     "/nowhere/at/all", NULL);
        outcome_assert_message(folder, "/nowhere/at/all");
}

static void test_list_variable(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *empty = NULL, *bad = NULL;

        empty = machine_run_status(machine, 0, "list-enrolled-keys", NULL);
        outcome_assert(empty, "keys", "0");
        bad = machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "list-enrolled-keys", "variable", "dbt", NULL);
        outcome_assert_message(bad, "'dbt'");
}

#define TEST(name, function) g_test_add_func("/ops/enroll-keys/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("enrolls-and-the-next-start-enforces", test_enrolls);
        TEST("second-run-has-nothing-to-do-and-risks-nothing", test_twice);
        TEST("keeps-foreign-entries", test_keeps_foreign);
        TEST("dry-run-writes-neither-variable-nor-timestamp", test_dry_run);
        TEST("refuses-outside-setup-mode", test_not_in_setup_mode);
        TEST("refuses-the-risk-of-option-roms", test_option_roms);
        TEST("refuses-where-there-are-no-variables", test_no_variables);
        TEST("refuses-firmware-without-secure-boot", test_no_secure_boot);
        TEST("refuses-read-only-variables", test_read_only);
        TEST("refuses-a-full-store", test_full);
        TEST("refuses-without-keys", test_no_keys);
        TEST("refuses-before-the-first-sync", test_no_sync_yet);
        TEST("refuses-without-boot-loader", test_no_loader);
        TEST("refuses-boot-loaders-of-others", test_foreign_loaders);
        TEST("refuses-while-an-image-is-damaged", test_damaged_image);
        TEST("an-unsigned-image-with-a-signed-one-beside-it-is-a-warning", test_unsigned_before);
        TEST("refuses-an-active-boot-entry-of-others", test_boot_entry);
        TEST("passes-over-a-boot-entry-whose-file-is-gone", test_boot_entry_gone);
        TEST("warns-of-a-boot-entry-on-another-partition", test_boot_entry_elsewhere);
        TEST("finishes-after-any-failed-write", test_failing_writes);
        TEST("says-what-the-firmware-refused", test_refused_writes);
        TEST("timestamps-grow-from-a-named-one", test_timestamps);
        TEST("refuses-impossible-timestamps-and-records-none", test_bad_timestamps);
        TEST("exports-what-efitools-make", test_export);
        TEST("exports-the-same-beside-a-firmware", test_export_with_variables);
        TEST("exports-what-is-kept-too", test_export_keeps);
        TEST("export-dry-run-writes-nothing", test_export_dry_run);
        TEST("refuses-half-an-export", test_export_parameters);
        g_test_add_func("/ops/list-enrolled-keys/lists-nothing-of-nothing-and-names-what-it-knows", test_list_variable);
        return g_test_run();
}
