/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* Runs the programs for initrd secrets of what sync would put on the ESP, and hands their results over: for each one
 * message on a Unix socket of type SOCK_SEQPACKET, whose bytes are the toplevel (no NUL behind it) and whose one
 * descriptor is sealed memory (daemon/util/sealed-memory.h), empty where there are no secrets. Whoever gets them may
 * give them to a service that runs no programs itself (sync's initrd-secrets).
 *
 * Only for root, and only on the running system. SecretsFailed if a program of the default generation fails; the
 * failure of another one is a warning, and then there is no message for it. */
extern const Operation send_secrets_operation;
