/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The call of a kernel's entry point, and the two ways back from it.
 *
 * Linux on x86 does not return when it gives up: it calls Exit() with the handle that it was called with. That one is
 * ours, so firmware would go straight back to who started us, with us unloaded and all that we hold left behind:
 * memory, our own image's changed description, and the offer of an initrd, whose code is then gone. So Exit() is ours
 * while the kernel runs. Elsewhere Linux returns. */

#include "stubs/efi.h"

/* Calls ENTRY for our own IMAGE. Comes back with the kernel's status, if it comes back. */
EFI_STATUS kernel_call(EFI_IMAGE_ENTRY_POINT entry, EFI_HANDLE image);
