/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/digest.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/crypto/openssl.h"

struct Digest {
        EVP_MD_CTX *context;
};

int openssl_failed(int error) {
        ERR_clear_error();
        return error;
}

size_t digest_size(DigestAlgorithm algorithm) {
        static const size_t sizes[DIGEST_COUNT] = {
                [DIGEST_SHA1] = 20,
                [DIGEST_SHA256] = SHA256_SIZE,
                [DIGEST_SHA384] = 48,
                [DIGEST_SHA512] = 64,
        };

        return sizes[algorithm];
}

Span digest_oid(DigestAlgorithm algorithm) {
        static const struct {
                size_t size;
                uint8_t bytes[9];
        } oids[DIGEST_COUNT] = {
                [DIGEST_SHA1] = {5, {0x2b, 0x0e, 0x03, 0x02, 0x1a}},
                [DIGEST_SHA256] = {9, {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}},
                [DIGEST_SHA384] = {9, {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02}},
                [DIGEST_SHA512] = {9, {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03}},
        };

        return (Span){oids[algorithm].bytes, oids[algorithm].size};
}

const EVP_MD *digest_algorithm_md(DigestAlgorithm algorithm) {
        switch (algorithm) {
        case DIGEST_SHA1:
                return EVP_sha1();
        case DIGEST_SHA256:
                return EVP_sha256();
        case DIGEST_SHA384:
                return EVP_sha384();
        case DIGEST_SHA512:
                return EVP_sha512();
        default:
                return NULL;
        }
}

int digest_new(DigestAlgorithm algorithm, Digest **ret) {
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        Digest *digest;

        if (!context)
                return openssl_failed(-ENOMEM);
        if (EVP_DigestInit_ex(context, digest_algorithm_md(algorithm), /* impl= */ NULL) != 1)
                return openssl_failed(-EOPNOTSUPP);
        digest = malloc(sizeof(*digest));
        if (!digest)
                return -ENOMEM;

        digest->context = TAKE_POINTER(context);
        *ret = digest;
        return 0;
}

Digest *digest_free(Digest *digest) {
        if (digest) {
                EVP_MD_CTX_free(digest->context);
                free(digest);
        }
        return NULL;
}

int digest_update(Digest *digest, Span bytes) {
        if (EVP_DigestUpdate(digest->context, bytes.data, bytes.size) != 1)
                return openssl_failed(-EIO);
        return 0;
}

int digest_final(Digest *digest, uint8_t ret[static DIGEST_SIZE_MAX]) {
        if (EVP_DigestFinal_ex(digest->context, ret, /* s= */ NULL) != 1)
                return openssl_failed(-EIO);
        return 0;
}

int sha256_of(Span bytes, Sha256 *ret) {
        Sha256 sha256;

        if (EVP_Digest(bytes.data, bytes.size, sha256.bytes, /* size= */ NULL, EVP_sha256(), /* impl= */ NULL) != 1)
                return openssl_failed(-EIO);
        *ret = sha256;
        return 0;
}

bool sha256_equal(const Sha256 *a, const Sha256 *b) {
        return memcmp(a->bytes, b->bytes, SHA256_SIZE) == 0;
}
