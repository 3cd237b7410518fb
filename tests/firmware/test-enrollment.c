/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/enrollment.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/firmware/authenticated-update.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/variables-memory.h"
#include "tests/firmware/signers.h"

#define EPOCH INT64_C(1767225600)

static const Guid owner = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);
static const Guid foreign_owner = GUID_INIT(0x21222324, 0x2526, 0x2728, 9, 10, 11, 12, 13, 14, 15, 16);

/* A machine in Setup Mode, the own keys, and somebody else's. */
typedef struct Fixture {
        Variables *variables;
        Signer *signers[SECURE_VARIABLE_COUNT];
        Certificate *foreign_kek, *foreign_db;
        EnrollmentRequest request;
        GString *progress;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer unused) {
        g_assert_cmpint(variables_new_memory(&fixture->variables), ==, 0);
        fixture->signers[SECURE_VARIABLE_PK] = test_signer("PK");
        fixture->signers[SECURE_VARIABLE_KEK] = test_signer("KEK");
        fixture->signers[SECURE_VARIABLE_DB] = test_signer("db");
        fixture->foreign_kek = test_certificate("foreign-KEK");
        fixture->foreign_db = test_certificate("foreign-db");
        fixture->request = (EnrollmentRequest){.owner = owner};
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++) {
                fixture->request.certificates[i] = signer_certificate(fixture->signers[i]);
                fixture->request.timestamps[i] = EPOCH + i;
        }
        fixture->progress = g_string_new(NULL);
}

static void tear_down(Fixture *fixture, gconstpointer unused) {
        variables_free(fixture->variables);
        for (size_t i = 0; i < SECURE_VARIABLE_COUNT; i++)
                signer_free(fixture->signers[i]);
        certificate_unref(fixture->foreign_kek);
        certificate_unref(fixture->foreign_db);
        g_string_free(fixture->progress, TRUE);
}

static void list_of(Certificate *certificate, const Guid *of, Buffer *ret) {
        g_assert_cmpint(signature_database_add(ret, &signature_type_x509, of, certificate_der(certificate)), ==, 1);
}

static void own_list(Fixture *fixture, SecureVariable variable, Buffer *ret) {
        list_of(fixture->request.certificates[variable], &owner, ret);
}

/* What the factory left in a variable. */
static void provision(Fixture *fixture, SecureVariable variable, Certificate *certificate) {
        _cleanup_(buffer_done) Buffer list = {};

        list_of(certificate, &foreign_owner, &list);
        g_assert_cmpint(variables_memory_set(fixture->variables, secure_variable_vendor(variable),
                                             secure_variable_name(variable), VARIABLE_ATTRIBUTES_SECURE,
                                             buffer_span(&list)),
                        ==, 0);
}

static void set_flag(Fixture *fixture, const char *name, uint8_t value) {
        g_assert_cmpint(variables_memory_set(fixture->variables, &efi_global_variable_guid, name, 0x06,
                                             (Span){&value, sizeof(value)}),
                        ==, 0);
}

static void assert_holds(Fixture *fixture, SecureVariable variable, const Buffer *expected) {
        _cleanup_(buffer_done) Buffer content = {};
        uint32_t attributes;

        int r = variables_read(fixture->variables, secure_variable_vendor(variable), secure_variable_name(variable),
                               &attributes, &content);
        if (!expected) {
                g_assert_cmpint(r, ==, -ENOENT);
                return;
        }
        g_assert_cmpint(r, ==, 0);
        g_assert_cmpuint(attributes, ==, VARIABLE_ATTRIBUTES_SECURE);
        g_assert_cmpmem(content.data, content.size, expected->data, expected->size);
}

static void assert_holds_own(Fixture *fixture, SecureVariable variable) {
        _cleanup_(buffer_done) Buffer expected = {};

        own_list(fixture, variable, &expected);
        assert_holds(fixture, variable, &expected);
}

static int make_plan(Fixture *fixture, EnrollmentPlan *ret, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};

        g_assert_cmpint(secure_boot_state_read(fixture->variables, &state, NULL), ==, 0);
        return enrollment_plan(&fixture->request, &state, ret, failure);
}

static int check(Fixture *fixture, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        g_assert_cmpint(secure_boot_state_read(fixture->variables, &state, NULL), ==, 0);
        g_assert_cmpint(enrollment_plan(&fixture->request, &state, &plan, NULL), ==, 0);
        return enrollment_check(&plan, &state, fixture->variables, failure);
}

