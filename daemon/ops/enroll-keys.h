/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* Writes db, KEK, then PK from Setup Mode, so that the firmware runs only what the own keys (and what was there before)
 * allow; or, with an export, writes the same data to files for a firmware's menu and touches no variable. Refuses
 * before the first write what would leave a machine that does not boot. */
extern const Operation enroll_keys_operation;
