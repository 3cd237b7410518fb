/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/stat.h>

#include "daemon/crypto/certificate.h"
#include "daemon/util/span.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

static const char *const roles[] = {"PK", "KEK", "db"};

static unsigned key_bits(const Machine *machine, const char *role) {
        g_autofree char *path = g_strdup_printf("var/lib/lanzad/keys/%s/%s.pem", role, role);
        g_autoptr(GBytes) pem = test_read(machine->root, path);
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        size_t size;
        const void *data = g_bytes_get_data(pem, &size);

        g_assert_cmpint(certificate_from_pem((Span){data, size}, &certificate), ==, 0);
        return certificate_key_bits(certificate);
}

static void test_makes(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "create-keys", NULL);

        outcome_assert(outcome, "created", "PK\nKEK\ndb");
        outcome_assert(outcome, "dry-run", "no");
        outcome_assert(outcome, "certificates", "3");
        outcome_assert(outcome, "warnings", "");
        for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
                g_autofree char *role = g_strdup_printf("certificates.%zu.role", i);
                g_autofree char *subject = g_strdup_printf("certificates.%zu.subject", i);
                g_autofree char *name = g_strdup_printf("CN=machine %s", roles[i]);

                outcome_assert(outcome, role, roles[i]);
                outcome_assert(outcome, subject, name);
                g_assert_cmpuint(key_bits(machine, roles[i]), ==, 2048);
        }
}

static void test_second_time(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *before = machine_snapshot(machine, "var"), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_refused(machine, CONDITION_KEYS_EXIST, "create-keys", NULL);
        _cleanup_(outcome_freep) Outcome *rehearsed =
                machine_run_refused(machine, CONDITION_KEYS_EXIST, "create-keys", "dry-run", "yes", NULL);

        outcome_assert_hint(outcome, "never overwrites");
        after = machine_snapshot(machine, "var");
        g_assert_cmpstr(before, ==, after);
}

static void test_other_users(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        mode_t umask_before = umask(077);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "create-keys", NULL);
        g_autofree char *lib = test_path(machine->root, "var/lib"), *store = test_path(lib, "lanzad");
        struct stat st;

        umask(umask_before);
        g_assert_cmpint(stat(lib, &st), ==, 0);
        g_assert_cmpuint(st.st_mode & 0777, ==, 0755);
        g_assert_cmpint(stat(store, &st), ==, 0);
        g_assert_cmpuint(st.st_mode & 0777, ==, 0700);
}

static void test_missing_role(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *before = machine_read(machine, "var/lib/lanzad/keys/PK/PK.key"), *after = NULL;
        g_autofree char *folder = test_path(machine->root, "var/lib/lanzad/keys/KEK");
        g_autofree char *output = test_run_good("rm", "-r", folder, NULL);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "create-keys", NULL);

        outcome_assert(outcome, "created", "KEK");
        outcome_assert(outcome, "certificates", "3");
        after = machine_read(machine, "var/lib/lanzad/keys/PK/PK.key");
        g_assert_cmpstr(before, ==, after);
}

static void test_dry_run(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome =
                machine_run_status(machine, 0, "create-keys", "dry-run", "yes", NULL);

        outcome_assert(outcome, "created", "PK\nKEK\ndb");
        outcome_assert(outcome, "dry-run", "yes");
        outcome_assert(outcome, "certificates", "0");
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
}

static void test_bits(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "create-keys", "bits", "4096", NULL);

        g_assert_cmpuint(key_bits(machine, "db"), ==, 4096);
        g_assert_cmpuint(key_bits(machine, "KEK"), ==, 2048);
        g_assert_cmpuint(key_bits(machine, "PK"), ==, 2048);
}

static void test_bad_bits(void) {
        static const char *const bad[] = {"1", "1024", "2047", "3072", "8192", "18446744073709551615"};
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                _cleanup_(outcome_freep) Outcome *outcome =
                        machine_run_refused(machine, CONDITION_BAD_CONFIGURATION, "create-keys", "bits", bad[i], NULL);

                outcome_assert_message(outcome, bad[i]);
                outcome_assert_hint(outcome, "Nothing was changed");
        }
        g_assert_false(test_exists(machine->root, "var"));
}

static void test_half_pair(void) {
        static const char *const halves[] = {"key", "pem"};

        for (size_t i = 0; i < G_N_ELEMENTS(halves); i++) {
                _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
                g_autofree char *name = g_strdup_printf("var/lib/lanzad/keys/db/db.%s", halves[i]);
                g_autofree char *path = test_path(machine->root, name);
                g_autofree char *output = test_run_good("rm", path, NULL);
                _cleanup_(outcome_freep) Outcome *outcome =
                        machine_run_refused(machine, CONDITION_BAD_KEYS, "create-keys", NULL);

                outcome_assert_message(outcome, path);
                outcome_assert_hint(outcome, "backup");
                g_assert_false(test_exists(machine->root, name));
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/create-keys/makes-three-pairs-named-after-the-machine", test_makes);
        g_test_add_func("/ops/create-keys/refuses-where-all-keys-exist-and-touches-none", test_second_time);
        g_test_add_func("/ops/create-keys/a-new-var-is-open-to-others-and-the-store-is-not", test_other_users);
        g_test_add_func("/ops/create-keys/makes-only-the-role-that-is-missing", test_missing_role);
        g_test_add_func("/ops/create-keys/dry-run-writes-nothing", test_dry_run);
        g_test_add_func("/ops/create-keys/4096-bits-are-for-db-alone", test_bits);
        g_test_add_func("/ops/create-keys/refuses-other-sizes", test_bad_bits);
        g_test_add_func("/ops/create-keys/refuses-half-a-pair", test_half_pair);
        return g_test_run();
}
