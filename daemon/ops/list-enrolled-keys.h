/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* What PK, KEK, db and dbx hold. */
extern const Operation list_enrolled_keys_operation;
