/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes key pairs with a self-signed certificate. */

#include <stdint.h>

#include "daemon/util/buffer.h"

typedef struct KeyPairRequest {
        unsigned bits;           /* RSA: 2048 or 4096 */
        const char *common_name; /* UTF-8, 1 to 64 characters (RFC 5280, ub-common-name) */
        int64_t not_before;      /* seconds since 1970 */
        unsigned years;          /* of 365.25 days */
} KeyPairRequest;

/* Makes an RSA key and its certificate (SHA-256, random positive serial number of 128 bits, version 3, CA). Both as
 * PEM, the key as unencrypted PKCS#8 in a buffer that the caller wipes. Returns -EINVAL for a request out of bounds. */
int key_pair_generate(const KeyPairRequest *request, Buffer *ret_key, Buffer *ret_certificate);
