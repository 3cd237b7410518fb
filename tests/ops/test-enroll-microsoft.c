/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* enroll-keys --microsoft, on a machine that also has a boot loader that Microsoft signed. */

#include <glib.h>
#include <string.h>

#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/vendor-certificates.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

#define BRICK "yes-this-might-brick-my-machine"
#define SHIM_WARNING "every distribution's shim"

static const Guid factory = GUID_INIT(0x21222324, 0x2526, 0x2728, 9, 10, 11, 12, 13, 14, 15, 16);

static Machine *synced(void) {
        Machine *machine = machine_new_typical(/* has_firmware= */ true);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        return machine;
}

/* What VARIABLE holds, as list-enrolled-keys shows it: origin and CN of each. */
static char *enrolled(Machine *machine, const char *variable) {
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "list-enrolled-keys", "variable", variable, NULL);
        g_autofree char *count = outcome_get(outcome, "keys");
        GString *text = g_string_new(NULL);

        for (unsigned i = 0; i < g_ascii_strtoull(count, NULL, 10); i++) {
                g_autofree char *origin_path = g_strdup_printf("keys.%u.origin", i),
                                *subject_path = g_strdup_printf("keys.%u.subject", i),
                                *origin = outcome_get(outcome, origin_path),
                                *subject = outcome_get(outcome, subject_path);
                g_auto(GStrv) parts = g_strsplit(subject, ",", 2);

                g_string_append_printf(text, "%s %s\n", origin, parts[0]);
        }
        return g_string_free(text, /* free_segment= */ FALSE);
}

static void assert_enrolled(Machine *machine, const char *variable, const char *expected) {
        g_autofree char *text = enrolled(machine, variable);

        g_assert_cmpstr(text, ==, expected);
}

#define OWN_KEK "own CN=Test KEK\n"
#define OWN_DB "own CN=Test db\n"
#define KEKS "microsoft CN=Microsoft Corporation KEK CA 2011\nmicrosoft CN=Microsoft Corporation KEK 2K CA 2023\n"
#define WINDOWS "microsoft CN=Microsoft Windows Production PCA 2011\nmicrosoft CN=Windows UEFI CA 2023\n"
#define UEFI_2011 "microsoft CN=Microsoft Corporation UEFI CA 2011\n"
#define UEFI_2023 "microsoft CN=Microsoft UEFI CA 2023\n"
#define OPTION_ROM_2023 "microsoft CN=Microsoft Option ROM UEFI CA 2023\n"

static void test_all(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "enroll-keys", "microsoft", "all", NULL);

        outcome_assert(outcome, "variables.0.entries-added", "6");
        outcome_assert_has(outcome, "variables.0.certificates-added",
                           "CN=Test db\nCN=Microsoft Windows Production PCA 2011");
        outcome_assert(outcome, "variables.1.entries-added", "3");
        outcome_assert(outcome, "variables.2.entries-added", "1");
        outcome_assert(outcome, "variables.2.certificates-added", "CN=Test PK");
        outcome_assert_has(outcome, "warnings", SHIM_WARNING);
        assert_enrolled(machine, "PK", "own CN=Test PK\n");
        assert_enrolled(machine, "KEK", OWN_KEK KEKS);
        assert_enrolled(machine, "db", OWN_DB WINDOWS UEFI_2011 UEFI_2023 OPTION_ROM_2023);
}

static void test_option_rom(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "enroll-keys", "microsoft", "option-rom", NULL);

        /* The certificate of 2011 is that of third-party loaders, too. */
        outcome_assert_has(outcome, "warnings", SHIM_WARNING);
        assert_enrolled(machine, "db", OWN_DB UEFI_2011 OPTION_ROM_2023);
        assert_enrolled(machine, "KEK", OWN_KEK KEKS);
}

static void test_not_for_devices(void) {
        static const char *const classes[] = {"windows", "third-party", "windows,third-party"};
        _cleanup_(machine_freep) Machine *machine = synced();

        for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
                _cleanup_(outcome_freep) Outcome *outcome = machine_run_refused(
                        machine, CONDITION_OPTION_ROM_RISK, "enroll-keys", "microsoft", classes[i], NULL);

                outcome_assert_hint(outcome, "Add '--microsoft', or '--microsoft=option-rom'");
        }
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, 0);
}

