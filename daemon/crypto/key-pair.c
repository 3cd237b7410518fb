/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/key-pair.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "daemon/crypto/openssl.h"

enum { SERIAL_BITS = 128, YEARS_MAX = 100, COMMON_NAME_BYTES_MAX = 4 * 64, SECONDS_A_YEAR = 31557600 };

/* X.509's GeneralizedTime ends with the year 9999. */
static const int64_t time_max = 253402300799;

DEFINE_POINTER_CLEANUP(BIGNUM *, BN_free)

static int set_serial(X509 *x509) {
        _cleanup_(BN_freep) BIGNUM *serial = BN_new();

        if (!serial)
                return -ENOMEM;
        do {
                if (BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1)
                        return -EIO;
        } while (BN_is_zero(serial));
        return BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x509)) ? 0 : -ENOMEM;
}

/* Subject and issuer. OpenSSL knows the bounds of a CN, and refuses text that is no UTF-8. */
static int set_name(X509 *x509, const char *common_name) {
        X509_NAME *name = X509_NAME_new();
        int r = -EINVAL;

        if (!name)
                return -ENOMEM;
        if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)common_name,
                                       /* len= */ -1, /* loc= */ -1, /* set= */ 0) == 1)
                r = X509_set_subject_name(x509, name) == 1 && X509_set_issuer_name(x509, name) == 1 ? 0 : -ENOMEM;
        X509_NAME_free(name);
        return r;
}

static int add_extension(X509 *x509, int nid, const char *value) {
        X509V3_CTX context;
        X509_EXTENSION *extension;
        int r;

        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, x509, x509, /* req= */ NULL, /* crl= */ NULL, /* flags= */ 0);
        extension = X509V3_EXT_conf_nid(/* conf= */ NULL, &context, nid, value);
        if (!extension)
                return -EIO;
        r = X509_add_ext(x509, extension, /* loc= */ -1);
        X509_EXTENSION_free(extension);
        return r == 1 ? 0 : -ENOMEM;
}

static int make_certificate(const KeyPairRequest *request, EVP_PKEY *key, X509 **ret) {
        _cleanup_(X509_freep) X509 *x509 = X509_new();
        int64_t not_after = request->not_before + (int64_t)request->years * SECONDS_A_YEAR;
        int r;

        if (!x509 || X509_set_version(x509, X509_VERSION_3) != 1)
                return -ENOMEM;
        r = set_serial(x509);
        if (r < 0)
                return r;
        r = set_name(x509, request->common_name);
        if (r < 0)
                return r;
        if (!ASN1_TIME_set(X509_getm_notBefore(x509), request->not_before) ||
            !ASN1_TIME_set(X509_getm_notAfter(x509), not_after) || X509_set_pubkey(x509, key) != 1)
                return -EIO;

        r = add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
        if (r < 0)
                return r;
        r = add_extension(x509, NID_key_usage, "critical,digitalSignature,keyCertSign");
        if (r < 0)
                return r;
        r = add_extension(x509, NID_subject_key_identifier, "hash");
        if (r < 0)
                return r;
        if (X509_sign(x509, key, EVP_sha256()) == 0)
                return -EIO;

        *ret = TAKE_POINTER(x509);
        return 0;
}

/* OpenSSL overwrites a memory BIO's content when it grows and when it is freed. */
static int copy_bio(BIO *bio, Buffer *ret) {
        char *data;
        long size = BIO_get_mem_data(bio, &data);

        return buffer_append(ret, (Span){(const uint8_t *)data, size});
}

static int write_pair(EVP_PKEY *key, X509 *x509, Buffer *ret_key, Buffer *ret_certificate) {
        _cleanup_(BIO_freep) BIO *key_bio = BIO_new(BIO_s_mem());
        _cleanup_(BIO_freep) BIO *certificate_bio = BIO_new(BIO_s_mem());
        _cleanup_(buffer_wipe) Buffer key_pem = {};
        _cleanup_(buffer_done) Buffer certificate_pem = {};
        int r;

        if (!key_bio || !certificate_bio)
                return -ENOMEM;
        if (PEM_write_bio_PKCS8PrivateKey(key_bio, key, /* cipher= */ NULL, NULL, 0, NULL, NULL) != 1 ||
            PEM_write_bio_X509(certificate_bio, x509) != 1)
                return -EIO;
        r = copy_bio(key_bio, &key_pem);
        if (r < 0)
                return r;
        r = copy_bio(certificate_bio, &certificate_pem);
        if (r < 0)
                return r;

        *ret_key = TAKE_STRUCT(key_pem);
        *ret_certificate = TAKE_STRUCT(certificate_pem);
        return 0;
}

static bool request_is_valid(const KeyPairRequest *request) {
        if (request->bits != 2048 && request->bits != 4096)
                return false;
        if (!request->common_name || !*request->common_name ||
            strnlen(request->common_name, COMMON_NAME_BYTES_MAX + 1) > COMMON_NAME_BYTES_MAX)
                return false;
        if (request->years < 1 || request->years > YEARS_MAX)
                return false;
        return request->not_before >= 0 && request->not_before <= time_max - (int64_t)YEARS_MAX * SECONDS_A_YEAR;
}

int key_pair_generate(const KeyPairRequest *request, Buffer *ret_key, Buffer *ret_certificate) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        _cleanup_(X509_freep) X509 *x509 = NULL;
        int r;

        if (!request_is_valid(request))
                return -EINVAL;
        key = EVP_RSA_gen(request->bits);
        if (!key)
                return openssl_failed(-EIO);
        r = make_certificate(request, key, &x509);
        if (r < 0)
                return openssl_failed(r);
        r = write_pair(key, x509, ret_key, ret_certificate);
        if (r < 0)
                return openssl_failed(r);
        return 0;
}
