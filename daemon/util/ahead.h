/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Things of one kind, made by a few threads in advance while their owner writes the earlier ones or waits for a disk,
 * and taken in their order. What comes out is what making them one after the other would give. */

#include <stddef.h>

#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"

enum {
        AHEAD_THREADS_MAX = 4,
        AHEAD_ITEMS_MAX = 32,              /* that are made or in the making, and not taken */
        AHEAD_BYTES_MAX = 2 * 1024 * 1024, /* so long as no single one is larger */
};

typedef struct Ahead Ahead;

/* Makes item INDEX; called on any thread, that of the owner included, for several items at once. */
typedef int (*AheadMake)(void *userdata, size_t index, Buffer *ret, Failure *failure);

/* Begins to make items 0 to COUNT - 1, on as many threads as there are processors beside the owner's. Where none can be
 * started, each item is made as it is taken. -ENOMEM. */
int ahead_new(AheadMake make, void *userdata, size_t count, Ahead **ret);

/* Item INDEX, or what making it failed with. Makes items itself rather than wait. An item can be taken once, and none
 * before it any more. */
int ahead_take(Ahead *ahead, size_t index, Buffer *ret, Failure *failure);

/* Waits for what is in the making. Returns NULL. */
Ahead *ahead_free(Ahead *ahead);
DEFINE_POINTER_CLEANUP(Ahead *, ahead_free)