static void test_windows_alone(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "enroll-keys", "microsoft", "windows", BRICK, "yes", NULL);

        outcome_assert(outcome, "warnings", "");
        assert_enrolled(machine, "db", OWN_DB WINDOWS);
}

static void test_unknown_class(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "enroll-keys", "microsoft", "linux", NULL);

        outcome_assert_message(outcome, "'linux' is no class");
        outcome_assert_message(outcome, "windows, third-party and option-rom");
        outcome_assert_hint(outcome, "Nothing was changed.");
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, 0);
}

/* What firmware may come with: certificates of Microsoft's as entries of the manufacturer's. */
static void provision(Machine *machine, const char *first, const char *last) {
        _cleanup_(buffer_done) Buffer lists = {};
        bool within = false;

        for (size_t i = 0; vendor_certificate_at(i); i++) {
                const VendorCertificate *certificate = vendor_certificate_at(i);

                within |= strcmp(certificate->subject, first) == 0;
                if (within)
                        g_assert_cmpint(signature_database_add(&lists, &signature_type_x509, &factory,
                                                               vendor_certificate_der(certificate)),
                                        ==, 1);
                within &= strcmp(certificate->subject, last) != 0;
        }
        g_assert_cmpint(variables_memory_set(machine->variables, secure_variable_vendor(SECURE_VARIABLE_DB), "db",
                                             VARIABLE_ATTRIBUTES_SECURE, buffer_span(&lists)),
                        ==, 0);
}

static void test_factory(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        provision(machine, "Microsoft Windows Production PCA 2011", "Microsoft Windows Production PCA 2011");
        assert_enrolled(machine, "db", "microsoft CN=Microsoft Windows Production PCA 2011\n");
        outcome = machine_run_status(machine, 0, "enroll-keys", "microsoft", "all", NULL);
        outcome_assert(outcome, "variables.0.entries-kept", "1");
        outcome_assert(outcome, "variables.0.entries-added", "5");
        assert_enrolled(machine, "db",
                        "microsoft CN=Microsoft Windows Production PCA 2011\n" OWN_DB
                        "microsoft CN=Windows UEFI CA 2023\n" UEFI_2011 UEFI_2023 OPTION_ROM_2023);
}

static void test_factory_covers(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        provision(machine, "Microsoft Corporation UEFI CA 2011", "Microsoft Option ROM UEFI CA 2023");
        outcome = machine_run_status(machine, 0, "enroll-keys", NULL);
        outcome_assert_has(outcome, "warnings", SHIM_WARNING);
        assert_enrolled(machine, "db", UEFI_2011 UEFI_2023 OPTION_ROM_2023 OWN_DB);
}

static void test_foreign_stays(void) {
        _cleanup_(machine_freep) Machine *machine = synced();

        machine_set_certificate(machine, "db", "foreign-db.der");
        outcome_free(machine_run_status(machine, 0, "enroll-keys", "microsoft", "option-rom", NULL));
        assert_enrolled(machine, "db", "foreign CN=Foreign db\n" OWN_DB UEFI_2011 OPTION_ROM_2023);
}

static void test_again(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *again = NULL;
        size_t writes;

        outcome_free(machine_run_status(machine, 0, "enroll-keys", "microsoft", "option-rom", NULL));
        writes = variables_memory_write_count(machine->variables);
        again = machine_run_status(machine, 0, "enroll-keys", "microsoft", "option-rom", NULL);
        outcome_assert(again, "variables.0.written", "no");
        outcome_assert(again, "variables.0.certificates-added", "");
        outcome_free(
                machine_run_refused(machine, CONDITION_NOT_IN_SETUP_MODE, "enroll-keys", "microsoft", "all", NULL));
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, writes);
}

static void test_dry_run(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "enroll-keys", "microsoft", "all", "dry-run", "yes", NULL);

        outcome_assert(outcome, "variables.0.entries-added", "6");
        outcome_assert_has(outcome, "warnings", SHIM_WARNING);
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, 0);
}

static Machine *with_shim(void) {
        Machine *machine = synced();
        g_autofree char *folder = test_path(g_getenv("LANZA_BUILD") ?: "build", "shim");
        g_autoptr(GBytes) shim = test_read(folder, "shimx64.efi");

        test_write_bytes(machine->root, "boot/EFI/debian/shimx64.efi", shim, 0600);
        machine_set_boot_entry(machine, "debian", MACHINE_ESP_UUID, "\\EFI\\debian\\shimx64.efi", /* active= */ true);
        return machine;
}

