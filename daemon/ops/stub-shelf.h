/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The stubs that boot images are made of: the configured one, and those that generations bring with them
 * (org.lanzaboote.lanzad .stub in their bootspec), each read once. */

#include "daemon/boot/bootspec.h"
#include "daemon/boot/generation.h"
#include "daemon/ops/context.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/span.h"

enum { BINARY_MAX_BYTES = 16 * 1024 * 1024 };

/* Reads a PE binary for x86-64, PATH inside CONTEXT's root; WHAT begins messages: "The stub". BadImage if it is none.
 */
int pe_binary_read(const Context *context, const char *path, const char *what, Buffer *ret, Failure *failure);

typedef struct StubShelf StubShelf;

/* Reads the configured stub: BadImage, as above, and if it cannot take the sections of an image. CONTEXT must outlive
 * the shelf. */
int stub_shelf_new(const Context *context, StubShelf **ret, Failure *failure);
StubShelf *stub_shelf_free(StubShelf *shelf); /* returns NULL */

/* The stub for new images of BOOTSPEC: its own, or the configured one. A stub of its own must be in the store by links
 * that do not leave it, and take the sections of an image. The span is valid as long as the shelf. */
int stub_shelf_find(StubShelf *shelf, const Bootspec *bootspec, Span *ret, Failure *failure);

/* The same for an image that is there and starts TOPLEVEL (NULL: it does not tell). Empty if its generation has a stub
 * of its own that cannot be used: nothing can be said of it then. -ENOMEM. */
int stub_shelf_find_for(StubShelf *shelf, const GenerationList *generations, const char *toplevel, Span *ret);
