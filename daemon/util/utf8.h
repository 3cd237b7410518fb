/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/util/span.h"

/* Checks that TEXT is UTF-8 (RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF) without NUL. Returns
 * -EBADMSG if not. */
int utf8_check(Span text);

/* TEXT with U+FFFD for each byte that belongs to no character: formats that take nothing but UTF-8 are to show names
 * from file systems too. Owned; NULL if memory is short. */
char *utf8_repair(const char *text);
