/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's command line, as boot images and boot loader entries carry it. */

#include "daemon/util/span.h"

/* The toplevel that the first init= of a command line names, without "/init" at its end; NULL in *ret if there is none.
 * Owned. -ENOMEM. */
int command_line_toplevel(Span command_line, char **ret);
