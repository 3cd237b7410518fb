/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A generation's own program that appends its secrets to an initrd (bootspec's initrdSecrets). Called with an empty
 * file it leaves just the secrets: a small second initrd. It is a generation's code and runs with our privileges, so
 * only --oneshot does this, never the service. */

#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"

/* Runs PROGRAM (an absolute path of the running system) and reads what it left; an empty buffer if there are no
 * secrets. SecretsFailed if it cannot be run, fails, takes longer than SECONDS (usually INITRD_SECRETS_SECONDS) or
 * writes more than INITRD_SECRETS_MAX_BYTES; what it left running is ended with it, wherever it went: the caller has no
 * other children, and runs this in one thread at a time. The file lies in a private folder
 * in memory (/run) and is gone afterwards. The caller wipes *ret. */
enum { INITRD_SECRETS_SECONDS = 60, INITRD_SECRETS_MAX_BYTES = 64 * 1024 * 1024 };
int initrd_secrets_run(const char *program, unsigned seconds, Buffer *ret, Failure *failure);
