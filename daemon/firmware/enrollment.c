/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/enrollment.h"

#include <errno.h>

#include "daemon/firmware/authenticated-update.h"
#include "daemon/firmware/signature-list.h"

/* The order of writing, and who signs what. PK is last: it ends Setup Mode. */
static const struct {
        SecureVariable variable;
        SecureVariable signer;
} order[ENROLLMENT_STEPS] = {
        {SECURE_VARIABLE_DB, SECURE_VARIABLE_KEK},
        {SECURE_VARIABLE_KEK, SECURE_VARIABLE_PK},
        {SECURE_VARIABLE_PK, SECURE_VARIABLE_PK},
};

/* What a variable takes in the firmware's store beside its data: header, name, alignment; generously. */
enum { STORE_OVERHEAD = 256 };

static void step_done(EnrollmentStep *step) {
        buffer_done(&step->lists);
        *step = (EnrollmentStep){};
}

void enrollment_plan_done(EnrollmentPlan *plan) {
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                step_done(&plan->steps[i]);
}

static const char *step_name(const EnrollmentStep *step) {
        return secure_variable_name(step->variable);
}

/* PK holds one certificate and nothing else; of KEK and db stays what was there, unless told otherwise. */
static bool keeps_what_was_there(const EnrollmentRequest *request, SecureVariable variable) {
        return variable != SECURE_VARIABLE_PK && !request->drop_foreign;
}

static int add_own(const EnrollmentRequest *request, EnrollmentStep *step) {
        int r = signature_database_add(&step->lists, &signature_type_x509, &request->owner,
                                       certificate_der(request->certificates[step->variable]));
        if (r < 0)
                return r;
        step->added += r;
        return 0;
}

static int add_extra(const EnrollmentRequest *request, EnrollmentStep *step, Failure *failure) {
        Span extra = request->extra[step->variable];

        if (extra.size > 0 && step->variable == SECURE_VARIABLE_PK)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "PK holds one certificate and no others");
        ssize_t added = signature_database_merge(&step->lists, extra);
        if (added == -EBADMSG)
                return failure_set(
                        failure, CONDITION_BAD_CONFIGURATION,
                        "What is to be enrolled in %s besides the own certificate is not a sequence of signature lists",
                        step_name(step));
        if (added < 0)
                return added;
        step->added += added;
        return 0;
}

static int plan_lists(const EnrollmentRequest *request, const SecureBootState *state, EnrollmentStep *step,
                      Failure *failure) {
        Span present = buffer_span(&state->variables[step->variable].lists);
        size_t present_count;
        int r;

        r = signature_database_check(present, &present_count);
        if (r < 0)
                return r;
        if (keeps_what_was_there(request, step->variable)) {
                r = buffer_append(&step->lists, present);
                if (r < 0)
                        return r;
                step->kept = present_count;
        }
        r = add_own(request, step);
        if (r < 0)
                return r;
        r = add_extra(request, step, failure);
        if (r < 0)
                return r;
        step->needed = !state->variables[step->variable].exists || !span_equal(present, buffer_span(&step->lists));
        return 0;
}

/* Tells apart what was there and stays from what is new, where the content was made from nothing. */
static int count_dropped(const SecureBootState *state, EnrollmentStep *step) {
        Span present = buffer_span(&state->variables[step->variable].lists);
        SignatureIterator iterator = signature_iterator(present);
        SignatureEntry entry;
        int r;

        if (step->kept > 0)
                return 0;
        while ((r = signature_iterator_next(&iterator, &entry)) > 0) {
                r = signature_database_contains(buffer_span(&step->lists), &entry.type, /* owner= */ NULL, entry.data);
                if (r < 0)
                        return r;
                if (r == 0) {
                        step->dropped++;
                        continue;
                }
                step->kept++;
                if (step->added > 0)
                        step->added--;
        }
        return r;
}

static int plan_step(const EnrollmentRequest *request, const SecureBootState *state, size_t index, EnrollmentStep *step,
                     Failure *failure) {
        int r;

        step->variable = order[index].variable;
        step->signer = order[index].signer;
        r = efi_time_from_seconds(request->timestamps[step->variable], &step->timestamp);
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION,
                                   "The timestamp for %s is outside the years 1900 to 9999", step_name(step));
        r = plan_lists(request, state, step, failure);
        if (r >= 0)
                r = count_dropped(state, step);
        if (r < 0)
                return failure_set_errno(failure, r, "The new content of %s can't be made", step_name(step));
        return 0;
}