static void note_progress(void *userdata, const EnrollmentStep *step, size_t index) {
        g_string_append_printf(userdata, "%zu %s%s\n", index, secure_variable_name(step->variable),
                               step->needed ? "" : " not needed");
}

static int enroll(Fixture *fixture, Failure *failure) {
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        g_string_truncate(fixture->progress, 0);
        return enrollment_apply(&plan, fixture->signers, fixture->variables, note_progress, fixture->progress, failure);
}

static void test_a_plan_writes_db_then_kek_then_pk(Fixture *fixture, gconstpointer unused) {
        static const SecureVariable order[] = {SECURE_VARIABLE_DB, SECURE_VARIABLE_KEK, SECURE_VARIABLE_PK};
        static const SecureVariable signers[] = {SECURE_VARIABLE_KEK, SECURE_VARIABLE_PK, SECURE_VARIABLE_PK};
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++) {
                _cleanup_(buffer_done) Buffer expected = {};
                int64_t seconds;

                own_list(fixture, order[i], &expected);
                g_assert_cmpint(plan.steps[i].variable, ==, order[i]);
                g_assert_cmpint(plan.steps[i].signer, ==, signers[i]);
                g_assert_true(plan.steps[i].needed);
                g_assert_cmpuint(plan.steps[i].added, ==, 1);
                g_assert_cmpuint(plan.steps[i].kept, ==, 0);
                g_assert_cmpmem(plan.steps[i].lists.data, plan.steps[i].lists.size, expected.data, expected.size);
                g_assert_cmpint(efi_time_to_seconds(&plan.steps[i].timestamp, &seconds), ==, 0);
                g_assert_cmpint(seconds, ==, EPOCH + order[i]);
        }
        g_assert_cmpuint(variables_memory_write_count(fixture->variables), ==, 0);
}

static void test_enrolls_and_ends_setup_mode(Fixture *fixture, gconstpointer unused) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {}, next = {};

        g_assert_cmpint(enroll(fixture, NULL), ==, 0);
        g_assert_cmpstr(fixture->progress->str, ==, "0 db\n1 KEK\n2 PK\n");
        assert_holds_own(fixture, SECURE_VARIABLE_DB);
        assert_holds_own(fixture, SECURE_VARIABLE_KEK);
        assert_holds_own(fixture, SECURE_VARIABLE_PK);
        g_assert_cmpint(secure_boot_state_read(fixture->variables, &state, NULL), ==, 0);
        g_assert_cmpint(state.mode, ==, SECURE_BOOT_USER);
        g_assert_false(state.enforcing);
        g_assert_cmpint(variables_memory_reboot(fixture->variables), ==, 0);
        g_assert_cmpint(secure_boot_state_read(fixture->variables, &next, NULL), ==, 0);
        g_assert_true(next.enforcing);
}

static void test_keeps_foreign_entries_in_front(Fixture *fixture, gconstpointer unused) {
        _cleanup_(buffer_done) Buffer db = {}, kek = {};
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        provision(fixture, SECURE_VARIABLE_DB, fixture->foreign_db);
        provision(fixture, SECURE_VARIABLE_KEK, fixture->foreign_kek);
        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        g_assert_cmpuint(plan.steps[0].kept, ==, 1);
        g_assert_cmpuint(plan.steps[0].added, ==, 1);
        g_assert_cmpint(enroll(fixture, NULL), ==, 0);

        list_of(fixture->foreign_db, &foreign_owner, &db);
        own_list(fixture, SECURE_VARIABLE_DB, &db);
        list_of(fixture->foreign_kek, &foreign_owner, &kek);
        own_list(fixture, SECURE_VARIABLE_KEK, &kek);
        assert_holds(fixture, SECURE_VARIABLE_DB, &db);
        assert_holds(fixture, SECURE_VARIABLE_KEK, &kek);
        assert_holds_own(fixture, SECURE_VARIABLE_PK);
}

static void test_drops_foreign_entries_when_told(Fixture *fixture, gconstpointer unused) {
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        provision(fixture, SECURE_VARIABLE_DB, fixture->foreign_db);
        fixture->request.drop_foreign = true;
        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        g_assert_cmpuint(plan.steps[0].kept, ==, 0);
        g_assert_cmpuint(plan.steps[0].dropped, ==, 1);
        g_assert_cmpuint(plan.steps[0].added, ==, 1);
        g_assert_cmpint(enroll(fixture, NULL), ==, 0);
        assert_holds_own(fixture, SECURE_VARIABLE_DB);
}

