/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a boot image is made of, and what it and the files it refers to are called. A boot image is the stub with
 * sections appended (stubs/stub-abi.h): one for each variant (system or specialisation) of a generation. Nothing here
 * reads or writes a file. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/boot/bootspec.h"
#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"
#include "daemon/util/string-list.h"

enum {
        CONTENT_VERSION_MAX = 64,           /* characters of VERSION in a content file's name */
        BOOT_IMAGE_SPECIALISATION_MAX = 64, /* characters of NAME in an image's name; the rest is cut off */
        BOOT_IMAGE_PROFILE_MAX = 32,        /* of PROFILE */
        BOOT_IMAGE_NAME_MAX = 210, /* of the whole name: room for a boot counter, ".extra.d" or a temporary name
                                    * within the 255 of FAT */
};

/* A file beside the images, shared by those that refer to it: a kernel or an initrd. */
typedef enum ContentKind { CONTENT_KERNEL, CONTENT_INITRD } ContentKind;

/* Its name: "kernel-VERSION-HASH.efi" or "initrd-VERSION-HASH.efi". VERSION is what follows the first "-linux-" in
 * KERNEL's (the kernel's real path, also for the initrd) store name, "unknown" if there is none or it has other
 * characters than [A-Za-z0-9._-] or more than CONTENT_VERSION_MAX; HASH is the base32 of the content's SHA-256. Owned;
 * NULL if memory is short. */
char *content_name(ContentKind kind, const char *kernel, const Sha256 *hash);

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
        char *file_name; /* nixos-[PROFILE-]generation-N[-specialisation-NAME]-HASH.efi */
        char *title;     /* as the boot loader shows it */
        char *version;   /* as the boot loader compares it */
        char *sort_key;
        BootImageSection sections[BOOT_IMAGE_SECTIONS_MAX]; /* to be appended to the stub in this order */
        size_t section_count;
} BootImage;

void boot_image_done(BootImage *image);

/* Composes an image. Pure: the same input gives the same bytes, whatever the time zone or locale.
 *
 * HASH in the name is the base32 of a SHA-256 over everything that the image consists of but the stub, so that a file
 * of that name need not be opened to know that it is up to date. boot-image.c says how it is computed.
 *
 * CONDITION_BAD_BOOTSPEC: the command line is longer than LANZA_CMDLINE_MAX_BYTES or has a character that the stub
 * refuses. -EINVAL: an ESP path that the stub would refuse, or more than LANZA_INITRDS_MAX initrds, which is the
 * caller's mistake. WARNINGS (may be NULL) gets what Linux will cut off. The caller owns *ret. */
int boot_image_compose(const BootImageInput *input, StringList *warnings, BootImage *ret, Failure *failure);
