/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One operation, by whoever can do it. The service is asked first. Where there is no bus, no service, or one of another
 * version, root's lanzactl runs the lanzad that was installed with it; everybody else is told so. */

#include "client/verb.h"

/* Returns the exit status of VERB with OPTIONS and its result, owned by the caller. Where it failed, what to say was
 * said, JSON included; *RET_RESULT is then NULL. */
int operation_call(const Session *session, const char *verb, json_t *options, json_t **ret_result);
