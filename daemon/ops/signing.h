/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who signs, and whether something may stay unsigned. */

#include "daemon/ops/context.h"

/* db's signer. NULL where unsigned images are allowed: AllowUnsigned=auto, the store never held keys, and either this
 * is a tree or the firmware does not enforce Secure Boot; then WARNINGS says so. Else NoKeys or BadKeys. The caller
 * frees *ret. */
int signing_signer(const Context *context, Signer **ret, StringList *warnings, Failure *failure);
