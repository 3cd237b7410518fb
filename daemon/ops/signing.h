/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who signs, and whether something may stay unsigned. */

#include "daemon/ops/context.h"

/* Where the keys must have been lost. */
#define SIGNING_LOST_HINT                                                                                                 \
        "Restore the key store from a backup; or begin anew: erase all Secure Boot keys in the firmware's settings, and " \
        "make new ones with 'lanzactl create-keys'."

/* db's signer, whose key is not tried yet: see builder_opening_check_key(). NULL where unsigned images are allowed:
 * AllowUnsigned=auto, the store never held keys, and either this is a tree or the firmware does not enforce Secure Boot
 * and holds no certificate of ours; then WARNINGS says so, and boot_check_unsigned() is still to be asked. Else NoKeys
 * or BadKeys. The caller frees *ret. */
int signing_signer(const Context *context, Signer **ret, StringList *warnings, Failure *failure);
