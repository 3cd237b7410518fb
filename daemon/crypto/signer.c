/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The key is parsed and checked once: a key file can be damaged in the half that only the owner sees, and then every
 * image would be signed, written, and refused at the next boot. To try it with a signature would show that as well, but
 * costs as much as signing one image more. */

#include "daemon/crypto/signer.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "daemon/crypto/openssl.h"

enum { KEY_BITS_MIN = 2048, KEY_BITS_MAX = 4096, PEM_SIZE_MAX = 256 * 1024 };

struct Signer {
        EVP_PKEY *key;
        Certificate *certificate;
        atomic_uint_fast64_t n_signatures;
};

/* OpenSSL asks this for a passphrase: there is none, but it shows that the key is encrypted. */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *was_asked) {
        *(bool *)was_asked = true;
        return -1;
}

static int read_key(Span pem, EVP_PKEY **ret) {
        _cleanup_(BIO_freep) BIO *bio = NULL;
        bool is_encrypted = false;
        EVP_PKEY *key;

        if (pem.size == 0 || pem.size > PEM_SIZE_MAX)
                return -ENOKEY;
        bio = BIO_new_mem_buf(pem.data, pem.size);
        if (!bio)
                return openssl_failed(-ENOMEM);
        key = PEM_read_bio_PrivateKey(bio, /* x= */ NULL, refuse_passphrase, &is_encrypted);
        if (!key)
                return openssl_failed(is_encrypted ? -EACCES : -ENOKEY);

        *ret = key;
        return 0;
}

typedef struct RsaNumbers {
        BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *q_inverse;
} RsaNumbers;

static void rsa_numbers_done(RsaNumbers *numbers) {
        BN_free(numbers->n);
        BN_free(numbers->e);
        BN_clear_free(numbers->d);
        BN_clear_free(numbers->p);
        BN_clear_free(numbers->q);
        BN_clear_free(numbers->dp);
        BN_clear_free(numbers->dq);
        BN_clear_free(numbers->q_inverse);
}

static bool rsa_numbers_read(const EVP_PKEY *key, RsaNumbers *ret) {
        return EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &ret->n) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &ret->e) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &ret->d) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &ret->p) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &ret->q) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_EXPONENT1, &ret->dp) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_EXPONENT2, &ret->dq) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &ret->q_inverse) == 1;
}

/* Whether A times B is 1 modulo M. */
static bool are_inverse(const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BIGNUM *scratch, BN_CTX *context) {
        return BN_mod_mul(scratch, a, b, m, context) == 1 && BN_is_one(scratch);
}

/* Whether D and PART both undo E modulo the prime P. */
static bool exponents_match(const RsaNumbers *numbers, const BIGNUM *prime, const BIGNUM *part, BIGNUM *scratch,
                            BN_CTX *context) {
        BIGNUM *order = BN_dup(prime);
        bool result = order && BN_sub_word(order, 1) == 1 && are_inverse(part, numbers->e, order, scratch, context) &&
                      are_inverse(numbers->d, numbers->e, order, scratch, context);

        BN_clear_free(order);
        return result;
}

/* RFC 8017, 3.2. N is that of the certificate, a product of two primes: whichever two factors it has are these. */
static bool is_consistent(const RsaNumbers *numbers, BIGNUM *scratch, BN_CTX *context) {
        return !BN_is_one(numbers->p) && !BN_is_one(numbers->q) &&
               BN_mul(scratch, numbers->p, numbers->q, context) == 1 && BN_cmp(scratch, numbers->n) == 0 &&
               exponents_match(numbers, numbers->p, numbers->dp, scratch, context) &&
               exponents_match(numbers, numbers->q, numbers->dq, scratch, context) &&
               are_inverse(numbers->q_inverse, numbers->q, numbers->p, scratch, context);
}

static int check_private_half(const EVP_PKEY *key) {
        _cleanup_(rsa_numbers_done) RsaNumbers numbers = {};
        BN_CTX *context = BN_CTX_secure_new();
        BIGNUM *scratch = BN_new();
        int r = 0;

        if (!context || !scratch)
                r = openssl_failed(-ENOMEM);
        else if (!rsa_numbers_read(key, &numbers) || !is_consistent(&numbers, scratch, context))
                r = openssl_failed(-ENOKEY);
        BN_clear_free(scratch);
        BN_CTX_free(context);
        return r;
}

int signer_new_from_pem(Span key_pem, Span certificate_pem, Signer **ret) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        Signer *signer;
        int r;

        r = certificate_from_pem(certificate_pem, &certificate);
        if (r < 0)
                return r;
        r = read_key(key_pem, &key);
        if (r < 0)
                return r;
        if (X509_check_private_key(certificate_x509(certificate), key) != 1)
                return openssl_failed(-EKEYREJECTED);
        if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < KEY_BITS_MIN ||
            EVP_PKEY_get_bits(key) > KEY_BITS_MAX)
                return openssl_failed(-ERANGE);
        r = check_private_half(key);
        if (r < 0)
                return r;

        signer = calloc(1, sizeof(*signer));
        if (!signer)
                return -ENOMEM;
        signer->key = TAKE_POINTER(key);
        signer->certificate = TAKE_POINTER(certificate);
        *ret = signer;
        return 0;
}

Signer *signer_free(Signer *signer) {
        if (signer) {
                EVP_PKEY_free(signer->key);
                certificate_unref(signer->certificate);
                free(signer);
        }
        return NULL;
}

Certificate *signer_certificate(const Signer *signer) {
        return signer->certificate;
}

uint64_t signer_signature_count(const Signer *signer) {
        return signer->n_signatures;
}

EVP_PKEY *signer_key(const Signer *signer) {
        return signer->key;
}

void signer_count(Signer *signer) {
        atomic_fetch_add(&signer->n_signatures, 1);
}
