/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a machine with boot counting falls back to: a generation whose start was confirmed good. */

#include "daemon/boot/generation.h"
#include "daemon/esp/inventory.h"
#include "daemon/ops/context.h"

/* Chooses, over the limit too, of each profile the newest generation that has an image without boot counter in
 * INVENTORY: systemd-bless-boot took it away, or it is of a time before boot counting, or lanzaboote wrote it and did
 * not count. An image that can't be read is none. Nothing while boot counting is off: no name tells anything then.
 *
 * The planner keeps that image until what takes its place has no counter either (WantedImage.is_confirmed), so that the
 * next run finds the same generation. */
void confirmed_generations_choose(const Context *context, const Inventory *inventory, GenerationList *list);
