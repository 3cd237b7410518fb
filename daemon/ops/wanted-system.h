/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the ESP is to hold: the chosen generations' images and the files these refer to, worked out from the system. It
 * joins what generations are (daemon/boot/) with what plans are made of (daemon/esp/), and is where apply gets its
 * bytes. */

#include <stdbool.h>

#include "daemon/boot/generation.h"
#include "daemon/boot/hash-cache.h"
#include "daemon/esp/apply.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/context.h"
#include "daemon/ops/image-build.h"
#include "daemon/ops/image-source.h"
#include "daemon/util/ahead.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

typedef struct WantedSystem {
        Wanted wanted;
        ImageSource **images; /* what the wanted images' and contents' sources point into */
        size_t image_count;
        StringList warnings;
        bool in_part;        /* a generation was left out, with a warning */
        bool has_secrets;    /* an initrd with secrets is among the contents */
        size_t kept_secrets; /* images whose secrets nobody handed in: they keep what they have */
        bool keeps_built;    /* what was built once is kept for whoever asks again: several volumes get it */
        uint64_t built_bytes;
        Buffer built_loader;

        const Context *context; /* borrowed, with BUILDER, until wanted_system_done() */
        const ImageBuilder *builder;
        StoreContents *store;

        Ahead *ahead; /* builds these images, in this order; NULL: none */
        ImageSource **ahead_images;
        size_t ahead_count, ahead_next;
} WantedSystem;

typedef struct WantedRequest {
        const GenerationList *generations; /* after generations_choose() */
        const Generation *default_generation;
        const BootVariant *default_variant;
        bool garbage_only, renew_stubs;
        const SecretsSupply *secrets;
} WantedRequest;

/* Works it out. One generation that can't be used is a warning, and its files are shielded; if it is the default one,
 * it is a failure. BUILDER and CACHE stay the caller's. SYSTEM is to be ended also after a failure. */
int wanted_system_init(WantedSystem *system, const Context *context, const ImageBuilder *builder, HashCache *cache,
                       const WantedRequest *request, Failure *failure);
void wanted_system_done(WantedSystem *system);

/* Begins to build the images that PLANS write, in their order, on threads of their own: signing costs the processor
 * what copies and barriers cost the disk. The system's builder, and its signer, are theirs too until
 * wanted_system_done() or the next call. -ENOMEM. */
int wanted_system_build_ahead(WantedSystem *system, const Plan *const *plans, size_t count);

/* The signed bytes of an image of SYSTEM, built before or now, and of the boot loader; RET is empty before. */
int wanted_system_build_image(WantedSystem *system, const WantedImage *image, Buffer *ret, Failure *failure);
int wanted_system_build_loader(WantedSystem *system, Buffer *ret, Failure *failure);

/* The sources for apply_plan(), of SYSTEM. */
ApplySources wanted_system_sources(WantedSystem *system);
