/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Initrd secrets that stand on the ESP since an earlier run, for when there are no new ones.
 *
 * What is on the ESP is anybody's who had the disk in their hands, and a new image that refers to a file there is
 * signed by us: only the word of an image that is itself signed by the key that signs now counts. It names the file by
 * its SHA-256, so the file's content need not be looked at: the stub will. */

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/esp/esp-volume.h"
#include "daemon/esp/inventory.h"

typedef struct KeptSecrets {
        const EspVolume *volume; /* where they stand */
        char *name;              /* in EFI/nixos; owned */
        Sha256 hash;
        uint64_t size;
} KeptSecrets;

typedef struct KeptSecretsPlace {
        const EspVolume *volume;
        const Inventory *inventory; /* of it */
} KeptSecretsPlace;

typedef struct KeptSecretsSearch {
        const KeptSecretsPlace *places;
        size_t place_count;
        Certificate *certificate; /* of the signer; NULL: images are not signed, and unsigned ones count */
} KeptSecretsSearch;

/* The secrets of the newest image, on whichever volume, that starts TOPLEVEL with these files of EFI/nixos as KERNEL
 * and INITRD, and with just one initrd more. -ENOENT if there is none. */
int kept_secrets_find(const KeptSecretsSearch *search, const char *toplevel, const char *kernel, const char *initrd,
                      KeptSecrets *ret);
