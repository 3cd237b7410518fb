/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* Signs single EFI binaries with db's key, beside the signatures that they have: files in place (or one of them to
 * another place), all or none; or the bytes of sealed memory, for a caller of the bus. What has a good signature by
 * that key already stays as it is. NoKeys and BadKeys; BadImage for what is no PE image, or one that firmware would
 * refuse.
 */
extern const Operation sign_operation;

enum {
        SIGN_FILES_MAX = 256,                     /* in one run: each is held open until all are in place */
        SIGN_FILE_MAX_BYTES = 512 * 1024 * 1024,  /* a kernel with its initrd inside */
        SIGN_MEMORY_MAX_BYTES = 64 * 1024 * 1024, /* the service's memory is shared by all callers */
};

/* The result that a caller of the bus gets. */
#define SIGN_IMAGE "image"