static void test_adds_extra_lists_once(Fixture *fixture, gconstpointer unused) {
        _cleanup_(buffer_done) Buffer extra = {}, expected = {};
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        list_of(fixture->foreign_db, &foreign_owner, &extra);
        list_of(fixture->foreign_kek, &foreign_owner, &extra);
        provision(fixture, SECURE_VARIABLE_DB, fixture->foreign_db);
        fixture->request.extra[SECURE_VARIABLE_DB] = buffer_span(&extra);
        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        g_assert_cmpuint(plan.steps[0].kept, ==, 1);
        g_assert_cmpuint(plan.steps[0].added, ==, 2);
        g_assert_cmpint(enroll(fixture, NULL), ==, 0);

        list_of(fixture->foreign_db, &foreign_owner, &expected);
        own_list(fixture, SECURE_VARIABLE_DB, &expected);
        list_of(fixture->foreign_kek, &foreign_owner, &expected);
        assert_holds(fixture, SECURE_VARIABLE_DB, &expected);
}

static void test_refuses_bad_requests(Fixture *fixture, gconstpointer unused) {
        _cleanup_(failure_done) Failure malformed = {}, on_pk = {}, time = {};
        EnrollmentPlan plan = {};

        fixture->request.extra[SECURE_VARIABLE_DB] = span_from_string("no list");
        g_assert_cmpint(make_plan(fixture, &plan, &malformed), <, 0);
        g_assert_cmpint(malformed.condition, ==, CONDITION_BAD_CONFIGURATION);
        g_assert_nonnull(strstr(malformed.message, "db"));
        fixture->request.extra[SECURE_VARIABLE_DB] = (Span){};

        fixture->request.extra[SECURE_VARIABLE_PK] = span_from_string("no list");
        g_assert_cmpint(make_plan(fixture, &plan, &on_pk), <, 0);
        g_assert_cmpint(on_pk.condition, ==, CONDITION_BAD_CONFIGURATION);
        fixture->request.extra[SECURE_VARIABLE_PK] = (Span){};

        fixture->request.timestamps[SECURE_VARIABLE_KEK] = INT64_MAX;
        g_assert_cmpint(make_plan(fixture, &plan, &time), <, 0);
        g_assert_cmpint(time.condition, ==, CONDITION_BAD_CONFIGURATION);
        g_assert_nonnull(strstr(time.message, "KEK"));
}

static void test_an_interrupted_enrollment_is_finished(Fixture *fixture, gconstpointer unused) {
        static const char *const rest[] = {
                "0 db\n1 KEK\n2 PK\n",
                "0 db not needed\n1 KEK\n2 PK\n",
                "0 db not needed\n1 KEK not needed\n2 PK\n",
        };

        for (unsigned failing = 1; failing <= ENROLLMENT_STEPS; failing++) {
                _cleanup_(failure_done) Failure failure = {};
                _cleanup_(secure_boot_state_done) SecureBootState state = {};

                variables_free(fixture->variables);
                g_assert_cmpint(variables_new_memory(&fixture->variables), ==, 0);
                provision(fixture, SECURE_VARIABLE_KEK, fixture->foreign_kek);
                g_assert_cmpint(variables_memory_fail_write(fixture->variables, failing, -EIO), ==, 0);
                g_assert_cmpint(enroll(fixture, &failure), ==, -EIO);

                /* Setup Mode still, and what was written is complete. */
                g_assert_cmpint(secure_boot_state_read(fixture->variables, &state, NULL), ==, 0);
                g_assert_cmpint(state.mode, ==, SECURE_BOOT_SETUP);
                g_assert_cmpint(state.variables[SECURE_VARIABLE_DB].exists, ==, failing > 1);
                g_assert_false(state.variables[SECURE_VARIABLE_PK].exists);

                g_assert_cmpint(variables_memory_reboot(fixture->variables), ==, 0);
                g_assert_cmpint(enroll(fixture, NULL), ==, 0);
                g_assert_cmpstr(fixture->progress->str, ==, rest[failing - 1]);
                g_assert_cmpuint(variables_memory_write_count(fixture->variables), ==, ENROLLMENT_STEPS + 1);
                assert_holds_own(fixture, SECURE_VARIABLE_DB);
                assert_holds_own(fixture, SECURE_VARIABLE_PK);
        }
}

