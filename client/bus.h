/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work that the service does, over the system bus. */

#include "client/verb.h"

/* What bus_call() says where nothing was asked of the service: there is no bus, no service, or one of another version.
 * No exit status. */
enum { BUS_ABSENT = -1 };

/* Calls the method for VERB with OPTIONS and waits as long as it takes. Returns the exit status, and the result or the
 * error as a JSON object, owned by the caller; nothing is printed but progress. BUS_ABSENT: *RET_REASON says why,
 * owned by the caller. */
int bus_call(const Session *session, const char *verb, json_t *options, json_t **ret_result, char **ret_reason);
