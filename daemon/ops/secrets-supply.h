/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the initrd secrets of boot images come from. In this order:
 *
 * 1. handed in by root, who let 'lanzad --oneshot initrd-secrets' run the programs;
 * 2. the generation's own program, run here: by 'lanzad --oneshot' on the running system, never by the service;
 * 3. what an image on the ESP has since an earlier run, with a warning. Not for the default generation where its
 * program was run and failed: that is fatal.
 */

#include <stdbool.h>

#include "daemon/boot/bootspec.h"
#include "daemon/ops/context.h"
#include "daemon/ops/kept-secrets.h"
#include "daemon/ops/record.h"
#include "daemon/util/failure.h"
#include "daemon/util/sealed-memory.h"
#include "daemon/util/string-list.h"

typedef struct SecretsSupply {
        const Context *context;
        const MemoryList *handed_in; /* by the variant's toplevel */
        bool only_kept;              /* nothing new: the images are not going to be written */
        KeptSecretsSearch kept;
} SecretsSupply;

typedef struct Secrets {
        SealedMemory *memory; /* new ones; never empty */
        KeptSecrets kept;     /* or such, if there is a name; neither: there are no secrets */
        bool not_handed_in;   /* kept only because nobody handed in new ones: there is no warning yet */
} Secrets;

typedef struct SecretsRequest {
        const BootVariant *variant;
        const char *title;           /* for messages */
        const char *kernel, *initrd; /* names in EFI/nixos */
        bool is_default;             /* of the generation that is to be the default */
} SecretsRequest;

/* SecretsFailed if there are none to be had. */
int secrets_obtain(const SecretsSupply *supply, const SecretsRequest *request, StringList *warnings, Secrets *ret,
                   Failure *failure);
void secrets_done(Secrets *secrets);

/* Runs PROGRAM, a generation's own for its initrd secrets, on the running system; NULL in *ret if there are none. */
int secrets_make(const char *program, SealedMemory **ret, Failure *failure);
