/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The key is parsed once, and tried once: a key file can be damaged in the half that only the owner sees, and then
 * every image would be signed, written, and refused at the next boot. The trial is a signature that is verified, and
 * the first one that is asked for will do. */

#include "daemon/crypto/signer.h"

#include <errno.h>
#include <openssl/decoder.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "daemon/crypto/openssl.h"

enum { KEY_BITS_MIN = 2048, KEY_BITS_MAX = 4096, PEM_SIZE_MAX = 256 * 1024, SIGNATURE_SIZE_MAX = KEY_BITS_MAX / 8 };

struct Signer {
        EVP_PKEY *key;
        Certificate *certificate;
        atomic_bool is_tried; /* a signature of the key was good */
        atomic_uint_fast64_t n_signatures;
};

/* OpenSSL asks this for a passphrase: there is none, but it shows that the key is encrypted. */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *was_asked) {
        *(bool *)was_asked = true;
        return -1;
}

/* Asked for one kind of key only, OpenSSL does not get the decoders of all others ready first. */
static EVP_PKEY *read_rsa_key(BIO *bio, bool *was_asked) {
        EVP_PKEY *key = NULL;
        OSSL_DECODER_CTX *context =
                OSSL_DECODER_CTX_new_for_pkey(&key, "PEM", /* input_structure= */ NULL, "RSA", EVP_PKEY_KEYPAIR,
                                              /* libctx= */ NULL, /* propquery= */ NULL);

        if (context && OSSL_DECODER_CTX_set_pem_password_cb(context, refuse_passphrase, was_asked) == 1)
                (void)OSSL_DECODER_from_bio(context, bio);
        OSSL_DECODER_CTX_free(context);
        return key;
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
        key = read_rsa_key(bio, &is_encrypted);
        if (!key && !is_encrypted && BIO_reset(bio) == 1)
                key = PEM_read_bio_PrivateKey(bio, /* x= */ NULL, refuse_passphrase, &is_encrypted);
        if (!key)
                return openssl_failed(is_encrypted ? -EACCES : -ENOKEY);

        *ret = key;
        return 0;
}

int signer_read_pem(Span key_pem, Span certificate_pem, Signer **ret) {
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

        signer = calloc(1, sizeof(*signer));
        if (!signer)
                return -ENOMEM;
        signer->key = TAKE_POINTER(key);
        signer->certificate = TAKE_POINTER(certificate);
        *ret = signer;
        return 0;
}

static int sign(const Signer *signer, Span text, uint8_t ret[static SIGNATURE_SIZE_MAX], size_t *ret_size) {
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();

        *ret_size = SIGNATURE_SIZE_MAX;
        if (!context)
                return -ENOMEM;
        return EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
                               EVP_DigestSign(context, ret, ret_size, text.data, text.size) == 1
                       ? 0
                       : -ENOKEY;
}

static int verify(const Signer *signer, Span text, Span signature) {
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();

        if (!context)
                return -ENOMEM;
        return EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
                               EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) == 1
                       ? 0
                       : -ENOKEY;
}

int signer_check_signature(Signer *signer, Span text, Span signature) {
        int r = verify(signer, text, signature);

        if (r < 0)
                return openssl_failed(r);
        signer->is_tried = true;
        return 0;
}

int signer_try(Signer *signer) {
        const Span text = span_from_string("lanzad");
        uint8_t signature[SIGNATURE_SIZE_MAX];
        size_t size;
        int r;

        if (signer->is_tried)
                return 0;
        r = sign(signer, text, signature, &size);
        return r < 0 ? openssl_failed(r) : signer_check_signature(signer, text, (Span){signature, size});
}

int signer_new_from_pem(Span key_pem, Span certificate_pem, Signer **ret) {
        _cleanup_(signer_freep) Signer *signer = NULL;
        int r;

        r = signer_read_pem(key_pem, certificate_pem, &signer);
        if (r >= 0)
                r = signer_try(signer);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(signer);
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

bool signer_is_tried(const Signer *signer) {
        return signer->is_tried;
}

void signer_count(Signer *signer) {
        atomic_fetch_add(&signer->n_signatures, 1);
}
