/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The files that a boot image names, brought into memory and held against their hashes: what is hashed is the very
 * memory that is used afterwards. */

#include "stubs/boot-image.h"
#include "stubs/pages.h"
#include "stubs/volume.h"

/* The kernel's file, *ret_file, at the beginning of *ret, which most likely has the size and the alignment that this
 * kernel wants to be placed in. Without a hash it is only read: firmware judges it then. */
EFI_STATUS content_read_kernel(const Volume *volume, const FileReference *kernel, Pages *ret, Bytes *ret_file,
                               Text *why);

/* All initrds in one region, as Linux reads several: each begins at a multiple of 4 bytes, with zeros before it.
 * Without any, *ret stays empty. */
EFI_STATUS content_read_initrds(const Volume *volume, const BootImage *image, Pages *ret, Text *why);
