/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the bus shows as properties: from a few small files and variables, so that whoever reads them need not wait.
 * Neither is a verb of its own, and neither takes parameters (NULL). */

#include "daemon/ops/certificate-record.h"
#include "daemon/ops/operation.h"

typedef struct KeyState {
        bool present;            /* all of them */
        char *owner_guid;        /* "" as long as there is none */
        RecordList certificates; /* of CertificateRecord */
} KeyState;

typedef struct FirmwareState {
        char *mode; /* "unsupported" where there are no variables to look at */
        bool secure_boot, setup_mode;
} FirmwareState;

extern const Operation key_state_operation, firmware_state_operation;
