/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An entry for our boot loader in the firmware's boot order (UEFI specification, 3.1: Boot#### and BootOrder). Without
 * one the firmware finds only \EFI\BOOT\BOOTX64.EFI, and that behind all that is in the order: Windows, for example. */

#include <stdbool.h>

#include "daemon/esp/esp-volume.h"
#include "daemon/ops/context.h"
#include "daemon/util/failure.h"

/* Sees to it that the order has an entry for the systemd-boot on VOLUME. Where it has one, that stays as and where it
 * is, also if it is not active: order and switches are the user's. An active one that is not in the order is put there;
 * if there is none, it is made. It stands behind that of BEHIND, another one, or, where that has none or is NULL, in
 * front. In a DRY_RUN nothing is written.
 *
 * Returns 1 if there is (or would be) an active one in the order, else 0. RET_NAME is the variable of what is (or would
 * be) new there, "Boot0001"; NULL if nothing is. Owned. Fails as variables_write() does; the order is as it was then.
 */
int boot_option_keep(const Context *context, const EspVolume *volume, const EspVolume *behind, bool dry_run,
                     char **ret_name, Failure *failure);
