/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work that the service does, over the system bus. */

#include "client/handover.h"
#include "client/verb.h"

/* Reaches the service, and starts it if need be. Returns the connection, owned by the caller. NULL if there is no bus,
 * no service, or one of another version: *RET_REASON says which, owned by the caller. */
sd_bus *bus_open(char **ret_reason);

/* Calls the method for VERB with OPTIONS and HANDOVER and waits as long as it takes. Returns the exit status, and the
 * result or the error as a JSON object, owned by the caller; nothing is printed but progress. */
int bus_call(sd_bus *bus, const Session *session, const char *verb, json_t *options, const Handover *handover,
             json_t **ret_result);

/* The same for a verb that takes sealed memory and gives such memory. *RET_MEMORY is a descriptor, the caller's; where
 * the exit status is not 0, *RET_ERROR is the error, owned by the caller, instead. */
int bus_call_memory(sd_bus *bus, const Session *session, const char *verb, int memory, int *ret_memory,
                    json_t **ret_error);

/* Whether VERB changes anything. */
bool bus_verb_writes(const char *verb);

/* Tells a service that runs, of whatever version, to look at everything anew: somebody else changed it. */
void bus_tell_reload(void);
