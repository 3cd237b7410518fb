/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* Makes the key store and those of its key pairs that are missing. Fails with KeysExist where none is. */
extern const Operation create_keys_operation;
