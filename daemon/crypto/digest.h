/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Message digests. SHA-256 is what this project makes; the others are only recognised, in others' signatures. */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/util/macro.h"
#include "daemon/util/span.h"

typedef enum DigestAlgorithm {
        DIGEST_SHA1,
        DIGEST_SHA256,
        DIGEST_SHA384,
        DIGEST_SHA512,
        DIGEST_COUNT,
} DigestAlgorithm;

enum { SHA256_SIZE = 32, DIGEST_SIZE_MAX = 64 };

typedef struct Sha256 {
        uint8_t bytes[SHA256_SIZE];
} Sha256;

/* Bytes of a digest, 20 to 64. */
size_t digest_size(DigestAlgorithm algorithm);

/* The algorithm's object identifier as DER has it, without tag and length. */
Span digest_oid(DigestAlgorithm algorithm);

/* A running digest. Returns -ENOMEM, or -EOPNOTSUPP where the library refuses the algorithm. */
typedef struct Digest Digest;
int digest_new(DigestAlgorithm algorithm, Digest **ret);
Digest *digest_free(Digest *digest);
DEFINE_POINTER_CLEANUP(Digest *, digest_free)

int digest_update(Digest *digest, Span bytes);

/* Ends the digest (it can only be freed then) and writes digest_size() bytes to RET. */
int digest_final(Digest *digest, uint8_t ret[static DIGEST_SIZE_MAX]);

/* SHA-256 of BYTES at once. */
int sha256_of(Span bytes, Sha256 *ret);

bool sha256_equal(const Sha256 *a, const Sha256 *b);