static void test_a_second_enrollment_signs_and_writes_nothing(Fixture *fixture, gconstpointer unused) {
        uint64_t signatures = 0, again = 0;

        g_assert_cmpint(enroll(fixture, NULL), ==, 0);
        size_t writes = variables_memory_write_count(fixture->variables);
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++)
                signatures += signer_signature_count(fixture->signers[i]);
        g_assert_cmpint(enroll(fixture, NULL), ==, 0);
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++)
                again += signer_signature_count(fixture->signers[i]);
        g_assert_cmpuint(variables_memory_write_count(fixture->variables), ==, writes);
        g_assert_cmpuint(again, ==, signatures);
        g_assert_cmpuint(signatures, ==, 3);
}

static void assert_refused(Fixture *fixture, Condition condition, const char *part) {
        _cleanup_(failure_done) Failure checked = {}, applied = {};

        g_assert_cmpint(check(fixture, &checked), ==, condition_errno(condition));
        g_assert_cmpint(checked.condition, ==, condition);
        g_assert_nonnull(strstr(checked.message, part));
        g_assert_nonnull(failure_hint(&checked));
        g_assert_cmpint(enroll(fixture, &applied), ==, condition_errno(condition));
        g_assert_cmpint(applied.condition, ==, condition);
        g_assert_cmpuint(variables_memory_write_count(fixture->variables), ==, 0);
}

static void test_refuses_outside_of_setup_mode(Fixture *fixture, gconstpointer unused) {
        provision(fixture, SECURE_VARIABLE_PK, fixture->foreign_kek);
        g_assert_cmpint(variables_memory_reboot(fixture->variables), ==, 0);
        assert_refused(fixture, CONDITION_NOT_IN_SETUP_MODE, "User Mode");
        set_flag(fixture, "DeployedMode", 1);
        assert_refused(fixture, CONDITION_NOT_IN_SETUP_MODE, "Deployed Mode");
}

static void test_refuses_in_audit_mode(Fixture *fixture, gconstpointer unused) {
        set_flag(fixture, "AuditMode", 1);
        assert_refused(fixture, CONDITION_NOT_IN_SETUP_MODE, "Audit Mode");
}

static void test_refuses_without_secure_boot(Fixture *fixture, gconstpointer unused) {
        g_assert_cmpint(
                variables_memory_set(fixture->variables, &efi_global_variable_guid, "SetupMode", 0x06, (Span){}), ==,
                0);
        assert_refused(fixture, CONDITION_NOT_SUPPORTED, "no Secure Boot");
}

static void test_refuses_read_only_variables(Fixture *fixture, gconstpointer unused) {
        g_assert_cmpint(variables_memory_set_read_only(fixture->variables, true), ==, 0);
        assert_refused(fixture, CONDITION_VARIABLES_READ_ONLY, "read-only");
}

static void test_refuses_where_there_is_no_room(Fixture *fixture, gconstpointer unused) {
        g_assert_cmpint(variables_memory_set_capacity(fixture->variables, 3000), ==, 0);
        assert_refused(fixture, CONDITION_VARIABLE_STORE_FULL, "bytes");
        /* Written or not at all: with room for db and KEK alone nothing is written either. */
        assert_holds(fixture, SECURE_VARIABLE_DB, NULL);
}

static void test_a_wrong_signer_is_told_as_the_firmware_tells_it(Fixture *fixture, gconstpointer unused) {
        _cleanup_(failure_done) Failure failure = {};

        signer_free(fixture->signers[SECURE_VARIABLE_PK]);
        fixture->signers[SECURE_VARIABLE_PK] = test_signer("foreign-PK");
        Certificate *own = test_certificate("PK");
        fixture->request.certificates[SECURE_VARIABLE_PK] = own;
        g_assert_cmpint(enroll(fixture, &failure), ==, condition_errno(CONDITION_FIRMWARE_REFUSED));
        g_assert_cmpint(failure.condition, ==, CONDITION_FIRMWARE_REFUSED);
        g_assert_nonnull(strstr(failure.message, "PK"));
        certificate_unref(own);
}

/* A firmware that takes writes and does something else. */

static Variables *behind;
static bool loses_writes, stays_in_setup_mode;

static int lying_read(void *backend, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret) {
        if (stays_in_setup_mode && strcmp(name, "SetupMode") == 0) {
                *ret_attributes = 0x06;
                return buffer_append_u8(ret, 1);
        }
        return variables_read(behind, vendor, name, ret_attributes, ret);
}

static int lying_write(void *backend, const Guid *vendor, const char *name, uint32_t attributes, Span data) {
        return loses_writes ? 0 : variables_write(behind, vendor, name, attributes, data, NULL);
}

