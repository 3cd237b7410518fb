/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text forms of bytes. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/span.h"

/* Lower-case hexadecimal. Returns an owned string, or NULL if memory is short. */
char *hex_encode(Span bytes);

/* Decodes exactly SIZE bytes from 2*SIZE digits of either case. Returns -EINVAL for anything else; then *ret is
 * undefined. */
int hex_decode(const char *text, uint8_t *ret, size_t size);

/* Lower-case base32 without padding (RFC 4648, section 6): 52 characters for a SHA-256. Owned, NULL if memory is short.
 */
char *base32_encode(Span bytes);
