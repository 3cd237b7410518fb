/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "stubs/command-line.h"
#include "stubs/efi.h"

/* The command line that whoever started us passed: a boot loader's load options or, from the UEFI Shell, the arguments
 * behind our own name. Returns false, and an empty one, if none was passed or it is not text. */
bool load_options_read(EFI_HANDLE image, const EFI_LOADED_IMAGE *loaded_image, CommandLine *ret);
