/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text that is longer than the screen, through a pager. */

#include "client/results.h"

/* Whether PRINTER's text may go through one at all: standard output is a terminal that knows more than lines, and
 * nobody said no. */
bool pager_is_wanted(json_t *common);

/* Runs PRINTER; what it printed goes to the pager if the session has one and the screen is too small. */
void pager_print(const Session *session, ResultPrinter *printer, json_t *result);
