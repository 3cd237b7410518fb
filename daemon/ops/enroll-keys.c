/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/enroll-keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/firmware/enrollment.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/vendor-certificates.h"
#include "daemon/ops/boot-check.h"
#include "daemon/ops/context.h"
#include "daemon/ops/parameters.h"
#include "daemon/util/file.h"

typedef struct EnrollParameters {
        WriteParameters write;
        char *microsoft;
        bool risk_accepted;
        char *export;
        char *output;
        uint64_t timestamp;
} EnrollParameters;

static const Field parameter_fields[] = {
        WRITE_PARAMETER_FIELDS(EnrollParameters),
        {.name = "microsoft",
         .type = FIELD_STRING,
         .offset = offsetof(EnrollParameters, microsoft),
         .help = "also Microsoft's certificates: windows, third-party, option-rom; without a class, all",
         .argument = "CLASS,...",
         .implied = "all"},
        {.name = "yes-this-might-brick-my-machine",
         .type = FIELD_BOOLEAN,
         .offset = offsetof(EnrollParameters, risk_accepted),
         .help = "no device of this machine needs firmware that its vendor signed"},
        {.name = "export",
         .type = FIELD_STRING,
         .offset = offsetof(EnrollParameters, export),
         .help = "write files (esl or auth) for a firmware's menu; touch no variable",
         .argument = "FORMAT"},
        {.name = "output",
         .type = FIELD_STRING,
         .offset = offsetof(EnrollParameters, output),
         .help = "the folder for these files",
         .argument = "DIR"},
        {.name = "timestamp",
         .type = FIELD_UNSIGNED,
         .offset = offsetof(EnrollParameters, timestamp),
         .help = "sign for at least this time (seconds since 1970)",
         .argument = "TIME"},
};

typedef struct EnrolledVariable {
        char *variable;
        char *signed_by; /* the role whose key signs the write */
        bool written;    /* or, in a dry run, would be: false where the variable holds exactly this already */
        uint64_t entries_kept, entries_added;
        StringList certificates_added; /* subjects */
} EnrolledVariable;

static const Field variable_fields[] = {
        FIELD(EnrolledVariable, variable, FIELD_STRING, "variable"),
        FIELD(EnrolledVariable, signed_by, FIELD_STRING, "signed-by"),
        FIELD(EnrolledVariable, written, FIELD_BOOLEAN, "written"),
        FIELD(EnrolledVariable, entries_kept, FIELD_UNSIGNED, "entries-kept"),
        FIELD(EnrolledVariable, entries_added, FIELD_UNSIGNED, "entries-added"),
        FIELD(EnrolledVariable, certificates_added, FIELD_STRINGS, "certificates-added"),
};

static const Record variable_record = RECORD(EnrolledVariable, variable_fields);

typedef struct EnrollResult {
        bool dry_run;
        RecordList variables;
        StringList files; /* of an export */
        bool reboot_needed;
        StringList warnings;
} EnrollResult;

static const Field result_fields[] = {
        FIELD(EnrollResult, dry_run, FIELD_BOOLEAN, "dry-run"),
        FIELD_LIST(EnrollResult, variables, variable_record, "variables"),
        FIELD(EnrollResult, files, FIELD_STRINGS, "files"),
        FIELD(EnrollResult, reboot_needed, FIELD_BOOLEAN, "reboot-needed"),
        FIELD(EnrollResult, warnings, FIELD_STRINGS, "warnings"),
};

static const Record parameters_record = RECORD(EnrollParameters, parameter_fields);
static const Record result_record = RECORD(EnrollResult, result_fields);

/* A variable's key is that of the role with its name. */
static const KeyRole role_of[SECURE_VARIABLE_COUNT] = {
        [SECURE_VARIABLE_PK] = KEY_ROLE_PK,
        [SECURE_VARIABLE_KEK] = KEY_ROLE_KEK,
        [SECURE_VARIABLE_DB] = KEY_ROLE_DB,
};
static const SecureVariable enrolled[] = {SECURE_VARIABLE_PK, SECURE_VARIABLE_KEK, SECURE_VARIABLE_DB};

typedef struct Enrollment {
        Context *context;
        VendorClasses classes;
        Signer *signers[SECURE_VARIABLE_COUNT];
        SecureBootState state;
        EnrollmentPlan plan;
} Enrollment;

static void enrollment_done(Enrollment *enrollment) {
        for (size_t i = 0; i < ARRAY_LENGTH(enrollment->signers); i++)
                if (enrollment->signers[i])
                        signer_free(enrollment->signers[i]);
        secure_boot_state_done(&enrollment->state);
        enrollment_plan_done(&enrollment->plan);
}

static int check_parameters(const EnrollParameters *asked, VendorClasses *ret_classes, Failure *failure) {
        if (asked->export && strcmp(asked->export, "esl") != 0 && strcmp(asked->export, "auth") != 0)
                return parameter_refused(failure, "'%s' is no format for --export: esl and auth are", asked->export);
        if (!asked->export != !asked->output)
                return parameter_refused(failure, "--export and --output go together: one names the format, the other "
                                                  "the folder");
        if (asked->timestamp > INT64_MAX)
                return parameter_refused(failure, "--timestamp is out of range");
        if (!asked->microsoft)
                return 0;
        int r = vendor_classes_parse(asked->microsoft, ret_classes, failure);
        if (r < 0)
                failure_set_hint(failure, "Nothing was changed.");
        return r;
}

