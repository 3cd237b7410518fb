/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an enrollment would write, as files for others: efitools make the same bytes, and read them; so does fwupd. */

#include <glib.h>
#include <string.h>

#include "daemon/firmware/authenticated-update.h"
#include "daemon/firmware/enrollment.h"
#include "daemon/firmware/signature-list.h"
#include "tests/firmware/signers.h"
#include "tests/lib/test-program.h"

#define OWNER_TEXT "01020304-0506-0708-090a-0b0c0d0e0f10"
#define TIME_TEXT "2026-01-01 00:00:01"

static const Guid owner = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);

/* A folder with the .esl and .auth files of the three variables. */
typedef struct Fixture {
        char *folder;
        char *pki;
} Fixture;

static void write_step(Fixture *fixture, const EnrollmentStep *step, Signer *const *signers) {
        const char *name = secure_variable_name(step->variable);
        g_autofree char *esl = g_strconcat(name, ".esl", NULL), *auth = g_strconcat(name, ".auth", NULL);
        _cleanup_(buffer_done) Buffer update = {};

        g_assert_cmpint(enrollment_step_sign(step, signers, &update), ==, 0);
        test_write(fixture->folder, esl, step->lists.data, step->lists.size, 0600);
        test_write(fixture->folder, auth, update.data, update.size, 0600);
}

static void set_up(Fixture *fixture, gconstpointer unused) {
        Signer *signers[SECURE_VARIABLE_COUNT] = {
                [SECURE_VARIABLE_PK] = test_signer("PK"),
                [SECURE_VARIABLE_KEK] = test_signer("KEK"),
                [SECURE_VARIABLE_DB] = test_signer("db"),
        };
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};
        EnrollmentRequest request = {.owner = owner};
        SecureBootState state = {};

        fixture->folder = test_folder_make();
        fixture->pki = test_path(g_getenv("LANZA_BUILD") ?: "build", "pki");
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++) {
                request.certificates[i] = signer_certificate(signers[i]);
                request.timestamps[i] = 1767225601;
        }
        g_assert_cmpint(enrollment_plan(&request, &state, &plan, NULL), ==, 0);
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                write_step(fixture, &plan.steps[i], signers);
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++)
                signer_free(signers[i]);
}

static void tear_down(Fixture *fixture, gconstpointer unused) {
        test_folder_remove(fixture->folder);
        g_free(fixture->pki);
}

static const struct { const char *name, *signer; } variables[] = {{"db", "KEK"}, {"KEK", "PK"}, {"PK", "PK"}};

/* The path of NAME with SUFFIX, in one of the two folders. */
static char *file_in(const char *folder, const char *name, const char *suffix) {
        g_autofree char *base = g_strconcat(name, suffix, NULL);

        return test_path(folder, base);
}

static void assert_same(const char *ours, const char *theirs) {
        g_free(test_run_good("cmp", ours, theirs, NULL));
}

static void test_efitools_make_the_same_lists(Fixture *fixture, gconstpointer unused) {
        for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
                g_autofree char *pem = file_in(fixture->pki, variables[i].name, ".pem"),
                                *ours = file_in(fixture->folder, variables[i].name, ".esl"),
                                *theirs = test_path(fixture->folder, "theirs");

                g_free(test_run_good("cert-to-efi-sig-list", "-g", OWNER_TEXT, pem, theirs, NULL));
                assert_same(ours, theirs);
        }
}

static void test_efitools_make_the_same_updates(Fixture *fixture, gconstpointer unused) {
        for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
                g_autofree char *key = file_in(fixture->pki, variables[i].signer, ".key"),
                                *pem = file_in(fixture->pki, variables[i].signer, ".pem"),
                                *esl = file_in(fixture->folder, variables[i].name, ".esl"),
                                *ours = file_in(fixture->folder, variables[i].name, ".auth"),
                                *theirs = test_path(fixture->folder, "theirs");

                g_free(test_run_good("sign-efi-sig-list", "-t", TIME_TEXT, "-k", key, "-c", pem, variables[i].name, esl,
                                     theirs, NULL));
                assert_same(ours, theirs);
        }
}

static void test_efitools_sign_the_same_bytes(Fixture *fixture, gconstpointer unused) {
        static const Guid *const vendors[] = {&efi_image_security_database_guid, &efi_global_variable_guid,
                                              &efi_global_variable_guid};

        for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
                g_autofree char *esl = file_in(fixture->folder, variables[i].name, ".esl"),
                                *ours = test_path(fixture->folder, "ours"),
                                *theirs = test_path(fixture->folder, "theirs"),
                                *name = g_strconcat(variables[i].name, ".esl", NULL);
                g_autoptr(GBytes) lists = test_read(fixture->folder, name);
                _cleanup_(buffer_done) Buffer covered = {};
                AuthenticatedContent content = {
                        .name = variables[i].name,
                        .vendor = vendors[i],
                        .attributes = VARIABLE_ATTRIBUTES_SECURE_APPEND,
                        .data = test_bytes(lists),
                };

                g_assert_cmpint(efi_time_from_seconds(1767225601, &content.timestamp), ==, 0);
                g_assert_cmpint(authenticated_content_serialize(&content, &covered), ==, 0);
                test_write(fixture->folder, "ours", covered.data, covered.size, 0600);
                g_free(test_run_good("sign-efi-sig-list", "-a", "-o", "-t", TIME_TEXT, variables[i].name, esl, theirs,
                                     NULL));
                assert_same(ours, theirs);
        }
}

static void test_efitools_find_the_certificates(Fixture *fixture, gconstpointer unused) {
        for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
                g_autofree char *esl = file_in(fixture->folder, variables[i].name, ".esl"),
                                *base = test_path(fixture->folder, "found"),
                                *found = test_path(fixture->folder, "found-0.der"),
                                *der = file_in(fixture->pki, variables[i].name, ".der");

                g_free(test_run_good("sig-list-to-certs", esl, base, NULL));
                assert_same(der, found);
        }
}

static void test_fwupd_reads_lists_and_updates(Fixture *fixture, gconstpointer unused) {
        for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
                g_autofree char *esl = file_in(fixture->folder, variables[i].name, ".esl"),
                                *auth = file_in(fixture->folder, variables[i].name, ".auth"),
                                *subject = g_strdup_printf("<subject>CN=Test %s</subject>", variables[i].name),
                                *signer = g_strdup_printf("<issuer>CN=Test %s</issuer>", variables[i].signer);
                g_autofree char *list = test_run_good("fwupdtool", "firmware-parse", esl, "efi-signature-list", NULL);
                g_autofree char *update =
                        test_run_good("fwupdtool", "firmware-parse", auth, "efi-variable-authentication2", NULL);

                g_assert_nonnull(strstr(list, subject));
                g_assert_nonnull(strstr(update, "<signers>"));
                g_assert_nonnull(strstr(update, signer));
                g_assert_nonnull(strstr(update, subject));
        }
}

int main(int argc, char **argv) {
        g_setenv("TZ", "UTC", TRUE);
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add("/firmware/export/" name, Fixture, NULL, set_up, function, tear_down)
        TEST("efitools-make-the-same-lists", test_efitools_make_the_same_lists);
        TEST("efitools-make-the-same-updates", test_efitools_make_the_same_updates);
        TEST("efitools-sign-the-same-bytes", test_efitools_sign_the_same_bytes);
        TEST("efitools-find-the-certificates", test_efitools_find_the_certificates);
        TEST("fwupd-reads-lists-and-updates", test_fwupd_reads_lists_and_updates);
        return g_test_run();
}
