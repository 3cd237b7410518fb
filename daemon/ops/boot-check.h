/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Would the firmware run it? Asked before the first write, of what is about to be written, and of what the machine
 * boots from before the firmware's lists change. */

#include "daemon/esp/esp-volume.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/context.h"
#include "daemon/ops/wanted-system.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

/* While Secure Boot enforces, holds every image and boot loader that PLAN writes against the live db and dbx; of
 * garbage collection, which writes none, nothing. WouldNotBoot, naming the file and why, for the first that would be
 * refused. What is built for this is kept for writing. */
int boot_check_plan(const Context *context, WantedSystem *system, const Plan *plan, Failure *failure);

/* The same of the default's image on VOLUME, if that is there already and stays. */
int boot_check_default(const Context *context, const EspVolume *volume, const Plan *plan, Failure *failure);

/* Before what is not signed is written: NoKeys if an image of ours on VOLUME is signed by a key that the firmware
 * trusts, enforcing or not. That key was in a store of ours, and was lost. */
int boot_check_unsigned(const Context *context, const EspVolume *volume, Failure *failure);

/* Holds what the machine boots from against lists that are about to be enrolled: our images, systemd-boot and the
 * fallback loader on each ESP, and the files that active boot entries name. WouldNotBoot for the first that would be
 * refused, naming the class of Microsoft's certificates that would change this, or if there is no image of ours.
 * WARNINGS tells which images would be refused that have a newer one of the same generation beside them, which of
 * several ESPs cannot be looked at, and which entries could not be judged, since their files are not on any of them. */
int boot_check_enrollment(const Context *context, Span db, Span dbx, StringList *warnings, Failure *failure);

/* Holds the same against what the firmware holds now, if it enforces Secure Boot or will at the next start; else asks
 * only whether all of it is there and sound. One ESP that the firmware boots from is enough. Fails as above. */
int boot_check_present(const Context *context, Failure *failure);
