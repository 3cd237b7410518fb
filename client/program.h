/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work that a program of our own does: lanzad --oneshot. */

#include "client/verb.h"

/* Runs VERB with OPTIONS, and with those that only a program can take. What it says on standard error goes straight to
 * ours. Returns its exit status and its JSON object, owned by the caller; STATUS_FAILED and NULL, after a message, if
 * there is none. */
int program_call(const Session *session, const char *verb, json_t *options, json_t **ret_result);

/* Reads from SOCKET until its other end is closed. Returns 0 or a negative errno. */
typedef int ProgramReader(void *userdata, int socket);

/* The same for a verb that also sends messages, over the socket that --socket names (SOCK_SEQPACKET): READER gets our
 * end of it while the program runs. */
int program_call_reading(const Session *session, const char *verb, json_t *options, ProgramReader *reader,
                         void *userdata, json_t **ret_result);
