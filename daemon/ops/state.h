/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the bus shows as properties: from a few small files and variables, so that whoever reads them need not wait; and
 * what the service must know to tell of changes. None is a verb of its own, and none takes parameters (NULL). */

#include "daemon/ops/certificate-record.h"
#include "daemon/ops/operation.h"
#include "daemon/ops/watch.h"

typedef struct KeyState {
        bool present;            /* all of them */
        char *owner_guid;        /* "" as long as there is none */
        RecordList certificates; /* of CertificateRecord */
} KeyState;

typedef struct FirmwareState {
        char *mode; /* "unsupported" where there are no variables to look at */
        bool secure_boot, setup_mode;
} FirmwareState;

/* Both, and how to notice that it is no longer so. */
typedef struct SystemState {
        KeyState keys;
        FirmwareState firmware; /* MODE is NULL where the variables cannot be read */
        Watch watch;
} SystemState;

extern const Operation key_state_operation, firmware_state_operation, system_state_operation;