int enrollment_plan(const EnrollmentRequest *request, const SecureBootState *state, EnrollmentPlan *ret,
                    Failure *failure) {
        _cleanup_(enrollment_plan_done) EnrollmentPlan plan = {};

        for (size_t i = 0; i < ENROLLMENT_STEPS; i++) {
                int r = plan_step(request, state, i, &plan.steps[i], failure);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_STRUCT(plan);
        return 0;
}

static int check_mode(const SecureBootState *state, Failure *failure) {
        int r;

        switch (state->mode) {
        case SECURE_BOOT_SETUP:
                return 0;
        case SECURE_BOOT_UNSUPPORTED:
                r = failure_set(
                        failure, CONDITION_NOT_SUPPORTED,
                        "Keys can't be enrolled: this firmware has no Secure Boot (there is no SetupMode variable)");
                failure_set_hint(failure, "Look for Secure Boot in the firmware's settings, or for a firmware update.");
                return r;
        case SECURE_BOOT_AUDIT:
                r = failure_set(
                        failure, CONDITION_NOT_IN_SETUP_MODE,
                        "Keys can't be enrolled: the firmware is in Audit Mode, which a new PK would turn into Deployed Mode, not into User Mode");
                failure_set_hint(failure,
                                 "Leave Audit Mode in the firmware's settings, by 'Reset to Setup Mode' or similar.");
                return r;
        default:
                return failure_set(
                        failure, CONDITION_NOT_IN_SETUP_MODE,
                        "Keys can't be enrolled: the firmware is in %s Mode, it has a platform key (PK) already",
                        state->mode == SECURE_BOOT_DEPLOYED ? "Deployed" : "User");
        }
}

static int check_space(const EnrollmentPlan *plan, Variables *variables, Failure *failure) {
        uint64_t available, needed = 0;

        int r = variables_query_space(variables, &available);
        if (r == -EOPNOTSUPP)
                return 0;
        if (r < 0)
                return failure_set_errno(failure, r, "The room left in %s can't be determined",
                                         variables_place(variables));

        /* Firmware keeps the old content until the new one is complete. */
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                if (plan->steps[i].needed)
                        needed += plan->steps[i].lists.size + STORE_OVERHEAD;
        if (needed > available)
                return failure_set(failure, CONDITION_VARIABLE_STORE_FULL,
                                   "Keys can't be enrolled: they need %llu bytes, and %llu are left in %s",
                                   (unsigned long long)needed, (unsigned long long)available,
                                   variables_place(variables));
        return 0;
}

static bool is_needed(const EnrollmentPlan *plan) {
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                if (plan->steps[i].needed)
                        return true;
        return false;
}

int enrollment_check(const EnrollmentPlan *plan, const SecureBootState *state, Variables *variables, Failure *failure) {
        int r;

        if (!is_needed(plan))
                return 0;
        r = check_mode(state, failure);
        if (r < 0)
                return r;
        r = variables_check_writable(variables, failure);
        if (r < 0)
                return r;
        return check_space(plan, variables, failure);
}

int enrollment_step_sign(const EnrollmentStep *step, Signer *const signers[static SECURE_VARIABLE_COUNT], Buffer *ret) {
        AuthenticatedContent content = {
                .name = step_name(step),
                .vendor = secure_variable_vendor(step->variable),
                .attributes = VARIABLE_ATTRIBUTES_SECURE,
                .timestamp = step->timestamp,
                .data = buffer_span(&step->lists),
        };

        return authenticated_update_make(&content, signers[step->signer], ret);
}

/* Whether two databases have the same entries: some firmware stores them in an order or in lists of its own. */
static int holds_same(Span a, Span b) {
        SignatureIterator iterator = signature_iterator(a);
        SignatureEntry entry;
        size_t count_a, count_b;
        int r;

        if (signature_database_check(a, &count_a) < 0 || signature_database_check(b, &count_b) < 0)
                return false;
        if (count_a != count_b)
                return false;
        while ((r = signature_iterator_next(&iterator, &entry)) > 0)
                if (signature_database_contains(b, &entry.type, &entry.owner, entry.data) <= 0)
                        return false;
        return r == 0;
}

static int verify_step(const EnrollmentStep *step, Variables *variables, Failure *failure) {
        _cleanup_(buffer_done) Buffer lists = {};
        bool setup_mode;
        int r;

        r = variables_read(variables, secure_variable_vendor(step->variable), step_name(step),
                           /* ret_attributes= */ NULL, &lists);
        if (r < 0)
                return failure_set_errno(failure, r, "%s was written, but can't be read back", step_name(step));
        if (!holds_same(buffer_span(&lists), buffer_span(&step->lists)))
                return failure_set(failure, CONDITION_FAILED,
                                   "The firmware took the write of %s, but %s does not hold what was written",
                                   step_name(step), step_name(step));
        if (step->variable != SECURE_VARIABLE_PK)
                return 0;

        r = variables_read_flag(variables, &efi_global_variable_guid, "SetupMode", /* default_value= */ true,
                                &setup_mode);
        if (r < 0)
                return failure_set_errno(failure, r, "SetupMode can't be read after PK was written");
        if (setup_mode)
                return failure_set(failure, CONDITION_FAILED,
                                   "The firmware took PK, but says that it is in Setup Mode still");
        return 0;
}

static int apply_step(const EnrollmentStep *step, Span update, Variables *variables, Failure *failure) {
        int r;

        if (!step->needed)
                return 0;
        r = variables_write(variables, secure_variable_vendor(step->variable), step_name(step),
                            VARIABLE_ATTRIBUTES_SECURE, update, failure);
        if (r < 0)
                return r;
        return verify_step(step, variables, failure);
}

static void updates_done(Buffer (*updates)[ENROLLMENT_STEPS]) {
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                buffer_done(&(*updates)[i]);
}

int enrollment_apply(const EnrollmentPlan *plan, Signer *const signers[static SECURE_VARIABLE_COUNT],
                     Variables *variables, EnrollmentProgress progress, void *userdata, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        _cleanup_(updates_done) Buffer updates[ENROLLMENT_STEPS] = {};
        int r;

        r = secure_boot_state_read(variables, &state, failure);
        if (r < 0)
                return r;
        r = enrollment_check(plan, &state, variables, failure);
        if (r < 0)
                return r;
        /* All signatures first: a key that does not work stops this before anything is written. */
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++) {
                if (!plan->steps[i].needed)
                        continue;
                r = enrollment_step_sign(&plan->steps[i], signers, &updates[i]);
                if (r < 0)
                        return failure_set_errno(failure, r, "The update of %s can't be signed by %s",
                                                 step_name(&plan->steps[i]),
                                                 secure_variable_name(plan->steps[i].signer));
        }
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++) {
                if (progress)
                        progress(userdata, &plan->steps[i], i);
                r = apply_step(&plan->steps[i], buffer_span(&updates[i]), variables, failure);
                if (r < 0)
                        return r;
        }
        return 0;
}
