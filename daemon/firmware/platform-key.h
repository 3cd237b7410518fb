/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Platform keys that vendors shipped by mistake: reference firmware comes with a key for tests, whose private half many
 * people have. Whoever has it may change KEK, db and dbx. Such certificates say of themselves, in subject or issuer,
 * DO NOT TRUST or DO NOT SHIP. */

#include "daemon/util/span.h"

/* Returns 1 if PK (a signature database) holds a certificate for tests, and 0 if it holds none; what is no certificate
 * counts for nothing. -EBADMSG if PK is malformed, or an entry that should be a certificate is none. RET_NAME (on 1):
 * the name that says so, for people; owned. */
int platform_key_is_for_tests(Span pk, char **ret_name);
