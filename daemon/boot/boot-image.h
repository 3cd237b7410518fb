/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a boot image is made of: the stub with sections appended (stubs/stub-abi.h), one image for each variant (system
 * or specialisation) of a generation. Nothing here reads or writes a file, and how files are named on the ESP is not
 * decided here. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/boot/bootspec.h"
#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"
#include "daemon/util/string-list.h"

enum { KERNEL_VERSION_MAX = 64 };

/* The version for the name of a kernel file on the ESP, and of the initrds that go with it: what follows the first
 * "-linux-" in the store name of the path KERNEL, or "unknown" if there is none or it has other characters than
 * [A-Za-z0-9._-] or more than KERNEL_VERSION_MAX. Owned. -ENOMEM. */
int kernel_version(const char *kernel, char **ret);

typedef struct BootContent {
        const char *path; /* on the ESP, as stubs/stub-abi.h defines it: "\EFI\nixos\kernel-….efi" */
        Sha256 hash;
} BootContent;

typedef struct BootImageInput {
        const char *profile; /* NULL for "system" */
        uint64_t generation;
        int64_t made;         /* seconds since 1970 */
        const char *toplevel; /* the generation's, not the specialisation's */
        const BootVariant *variant;
        const char *default_sort_key; /* where the bootspec has none */
        BootContent kernel;
        const BootContent *initrds; /* in the order in which Linux gets them */
        size_t initrd_count;
        const Certificate *certificate; /* of the signer; NULL for an unsigned image */
} BootImageInput;

typedef struct BootImageSection {
        const char *name; /* LANZA_SECTION_…, static */
        Buffer content;   /* never empty */
} BootImageSection;

enum { BOOT_IMAGE_SECTIONS_MAX = 6 };

typedef struct BootImage {
        char *title;   /* as the boot loader shows it */
        char *version; /* as the boot loader compares it */
        char *sort_key;
        Sha256 hash;                                        /* for its file name, see below */
        BootImageSection sections[BOOT_IMAGE_SECTIONS_MAX]; /* to be appended to the stub in this order */
        size_t section_count;
} BootImage;

void boot_image_done(BootImage *image);

/* Composes an image. Pure: the same input gives the same bytes, whatever the time zone or locale.
 *
 * The hash is over everything that the image consists of but the stub: a file with it in its name need not be opened to
 * know that it is up to date. boot-image.c says how it is computed.
 *
 * CONDITION_BAD_BOOTSPEC: the command line is longer than LANZA_CMDLINE_MAX_BYTES or has a character that the stub
 * refuses, or names an initrd where there is none. -EINVAL: an ESP path that the stub would refuse, or more than
 * LANZA_INITRDS_MAX initrds, which is the caller's mistake. WARNINGS (may be NULL) gets what Linux will cut off. The
 * caller owns *ret. */
int boot_image_compose(const BootImageInput *input, StringList *warnings, BootImage *ret, Failure *failure);
