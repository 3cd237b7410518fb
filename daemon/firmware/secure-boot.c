/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/secure-boot.h"

#include <errno.h>

#include "daemon/firmware/signature-list.h"

static const struct {
        const char *name;
        const Guid *vendor;
} secure_variables[SECURE_VARIABLE_COUNT] = {
        [SECURE_VARIABLE_PK] = {"PK", &efi_global_variable_guid},
        [SECURE_VARIABLE_KEK] = {"KEK", &efi_global_variable_guid},
        [SECURE_VARIABLE_DB] = {"db", &efi_image_security_database_guid},
        [SECURE_VARIABLE_DBX] = {"dbx", &efi_image_security_database_guid},
};

static const char *const mode_names[SECURE_BOOT_MODE_COUNT] = {
        [SECURE_BOOT_UNSUPPORTED] = "unsupported",
        [SECURE_BOOT_SETUP] = "setup",
        [SECURE_BOOT_AUDIT] = "audit",
        [SECURE_BOOT_USER] = "user",
        [SECURE_BOOT_DEPLOYED] = "deployed",
};

const char *secure_variable_name(SecureVariable variable) {
        return secure_variables[variable].name;
}

const Guid *secure_variable_vendor(SecureVariable variable) {
        return secure_variables[variable].vendor;
}

const char *secure_boot_mode_name(SecureBootMode mode) {
        return mode_names[mode];
}

void secure_boot_state_done(SecureBootState *state) {
        for (size_t i = 0; i < SECURE_VARIABLE_COUNT; i++)
                buffer_done(&state->variables[i].lists);
        *state = (SecureBootState){};
}

static int read_flag(Variables *variables, const char *name, bool *ret, Failure *failure) {
        int r = variables_read_flag(variables, &efi_global_variable_guid, name, /* default_value= */ false, ret);
        if (r < 0)
                return failure_set_errno(failure, r, "%s can't be read from %s", name, variables_place(variables));
        return 0;
}

static int read_lists(Variables *variables, SecureVariable variable, bool *ret_exists, Buffer *ret, Failure *failure) {
        const char *name = secure_variable_name(variable);
        _cleanup_(buffer_done) Buffer lists = {};
        int r;

        r = variables_read(variables, secure_variable_vendor(variable), name, /* ret_attributes= */ NULL, &lists);
        if (r == -ENOENT) {
                *ret_exists = false;
                return 0;
        }
        if (r < 0)
                return failure_set_errno(failure, r, "%s can't be read from %s", name, variables_place(variables));
        r = signature_database_check(buffer_span(&lists), /* ret_count= */ NULL);
        if (r < 0)
                return failure_set(failure, CONDITION_FAILED, "%s in %s is not a sequence of signature lists", name,
                                   variables_place(variables));
        *ret_exists = true;
        *ret = TAKE_STRUCT(lists);
        return 0;
}

static SecureBootMode mode_of(const SecureBootState *state, bool supported) {
        if (!supported)
                return SECURE_BOOT_UNSUPPORTED;
        if (state->audit_mode)
                return SECURE_BOOT_AUDIT;
        if (state->setup_mode)
                return SECURE_BOOT_SETUP;
        return state->deployed_mode ? SECURE_BOOT_DEPLOYED : SECURE_BOOT_USER;
}

static int read_modes(Variables *variables, SecureBootState *state, Failure *failure) {
        static const char *const names[] = {"SetupMode", "AuditMode", "DeployedMode", "SecureBoot"};
        bool *const flags[] = {&state->setup_mode, &state->audit_mode, &state->deployed_mode, &state->secure_boot};
        _cleanup_(buffer_done) Buffer setup_mode = {};
        int r;

        for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
                r = read_flag(variables, names[i], flags[i], failure);
                if (r < 0)
                        return r;
        }
        r = variables_read(variables, &efi_global_variable_guid, "SetupMode", /* ret_attributes= */ NULL, &setup_mode);
        if (r < 0 && r != -ENOENT)
                return failure_set_errno(failure, r, "SetupMode can't be read from %s", variables_place(variables));
        state->mode = mode_of(state, /* supported= */ r >= 0);
        state->enforcing = state->secure_boot && !state->setup_mode;
        return 0;
}

int secure_boot_state_read(Variables *variables, SecureBootState *ret, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        int r;

        r = read_modes(variables, &state, failure);
        if (r < 0)
                return r;
        for (SecureVariable i = 0; i < SECURE_VARIABLE_COUNT; i++) {
                r = read_lists(variables, i, &state.variables[i].exists, &state.variables[i].lists, failure);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_STRUCT(state);
        return 0;
}
