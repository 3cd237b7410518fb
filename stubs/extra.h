/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parts of the boot image for the programs in the initrd: a small archive behind it, with the folder /.extra
 * (systemd-stub(7), "Initrd resources"). They are covered by the image's signature as everything in it. */

#include "stubs/boot-image.h"
#include "stubs/pages.h"

/* Makes the archive. *ret stays empty if the image has none of these parts. */
EFI_STATUS extra_make(const BootImage *image, Pages *ret, Text *why);
