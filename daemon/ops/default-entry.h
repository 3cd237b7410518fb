/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which entry the boot loader starts when nobody touches a key. */

#include "daemon/esp/inventory.h"
#include "daemon/ops/context.h"

/* The name of that image, NULL if it is none of them. What the firmware's variable LoaderEntryDefault names comes
 * before `preferred` and `default` of loader.conf (systemd-boot(7), loader.conf(5)). Of several that a pattern matches
 * systemd-boot takes the first in its own order: that is the newest generation whose tries are not used up. Owned.
 * -ENOMEM. */
int default_entry_find(const Context *context, const Inventory *inventory, char **ret);
