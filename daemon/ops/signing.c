/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/signing.h"

#include "daemon/ops/enforcement.h"

/* Whether the firmware could do with what is not signed, now and at the next start. */
static int check_firmware(const Context *context, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        const char *variable;
        int r;

        if (!context->variables)
                return 0;
        r = secure_boot_state_read(context->variables, &state, failure);
        if (r < 0)
                return r;
        variable = enforcement_ours(context, &state);
        if (variable) {
                r = failure_set(failure, CONDITION_NO_KEYS,
                                "There are no keys to sign with, and the firmware's %s holds a certificate of ours",
                                variable);
                failure_set_hint(failure, SIGNING_LOST_HINT);
                return r;
        }
        if (enforcement_is_due(context, &state))
                return failure_set(failure, CONDITION_NO_KEYS,
                                   "There are no keys to sign with, and the firmware runs only what is signed");
        return 0;
}

int signing_signer(const Context *context, Signer **ret, StringList *warnings, Failure *failure) {
        _cleanup_(failure_done) Failure missing = {};
        int r;

        r = key_store_read_signer(context->keys, KEY_ROLE_DB, ret, &missing);
        if (r >= 0)
                return 0;
        if (missing.condition != CONDITION_NO_KEYS || context->settings->allow_unsigned != SETTINGS_AUTO ||
            key_store_ever_held_keys(context->keys))
                return failure_pass(failure, &missing, r);
        r = check_firmware(context, failure);
        if (r < 0)
                return r;
        *ret = NULL;
        return string_list_add(warnings, "There are no keys yet: what is written is not signed");
}
