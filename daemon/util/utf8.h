/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "daemon/util/span.h"

/* Checks that TEXT is UTF-8 (RFC 3629: shortest forms, no surrogates, nothing above U+10FFFF) without NUL. Returns
 * -EBADMSG if not. */
int utf8_check(Span text);

/* TEXT with U+FFFD for each byte that belongs to no character: formats that take nothing but UTF-8 are to show names
 * from file systems too. Owned; NULL if memory is short. */
char *utf8_repair(const char *text);

/* Prints TEXT with "?" for each control character, those of C1 too: terminals act on them, and names in file systems
 * have any. */
void utf8_print(FILE *stream, const char *text);
