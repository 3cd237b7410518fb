/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes the signed files of an ESP: boot images (stub, sections, signature) and the boot loader. The same input gives
 * the same bytes: what was judged before the first write is what is written. */

#include "daemon/boot/boot-image.h"
#include "daemon/crypto/signer.h"
#include "daemon/ops/context.h"
#include "daemon/ops/stub-shelf.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"

typedef struct ImageBuilder {
        Signer *signer; /* owned; NULL: what is made stays unsigned */
        StubShelf *stubs;
        Buffer loader; /* systemd-boot, as installed */
        char *loader_version;
} ImageBuilder;

/* Reads the boot loader of CONTEXT's configuration. BadImage, naming the file, if it is missing, cannot be signed or is
 * no systemd-boot. The caller owns both. */
int boot_loader_read(const Context *context, Buffer *ret, char **ret_version, Failure *failure);

/* Reads stub and boot loader of CONTEXT's configuration. BadImage, naming the file, if one is missing or not what it
 * should be. Takes SIGNER over, also on failure. */
int image_builder_init(ImageBuilder *builder, const Context *context, Signer *signer, Failure *failure);
void image_builder_done(ImageBuilder *builder);

/* An upper estimate of the size of an image of STUB, in bytes. */
uint64_t image_builder_estimate(Span stub, const BootImage *image);
uint64_t image_builder_estimate_loader(const ImageBuilder *builder);

int image_builder_image(const ImageBuilder *builder, Span stub, const BootImage *image, Buffer *ret, Failure *failure);
int image_builder_loader(const ImageBuilder *builder, Buffer *ret, Failure *failure);
