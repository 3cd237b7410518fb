/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/util/span.h"

/* UTF-16LE, as EFI stores text, to UTF-8. Reads up to the first NUL or the end of BYTES. Returns -EBADMSG for an odd
 * number of bytes before that, and for unpaired surrogates. *RET is owned by the caller; *RET_SIZE (may be NULL) gets
 * the bytes that were used, the NUL included. */
int utf16_to_utf8(Span bytes, char **ret, size_t *ret_size);