static int read_state(Enrollment *enrollment, const EnrollParameters *asked, Failure *failure) {
        if (enrollment->context->variables)
                return secure_boot_state_read(enrollment->context->variables, &enrollment->state, failure);
        if (asked->export)
                return 0;
        return context_no_variables(enrollment->context, "to enroll keys in", failure);
}

static int read_signers(Enrollment *enrollment, Failure *failure) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(enrolled); i++)
                r = key_store_signer(enrollment->context->keys, role_of[enrolled[i]], &enrollment->signers[enrolled[i]],
                                     failure);
        return r;
}

static int plan(Enrollment *enrollment, int64_t timestamp, Failure *failure) {
        _cleanup_(buffer_done) Buffer kek = {}, db = {};
        EnrollmentRequest request = {};
        int r;

        r = vendor_certificates_add(enrollment->classes, SECURE_VARIABLE_KEK, &kek);
        if (r >= 0)
                r = vendor_certificates_add(enrollment->classes, SECURE_VARIABLE_DB, &db);
        if (r < 0)
                return r;
        request.extra[SECURE_VARIABLE_KEK] = buffer_span(&kek);
        request.extra[SECURE_VARIABLE_DB] = buffer_span(&db);

        r = key_store_owner(enrollment->context->keys, &request.owner, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_LENGTH(enrolled); i++) {
                request.certificates[enrolled[i]] = signer_certificate(enrollment->signers[enrolled[i]]);
                request.timestamps[enrolled[i]] = timestamp;
        }
        enrollment_plan_done(&enrollment->plan);
        return enrollment_plan(&request, &enrollment->state, &enrollment->plan, failure);
}

static int64_t wanted_timestamp(const Enrollment *enrollment, const EnrollParameters *asked) {
        int64_t now = enrollment->context->now;

        return (int64_t)asked->timestamp > now ? (int64_t)asked->timestamp : now;
}

/* Plans anew with the time that is going to be signed, which the store records before it is used: done once nothing
 * refuses any more, since every later signature must be newer. */
static int fix_timestamp(Enrollment *enrollment, const EnrollParameters *asked, Failure *failure) {
        int64_t timestamp;
        int r;

        r = key_store_next_timestamp(enrollment->context->keys, wanted_timestamp(enrollment, asked), &timestamp,
                                     failure);
        return r < 0 ? r : plan(enrollment, timestamp, failure);
}

static Span planned_db(const Enrollment *enrollment) {
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                if (enrollment->plan.steps[i].variable == SECURE_VARIABLE_DB)
                        return buffer_span(&enrollment->plan.steps[i].lists);
        return (Span){};
}

static int check_risk(const Enrollment *enrollment, const EnrollParameters *asked, Failure *failure) {
        int r = vendor_certificates_cover_option_roms(planned_db(enrollment));

        if (r != 0 || asked->risk_accepted)
                return r;
        return failure_set(failure, CONDITION_OPTION_ROM_RISK,
                           "db would not hold all of Microsoft's certificates for devices, and it is not known whether "
                           "one of this machine (such as a graphics card) needs firmware that they allow: without it "
                           "the machine might show nothing or not start at all");
}

static int warn_of_others_loaders(const Enrollment *enrollment, EnrollResult *result) {
        int r = vendor_certificates_allow_third_party(planned_db(enrollment));

        if (r <= 0)
                return r;
        return string_list_add(&result->warnings,
                               "db holds Microsoft's certificates for third parties: any boot loader that Microsoft "
                               "signed will start, every distribution's shim among them");
}

/* The subjects of certificates that a step brings. */
static int list_added(const Enrollment *enrollment, const EnrollmentStep *step, StringList *ret) {
        Span present = buffer_span(&enrollment->state.variables[step->variable].lists);
        SignatureIterator iterator = signature_iterator(buffer_span(&step->lists));
        SignatureEntry entry;
        int r;

        while ((r = signature_iterator_next(&iterator, &entry)) > 0) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                r = signature_database_contains(present, &entry.type, /* owner= */ NULL, entry.data);
                if (r < 0)
                        break;
                if (r > 0)
                        continue;
                r = certificate_from_der(entry.data, &certificate);
                if (r >= 0)
                        r = string_list_add(ret, certificate_subject(certificate));
                if (r == -ENOMEM)
                        break;
        }
        return r;
}

static int report(const Enrollment *enrollment, EnrollResult *result) {
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++) {
                const EnrollmentStep *step = &enrollment->plan.steps[i];
                EnrolledVariable *variable = record_list_add(&result->variables, &variable_record);
                int r;

                if (!variable)
                        return -ENOMEM;
                r = list_added(enrollment, step, &variable->certificates_added);
                if (r < 0)
                        return r;
                variable->variable = strdup(secure_variable_name(step->variable));
                variable->signed_by = strdup(secure_variable_name(step->signer));
                variable->written = step->needed;
                variable->entries_kept = step->kept;
                variable->entries_added = step->added;
                if (!variable->variable || !variable->signed_by)
                        return -ENOMEM;
        }
        return 0;
}

