/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* Where this machine stands: Secure Boot, own keys and what is enrolled, what it booted, its ESP, its generations, and
 * what is wrong with the command that mends it. Never fails for what it finds; changes nothing. With --check it returns
 * OPERATION_WOULD_NOT_BOOT where the machine would not boot as it stands, or that can't be told (no ESP). */
extern const Operation status_operation;
