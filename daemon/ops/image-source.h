/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One boot image in the making: a variant of a generation, the files that the image refers to (found and hashed), and
 * the image composed of these, not yet built. Nothing is written here. */

#include <stdint.h>

#include "daemon/boot/boot-image.h"
#include "daemon/boot/generation.h"
#include "daemon/ops/context.h"
#include "daemon/ops/secrets-supply.h"
#include "daemon/ops/store-contents.h"
#include "daemon/ops/stub-shelf.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

enum { IMAGE_CONTENTS_MAX = 3 }; /* kernel, initrd, the initrd's secrets */

/* A content file and where its bytes are. */
typedef struct ContentSource {
        char *name; /* in EFI/nixos */
        Sha256 hash;
        uint64_t size;
        char *path;              /* inside the root; NULL: */
        SealedMemory *memory;    /* the bytes themselves; NULL: */
        const EspVolume *volume; /* it stands there already, and nowhere but on such volumes. Borrowed */
        bool is_secret;
} ContentSource;

typedef struct ImageSource {
        char *title;    /* for messages: "generation 7, specialisation x" */
        char *name;     /* in EFI/Linux, without boot counter */
        char *toplevel; /* the variant's own */
        ContentSource contents[IMAGE_CONTENTS_MAX];
        size_t content_count;
        BootImage image;
        Span stub;          /* that it is to be made of; the shelf's */
        Buffer built;       /* the signed image, if it was built already to be judged */
        bool keeps_secrets; /* its secrets are older ones, since nobody handed new ones in */
} ImageSource;

typedef struct ImageSourceRequest {
        const Context *context;
        StoreContents *store; /* what was met so far */
        StubShelf *stubs;
        const Certificate *certificate; /* of the signer; NULL: none */
        const Generation *generation;
        const BootVariant *variant;
        bool is_default;              /* of the generation that is to be the default */
        const SecretsSupply *secrets; /* where its initrd secrets come from */
} ImageSourceRequest;

/* "[profile P, ]generation N[, specialisation S]"; VARIANT may be NULL. Owned; NULL if memory is short. */
char *generation_title(const Generation *generation, const BootVariant *variant);

/* Reads and hashes the variant's files, gets its initrd secrets, and composes the image. Fails as the files, the
 * secrets, the stub or the bootspec do. */
int image_source_init(ImageSource *source, const ImageSourceRequest *request, StringList *warnings, Failure *failure);
void image_source_done(ImageSource *source);

/* Opens a content for reading from its beginning; returns a descriptor. */
int content_source_open(const ContentSource *source, const Context *context, Failure *failure);