static bool exports_signatures(const EnrollParameters *asked) {
        return asked->export && strcmp(asked->export, "auth") == 0;
}

static int export_step(const Enrollment *enrollment, const EnrollmentStep *step, const EnrollParameters *asked,
                       int folder, EnrollResult *result, Failure *failure) {
        _cleanup_(free_pointer) char *name = NULL, *path = NULL;
        _cleanup_(buffer_done) Buffer update = {};
        Span content = buffer_span(&step->lists);
        int r;

        if (asprintf(&name, "%s.%s", secure_variable_name(step->variable), asked->export) < 0)
                return -ENOMEM;
        path = path_join(asked->output, name);
        if (!path)
                return -ENOMEM;
        if (exports_signatures(asked)) {
                r = enrollment_step_sign(step, enrollment->signers, &update);
                if (r < 0)
                        return failure_set_errno(failure, r, "Cannot sign the update of %s",
                                                 secure_variable_name(step->variable));
                content = buffer_span(&update);
        }
        if (!asked->write.dry_run) {
                r = file_replace(folder, name, content, 0644);
                if (r < 0)
                        return failure_set_errno(failure, r, "Cannot write %s", path);
        }
        return string_list_add(&result->files, path);
}

static int export(Enrollment *enrollment, const EnrollParameters *asked, EnrollResult *result, Failure *failure) {
        _cleanup_(close_fd) int folder = file_open(AT_FDCWD, asked->output, O_RDONLY | O_DIRECTORY, 0);
        int r;

        if (folder < 0)
                return failure_set_errno(failure, folder, "Cannot open the folder %s", asked->output);
        r = warn_of_others_loaders(enrollment, result);
        if (r >= 0 && exports_signatures(asked) && !asked->write.dry_run)
                r = fix_timestamp(enrollment, asked, failure);
        for (size_t i = 0; r >= 0 && i < ENROLLMENT_STEPS; i++)
                r = export_step(enrollment, &enrollment->plan.steps[i], asked, folder, result, failure);
        return r;
}

static void report_progress(void *userdata, const EnrollmentStep *step, size_t index) {
        context_progress(userdata, secure_variable_name(step->variable), index, ENROLLMENT_STEPS);
}

static bool needs_writing(const EnrollmentPlan *enrollment_plan) {
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                if (enrollment_plan->steps[i].needed)
                        return true;
        return false;
}

/* Everything that refuses comes before the first write. */
static int enroll(Enrollment *enrollment, const EnrollParameters *asked, EnrollResult *result, Failure *failure) {
        Context *context = enrollment->context;
        int r;

        if (!needs_writing(&enrollment->plan)) {
                result->reboot_needed = !enrollment->state.enforcing;
                return 0;
        }
        r = enrollment_check(&enrollment->plan, &enrollment->state, context->variables, failure);
        if (r < 0)
                return r;
        r = check_risk(enrollment, asked, failure);
        if (r < 0)
                return r;
        r = warn_of_others_loaders(enrollment, result);
        if (r < 0)
                return r;
        r = boot_check_enrollment(context, planned_db(enrollment),
                                  buffer_span(&enrollment->state.variables[SECURE_VARIABLE_DBX].lists),
                                  &result->warnings, failure);
        if (r < 0 || asked->write.dry_run)
                return r;
        r = fix_timestamp(enrollment, asked, failure);
        if (r < 0)
                return r;
        r = enrollment_apply(&enrollment->plan, enrollment->signers, context->variables, report_progress, context,
                             failure);
        if (r >= 0)
                result->reboot_needed = true;
        return r;
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        _cleanup_(enrollment_done) Enrollment enrollment = {.context = context};
        const EnrollParameters *asked = parameters;
        EnrollResult *made = result;
        int r;

        made->dry_run = asked->write.dry_run;
        r = check_parameters(asked, &enrollment.classes, failure);
        if (r < 0)
                return r;
        if (!made->dry_run && key_store_fd(context->keys) >= 0) {
                r = context_lock_keys(context, &asked->write, failure);
                if (r < 0)
                        return r;
        }
        r = read_state(&enrollment, asked, failure);
        if (r < 0)
                return r;
        r = read_signers(&enrollment, failure);
        if (r < 0)
                return r;
        r = plan(&enrollment, wanted_timestamp(&enrollment, asked), failure);
        if (r < 0)
                return r;
        r = asked->export ? export(&enrollment, asked, made, failure) : enroll(&enrollment, asked, made, failure);
        if (r < 0)
                return r;
        return asked->export ? 0 : report(&enrollment, made);
}

const Operation enroll_keys_operation = {
        .verb = "enroll-keys",
        .help = "write db, KEK and PK to the firmware, which must be in Setup Mode",
        .mutates = true,
        .parameters = &parameters_record,
        .result = &result_record,
        .run = run,
};
