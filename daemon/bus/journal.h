/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* One entry about a call that may write: who, what, and how it ended. Fields: LANZA_OPERATION, LANZA_CALLER_UID,
 * LANZA_RESULT ("done", or the last part of the error's name), LANZA_ID (0: it never began). MESSAGE may be NULL. */
void journal_call(const char *operation, uid_t uid, uint64_t id, const char *result, const char *message);