static void test_others_loader(void) {
        static const char *const classes[] = {NULL, "windows"};
        _cleanup_(machine_freep) Machine *machine = with_shim();

        for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
                _cleanup_(outcome_freep) Outcome *outcome =
                        machine_run_refused(machine, CONDITION_WOULD_NOT_BOOT, "enroll-keys", BRICK, "yes",
                                            classes[i] ? "microsoft" : NULL, classes[i], NULL);

                outcome_assert_message(outcome, "EFI/debian/shimx64.efi");
                outcome_assert_message(outcome, "it needs Microsoft's certificates of the class third-party");
                outcome_assert_hint(outcome, "needs '--microsoft' with its class");
        }
        outcome_free(machine_run_status(machine, 0, "enroll-keys", BRICK, "yes", "microsoft", "third-party", NULL));
}

static void test_others_loader_ordinary(void) {
        _cleanup_(machine_freep) Machine *machine = with_shim();

        outcome_free(machine_run_status(machine, 0, "enroll-keys", "microsoft", "all", NULL));
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome_free(machine_run_status(machine, 0, "status", "check", "yes", NULL));
}

/* An unsigned loader is helped by no class. */
static void test_unsigned_loader(void) {
        _cleanup_(machine_freep) Machine *machine = synced();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autoptr(GBytes) application = machine_application("unsigned");

        test_write_bytes(machine->root, "boot/EFI/Other/boot.efi", application, 0600);
        machine_set_boot_entry(machine, "Other", MACHINE_ESP_UUID, "\\EFI\\Other\\boot.efi", /* active= */ true);
        outcome = machine_run_refused(machine, CONDITION_WOULD_NOT_BOOT, "enroll-keys", "microsoft", "windows", BRICK,
                                      "yes", NULL);
        g_assert_null(strstr(outcome->failure.message, "class"));
}

static unsigned exported_in(const char *folder, const char *variable) {
        g_autofree char *esl = g_strdup_printf("%s/%s.esl", folder, variable),
                        *base = g_strdup_printf("%s/%s", folder, variable);
        unsigned count = 0;

        g_free(test_run_good("sig-list-to-certs", esl, base, NULL));
        for (bool found = true; found; count += found) {
                g_autofree char *name = g_strdup_printf("%s-%u.der", variable, count);

                found = test_exists(folder, name);
        }
        return count;
}

static void test_export(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *source = test_path(g_getenv("LANZA_SOURCE") ?: ".", "daemon/firmware/vendor/windows-2023.der"),
                        *exported = test_path(folder, "db-2.der");
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(
                machine, 0, "enroll-keys", "microsoft", "windows", "export", "esl", "output", folder, NULL);

        outcome_assert(outcome, "warnings", "");
        g_assert_cmpuint(exported_in(folder, "PK"), ==, 1);
        g_assert_cmpuint(exported_in(folder, "KEK"), ==, 3);
        g_assert_cmpuint(exported_in(folder, "db"), ==, 3);
        g_free(test_run_good("cmp", source, exported, NULL));
        outcome_free(outcome);
        outcome = machine_run_status(machine, 0, "enroll-keys", "microsoft", "all", "export", "auth", "output", folder,
                                     NULL);
        outcome_assert_has(outcome, "warnings", SHIM_WARNING);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/ops/enroll-microsoft/" name, function)
        TEST("all-needs-no-dangerous-option", test_all);
        TEST("option-rom-needs-none-either", test_option_rom);
        TEST("other-classes-do-not-cover-devices", test_not_for_devices);
        TEST("windows-alone-admits-no-shim", test_windows_alone);
        TEST("an-unknown-class-is-refused", test_unknown_class);
        TEST("what-the-factory-enrolled-is-not-enrolled-twice", test_factory);
        TEST("what-the-factory-enrolled-counts", test_factory_covers);
        TEST("foreign-entries-stay", test_foreign_stays);
        TEST("again-writes-nothing", test_again);
        TEST("a-dry-run-writes-nothing", test_dry_run);
        TEST("another-systems-loader-names-its-class", test_others_loader);
        TEST("another-systems-loader-stays-bootable", test_others_loader_ordinary);
        TEST("an-unsigned-loader-names-none", test_unsigned_loader);
        TEST("exports-hold-them", test_export);
        return g_test_run();
}
