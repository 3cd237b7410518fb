/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which texts of others we show, compare and embed. */

#include <stdbool.h>

/* Why TEXT cannot be used, for the end of a sentence ("… has a control character"), or NULL if it can: it must be UTF-8
 * (shortest form, no surrogates, nothing above U+10FFFF) without control characters, of C1 neither. A tab counts as one
 * unless TAB_ALLOWED. Static. */
const char *text_problem(const char *text, bool tab_allowed);
