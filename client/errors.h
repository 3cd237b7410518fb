/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names of D-Bus errors, and what they mean for an exit status. */

#include <jansson.h>

/* The exit status of a failure with that name. */
int error_exit_status(const char *name);

/* {"error": {"name": …, "message": …, "hint": …}}. The first line of TEXT is the message, the second, if any, the
 * hint. A new reference. */
json_t *error_object(const char *name, const char *text);
