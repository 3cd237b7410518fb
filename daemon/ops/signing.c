/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/signing.h"

#include "daemon/firmware/secure-boot.h"

static int enforcing(const Context *context, bool *ret, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        int r;

        *ret = false;
        if (!context->variables)
                return 0;
        r = secure_boot_state_read(context->variables, &state, failure);
        if (r < 0)
                return r;
        /* A machine that was enrolled and not started again will enforce when what we write now is to boot. */
        *ret = state.mode == SECURE_BOOT_USER || state.mode == SECURE_BOOT_DEPLOYED;
        return 0;
}

int signing_signer(const Context *context, Signer **ret, StringList *warnings, Failure *failure) {
        _cleanup_(failure_done) Failure missing = {};
        bool enforced;
        int r;

        r = key_store_signer(context->keys, KEY_ROLE_DB, ret, &missing);
        if (r >= 0)
                return 0;
        if (missing.condition != CONDITION_NO_KEYS || context->settings->allow_unsigned != SETTINGS_AUTO ||
            key_store_ever_held_keys(context->keys))
                return failure_pass(failure, &missing, r);
        r = enforcing(context, &enforced, failure);
        if (r < 0)
                return r;
        if (enforced)
                return failure_set(failure, CONDITION_NO_KEYS,
                                   "There are no keys to sign with, and the firmware runs only what is signed");
        *ret = NULL;
        return string_list_add(warnings, "There are no keys yet: what is written is not signed");
}
