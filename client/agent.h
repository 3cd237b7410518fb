/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lets polkit ask for a password on this terminal: pkttyagent(1), for as long as a call lasts. */

#include <sys/types.h>

#include "client/verb.h"

/* Starts an agent and waits until it is ready, unless nobody can or need be asked: for root, without a terminal, with
 * --no-ask-password. An agent of the desktop goes before ours. Returns its process, or 0. */
pid_t agent_start(const Session *session);

/* Ends it; 0: nothing. */
void agent_stop(pid_t agent);
