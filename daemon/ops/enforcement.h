/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Will the firmware refuse what its lists do not allow, when what is written now is to boot? */

#include "daemon/firmware/secure-boot.h"
#include "daemon/ops/context.h"

/* It does so today, or PK is ours: then it was enrolled a moment ago and the start that enforces it is to come, or
 * somebody has switched Secure Boot off for a while. Firmware that has its vendor's keys and is switched off in its
 * settings, as that of most machines before they come to us, refuses nothing. */
bool enforcement_is_due(const Context *context, const SecureBootState *state);

/* The name of the variable, of PK, KEK and db, that holds a certificate of ours: one that our key store holds or has
 * held, or, if a store was lost, that has the name which we give on this machine. NULL if none does. */
const char *enforcement_ours(const Context *context, const SecureBootState *state);
