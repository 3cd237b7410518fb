/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Enrollment: from Setup Mode to a machine that trusts the own keys. A plan is made from what the variables hold and
 * what is wanted; it is data, and what --dry-run shows. Applying it writes db, KEK, then PK, which ends Setup Mode: an
 * interruption between any two leaves Setup Mode, and the plan that is then made anew finishes the job.
 *
 * db is signed by KEK, KEK and PK by PK: in Setup Mode firmware asks that of PK only. */

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/signer.h"
#include "daemon/firmware/efi-time.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/variables.h"

/* What is wanted. Borrowed. Arrays are indexed by SECURE_VARIABLE_PK, _KEK, _DB. */
typedef struct EnrollmentRequest {
        Guid owner; /* of the own entries */
        Certificate *certificates[SECURE_VARIABLE_COUNT];
        Span extra[SECURE_VARIABLE_COUNT]; /* signature databases to add, e.g. vendor certificates; KEK and db */
        int64_t timestamps[SECURE_VARIABLE_COUNT]; /* seconds since 1970 */
        bool drop_foreign;                         /* don't keep what is in KEK and db already */
} EnrollmentRequest;

/* One variable's part. */
typedef struct EnrollmentStep {
        SecureVariable variable;
        SecureVariable signer; /* whose key signs the write */
        EfiTime timestamp;
        Buffer lists;   /* the content afterwards: what was there, then the own certificate, then the extra ones */
        size_t kept;    /* entries that were there */
        size_t dropped; /* … and go */
        size_t added;   /* the own one and the extra ones, as far as they were not there */
        bool needed;    /* false: the variable holds exactly this already */
} EnrollmentStep;

enum { ENROLLMENT_STEPS = 3 };

typedef struct EnrollmentPlan {
        EnrollmentStep steps[ENROLLMENT_STEPS]; /* in the order of writing: db, KEK, PK */
} EnrollmentPlan;

/* Makes the plan, from STATE alone; in any mode (an export needs no Setup Mode). Fails with CONDITION_BAD_CONFIGURATION
 * for a malformed extra database or an impossible timestamp. */
int enrollment_plan(const EnrollmentRequest *request, const SecureBootState *state, EnrollmentPlan *ret,
                    Failure *failure);
void enrollment_plan_done(EnrollmentPlan *plan);

/* Whether this plan can be applied now. Fails with CONDITION_NOT_SUPPORTED, CONDITION_NOT_IN_SETUP_MODE (Audit Mode is
 * none, although SetupMode is 1 there: writing PK would end in Deployed Mode), CONDITION_VARIABLES_READ_ONLY, or
 * CONDITION_VARIABLE_STORE_FULL, where kernel or firmware tell how much room there is. Writes nothing. */
int enrollment_check(const EnrollmentPlan *plan, const SecureBootState *state, Variables *variables, Failure *failure);

/* The authenticated update that a step writes: what an .auth file holds (step->lists is the .esl file's content).
 * SIGNERS is indexed as above. */
int enrollment_step_sign(const EnrollmentStep *step, Signer *const signers[static SECURE_VARIABLE_COUNT], Buffer *ret);

/* Called before the step INDEX of ENROLLMENT_STEPS, also for one that is not needed. */
typedef void (*EnrollmentProgress)(void *userdata, const EnrollmentStep *step, size_t index);

/* Checks, signs what is needed, then writes it, and reads each variable back. Fails as enrollment_check() and
 * variables_write() do, naming the variable; CONDITION_FAILED where the firmware says that it took a write and the
 * variable holds something else. PROGRESS may be NULL. */
int enrollment_apply(const EnrollmentPlan *plan, Signer *const signers[static SECURE_VARIABLE_COUNT],
                     Variables *variables, EnrollmentProgress progress, void *userdata, Failure *failure);
