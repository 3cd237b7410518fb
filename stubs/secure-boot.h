/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Whether firmware checks signatures now: its variable SecureBoot (UEFI specification, "Globally Defined Variables").
 * In doubt, yes. */
bool secure_boot_is_on(void);