static int lying_query_space(void *backend, uint64_t *ret_available) {
        return -EOPNOTSUPP;
}

static int lying_check_writable(void *backend) {
        return 0;
}

static const VariablesOps lying_ops = {
        .read = lying_read,
        .write = lying_write,
        .query_space = lying_query_space,
        .check_writable = lying_check_writable,
        .place = "a lying firmware",
};

static void enroll_with_liar(Fixture *fixture, bool loses, bool stays, const char *message) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};
        _cleanup_(variables_freep) Variables *liar = NULL;

        behind = fixture->variables;
        loses_writes = loses;
        stays_in_setup_mode = stays;
        g_assert_cmpint(variables_new(&lying_ops, NULL, &liar), ==, 0);
        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        g_assert_cmpint(enrollment_apply(&plan, fixture->signers, liar, NULL, NULL, &failure), <, 0);
        g_assert_cmpint(failure.condition, ==, CONDITION_FAILED);
        g_assert_nonnull(strstr(failure.message, message));
}

static void test_a_write_that_is_lost_is_noticed(Fixture *fixture, gconstpointer unused) {
        enroll_with_liar(fixture, true, false, "db was written, but can't be read back");
        provision(fixture, SECURE_VARIABLE_DB, fixture->foreign_db);
        enroll_with_liar(fixture, true, false, "db does not hold what was written");
}

static void test_a_setup_mode_that_does_not_end_is_noticed(Fixture *fixture, gconstpointer unused) {
        enroll_with_liar(fixture, false, true, "in Setup Mode still");
}

static void test_exports_what_would_be_written(Fixture *fixture, gconstpointer unused) {
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        provision(fixture, SECURE_VARIABLE_PK, fixture->foreign_kek);
        g_assert_cmpint(variables_memory_reboot(fixture->variables), ==, 0);
        g_assert_cmpint(make_plan(fixture, &plan, NULL), ==, 0);
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++) {
                const EnrollmentStep *step = &plan.steps[i];
                _cleanup_(buffer_done) Buffer bytes = {};
                AuthenticatedUpdate update;

                g_assert_cmpint(enrollment_step_sign(step, fixture->signers, &bytes), ==, 0);
                g_assert_cmpint(authenticated_update_parse(buffer_span(&bytes), &update), ==, 0);
                g_assert_true(span_equal(update.data, buffer_span(&step->lists)));
                g_assert_cmpint(authenticated_update_verify(&update, secure_variable_name(step->variable),
                                                            secure_variable_vendor(step->variable), 0x27,
                                                            fixture->request.certificates[step->signer]),
                                ==, 0);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add("/firmware/enrollment/" name, Fixture, NULL, set_up, function, tear_down)
        TEST("a-plan-writes-db-then-kek-then-pk", test_a_plan_writes_db_then_kek_then_pk);
        TEST("enrolls-and-ends-setup-mode", test_enrolls_and_ends_setup_mode);
        TEST("keeps-foreign-entries-in-front", test_keeps_foreign_entries_in_front);
        TEST("drops-foreign-entries-when-told", test_drops_foreign_entries_when_told);
        TEST("adds-extra-lists-once", test_adds_extra_lists_once);
        TEST("refuses-bad-requests", test_refuses_bad_requests);
        TEST("an-interrupted-enrollment-is-finished", test_an_interrupted_enrollment_is_finished);
        TEST("a-second-enrollment-signs-and-writes-nothing", test_a_second_enrollment_signs_and_writes_nothing);
        TEST("refuses-outside-of-setup-mode", test_refuses_outside_of_setup_mode);
        TEST("refuses-in-audit-mode", test_refuses_in_audit_mode);
        TEST("refuses-without-secure-boot", test_refuses_without_secure_boot);
        TEST("refuses-read-only-variables", test_refuses_read_only_variables);
        TEST("refuses-where-there-is-no-room", test_refuses_where_there_is_no_room);
        TEST("a-wrong-signer-is-told-as-the-firmware-tells-it", test_a_wrong_signer_is_told_as_the_firmware_tells_it);
        TEST("a-write-that-is-lost-is-noticed", test_a_write_that_is_lost_is_noticed);
        TEST("a-setup-mode-that-does-not-end-is-noticed", test_a_setup_mode_that_does_not_end_is_noticed);
        TEST("exports-what-would-be-written", test_exports_what_would_be_written);
        return g_test_run();
}
