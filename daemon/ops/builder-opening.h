/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Opens the image builder of a run on a thread of its own. Most of that is work for the processor that needs nothing of
 * the run (OpenSSL sets itself up, a key is parsed, and tried), while the run itself first reads folders. */

#include "daemon/ops/image-build.h"
#include "daemon/util/string-list.h"

typedef struct BuilderOpening BuilderOpening;

/* Begins. CONTEXT is borrowed until builder_opening_free(), and until builder_opening_take() returns nobody else reads
 * firmware variables through it. -ENOMEM. */
int builder_opening_new(const Context *context, BuilderOpening **ret);

/* Waits for a running trial; what was not taken is freed. Before image_builder_done() of what was. Returns NULL. */
BuilderOpening *builder_opening_free(BuilderOpening *opening);
DEFINE_POINTER_CLEANUP(BuilderOpening *, builder_opening_free)

/* Waits for the builder, to be called once: *RET is the caller's. Fails as signing_signer(), which adds to WARNINGS,
 * and image_builder_init() do. Its key is tried from now on, and may sign. */
int builder_opening_take(BuilderOpening *opening, ImageBuilder *ret, StringList *warnings, Failure *failure);

/* Waits for the trial, after a builder was taken: whether its key signs well, to be asked before anything is written.
 * BadKeys if not; 0 also where there is no key. */
int builder_opening_check_key(BuilderOpening *opening, Failure *failure);
