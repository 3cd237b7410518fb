/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the firmware starts by itself: the entries that its variable BootOrder names (UEFI specification, 3.1.1). */

#include "daemon/firmware/boot-entry.h"
#include "daemon/ops/context.h"
#include "daemon/util/failure.h"

typedef struct BootOrder {
        BootEntry *items; /* in that order, those that are not active too */
        size_t count;
} BootOrder;

/* None where there are no variables. Entries that cannot be read or understood are left out. */
int boot_order_read(const Context *context, BootOrder *ret, Failure *failure);
void boot_order_done(BootOrder *order);

/* Whether ENTRY starts something on the partition of that UUID, in text; "" is none's. */
bool boot_entry_is_on(const BootEntry *entry, const char *partition_uuid);
