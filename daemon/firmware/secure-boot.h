/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the firmware's Secure Boot is doing, read from its variables (UEFI specification, 32.3). */

#include <stdbool.h>

#include "daemon/firmware/variables.h"

/* The variables that hold keys. */
typedef enum SecureVariable {
        SECURE_VARIABLE_PK,
        SECURE_VARIABLE_KEK,
        SECURE_VARIABLE_DB,
        SECURE_VARIABLE_DBX,
        SECURE_VARIABLE_COUNT,
} SecureVariable;

/* "PK", "KEK", "db", "dbx", and the namespace each is in. */
const char *secure_variable_name(SecureVariable variable);
const Guid *secure_variable_vendor(SecureVariable variable);

typedef enum SecureBootMode {
        SECURE_BOOT_UNSUPPORTED, /* no SetupMode variable: firmware without Secure Boot */
        SECURE_BOOT_SETUP,
        SECURE_BOOT_AUDIT,
        SECURE_BOOT_USER,
        SECURE_BOOT_DEPLOYED,
        SECURE_BOOT_MODE_COUNT,
} SecureBootMode;

/* "unsupported", "setup", "audit", "user", "deployed" */
const char *secure_boot_mode_name(SecureBootMode mode);

typedef struct SecureBootState {
        SecureBootMode mode;
        bool setup_mode;
        bool audit_mode;
        bool deployed_mode;
        bool secure_boot; /* SecureBoot is 1: this start refused what db does not allow; it stands until the next one */
        bool enforcing;   /* SecureBoot is 1 and SetupMode 0: so will the next start */

        /* What each holds: signature databases, checked. EXISTS tells an empty variable from none. */
        struct {
                bool exists;
                Buffer lists;
        } variables[SECURE_VARIABLE_COUNT];
} SecureBootState;

/* Reads all of it. Fails with CONDITION_FAILED, naming the variable, if one can't be read or is malformed. Firmware
 * without Secure Boot is no failure. */
int secure_boot_state_read(Variables *variables, SecureBootState *ret, Failure *failure);
void secure_boot_state_done(SecureBootState *state);
