/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who calls, and how often. All callers share one queue, the connection's: what one of them sends has to be read and
 * dealt with before another's call is. So whoever is not root has a budget of the loop's time; what is above it is
 * turned away at once, which costs next to nothing. */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

typedef struct Callers Callers;

/* Called when the connection NAME has left the bus, whoever it was. */
typedef void (*CallerLeft)(void *userdata, const char *name);

/* Watches CONNECTION, which must outlive it: from now on what is above a caller's budget reaches no method and no
 * property. */
int callers_new(sd_bus *connection, CallerLeft left, void *userdata, Callers **ret);
Callers *callers_free(Callers *callers); /* returns NULL */

/* The user whose connection sent MESSAGE. Asks the bus, once for each connection. */
int callers_uid(Callers *callers, sd_bus_message *message, uid_t *ret);
