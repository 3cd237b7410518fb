/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which entry the boot loader starts when nobody touches a key. */

#include "daemon/esp/inventory.h"
#include "daemon/ops/context.h"

/* The name of that image, NULL if it is none of them. systemd-boot from 260 on asks the firmware's variable
 * LoaderEntryPreferred and `preferred` of loader.conf first, and passes over entries whose tries are used up; then, as
 * its older versions, LoaderEntryDefault and `default`, with these entries (systemd-boot(7), loader.conf(5)). Of
 * several that a pattern matches it takes the first in its own order: daemon/esp/entry-order.h. Owned. -ENOMEM. */
int default_entry_find(const Context *context, const Inventory *inventory, char **ret);
