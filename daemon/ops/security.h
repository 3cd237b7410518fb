/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the bus interface Security and 'lanzactl security' show. */

#include "daemon/ops/operation.h"

typedef struct SecurityState {
        RecordList attributes; /* of SecurityAttribute */
        char *host_security_id;
} SecurityState;

/* The host security attributes of this machine that can be told by now. Never fails for what it finds; changes nothing.
 */
extern const Operation security_operation;
