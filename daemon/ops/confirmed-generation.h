/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a machine with boot counting falls back to: a generation whose start was confirmed good. */

#include "daemon/boot/generation.h"
#include "daemon/esp/inventory.h"
#include "daemon/ops/context.h"

/* Chooses, over the limit too, of each profile the newest generation that has an image without boot counter in
 * INVENTORY: systemd-bless-boot took it away, or it is of a time before boot counting. Nothing while boot counting is
 * off: no name tells anything then. */
void confirmed_generations_choose(const Context *context, const Inventory *inventory, GenerationList *list);
