/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Certificates come from key stores, from firmware variables and from inside signatures: all of them hostile, and some
 * of them odd. What only describes a certificate (names, times, kind of key) must not be a reason to refuse one that
 * firmware would use: unreadable, it shows as "", 0 or "unknown". The bytes are kept as they came, because revocations
 * name digests of them. RFC 5280. */

#include "daemon/crypto/certificate.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/crypto/openssl.h"
#include "daemon/util/buffer.h"
#include "daemon/util/utf8.h"

enum {
        DER_SIZE_MAX = 64 * 1024, /* firmware's own limits are lower */
        PEM_SIZE_MAX = 256 * 1024,
};

struct Certificate {
        atomic_uint n_references;
        X509 *x509;
        Buffer der;
        Span tbs; /* inside DER */
        Sha256 fingerprint;
        char *subject;
        char *issuer;
        char *common_name;
        int64_t not_before;
        int64_t not_after;
};

/* The first DER object in SPAN, header included, and what is inside it. */
static int read_sequence(Span span, Span *ret_object, Span *ret_content) {
        const unsigned char *content = span.data;
        long length;
        int tag, class, r;

        if (span.size > DER_SIZE_MAX)
                return -EBADMSG;
        r = ASN1_get_object(&content, &length, &tag, &class, span.size);
        if (r & 0x80)
                return openssl_failed(-EBADMSG);
        if (r != V_ASN1_CONSTRUCTED || tag != V_ASN1_SEQUENCE || class != V_ASN1_UNIVERSAL)
                return -EBADMSG;

        *ret_content = (Span){content, length};
        *ret_object = (Span){span.data, content + length - span.data};
        return 0;
}

/* Whether byte I may be shown as it is: not if it is (part of) a control character, or not of UTF-8 text. */
static bool is_printable(Span text, size_t i, bool is_utf8) {
        const uint8_t byte = text.data[i];

        if (byte < 0x80)
                return byte >= 0x20 && byte != 0x7f;
        if (!is_utf8)
                return false;
        if (byte == 0xc2)
                return text.data[i + 1] >= 0xa0;
        return byte >= 0xa0 || i == 0 || text.data[i - 1] != 0xc2;
}

/* A copy of TEXT as UTF-8 without control characters: other bytes become \XX. */
static char *printable_text(Span text) {
        const bool is_utf8 = utf8_check(text) >= 0;
        char *result = malloc(3 * text.size + 1);
        char *end = result;

        if (!result)
                return NULL;
        for (size_t i = 0; i < text.size; i++) {
                if (is_printable(text, i, is_utf8)) {
                        *end++ = text.data[i];
                        continue;
                }
                *end++ = '\\';
                *end++ = "0123456789ABCDEF"[text.data[i] >> 4];
                *end++ = "0123456789ABCDEF"[text.data[i] & 15];
        }
        *end = '\0';
        return result;
}

static char *read_name(const X509_NAME *name) {
        const unsigned long flags = XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
        _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        long size;

        if (!bio)
                return NULL;
        if (X509_NAME_print_ex(bio, name, /* indent= */ 0, flags) < 0) {
                (void)openssl_failed(0);
                return strdup("");
        }
        size = BIO_get_mem_data(bio, &text);
        return printable_text((Span){(const uint8_t *)text, size > 0 ? size : 0});
}

static char *read_common_name(const X509 *x509) {
        const X509_NAME *name = X509_get_subject_name(x509);
        unsigned char *utf8;
        char *text;
        int size, next, last = -1;

        while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, last)) >= 0)
                last = next;
        if (last < 0)
                return strdup("");
        size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
        if (size < 0) {
                (void)openssl_failed(0);
                return strdup("");
        }

        text = printable_text((Span){utf8, size});
        OPENSSL_free(utf8);
        return text;
}

static int64_t read_time(const ASN1_TIME *time) {
        struct tm tm;

        if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
                return openssl_failed(0);
        return timegm(&tm);
}

int certificate_from_der(Span der, Certificate **ret) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        const unsigned char *end;
        Span object, content, ignored;
        int r;

        r = read_sequence(der, &object, &content);
        if (r < 0)
                return r;
        if (object.size != der.size)
                return -EBADMSG;

        certificate = calloc(1, sizeof(*certificate));
        if (!certificate)
                return -ENOMEM;
        certificate->n_references = 1;
        r = buffer_append(&certificate->der, der);
        if (r < 0)
                return r;
        der = buffer_span(&certificate->der);
        r = read_sequence(der, &object, &content);
        if (r < 0)
                return r;
        r = read_sequence(content, &certificate->tbs, &ignored);
        if (r < 0)
                return r;

        end = der.data;
        certificate->x509 = d2i_X509(NULL, &end, der.size);
        if (!certificate->x509 || end != der.data + der.size)
                return openssl_failed(-EBADMSG);
        r = sha256_of(der, &certificate->fingerprint);
        if (r < 0)
                return r;
        certificate->subject = read_name(X509_get_subject_name(certificate->x509));
        certificate->issuer = read_name(X509_get_issuer_name(certificate->x509));
        certificate->common_name = read_common_name(certificate->x509);
        if (!certificate->subject || !certificate->issuer || !certificate->common_name)
                return -ENOMEM;
        certificate->not_before = read_time(X509_get0_notBefore(certificate->x509));
        certificate->not_after = read_time(X509_get0_notAfter(certificate->x509));

        *ret = TAKE_POINTER(certificate);
        return 0;
}

int certificate_from_x509(const X509 *x509, Certificate **ret) {
        unsigned char *der = NULL;
        int size, r;

        size = i2d_X509(x509, &der);
        if (size < 0)
                return openssl_failed(-EBADMSG);
        r = certificate_from_der((Span){der, size}, ret);
        OPENSSL_free(der);
        return r;
}

/* The next PEM block: 1 if there was one. The caller frees DATA in any case. */
static int read_pem_block(BIO *bio, bool *ret_is_certificate, unsigned char **data, long *ret_size) {
        char *name = NULL, *header = NULL;
        int r = PEM_read_bio(bio, &name, &header, data, ret_size);

        if (r == 1)
                *ret_is_certificate = strcmp(name, PEM_STRING_X509) == 0 && !*header;
        OPENSSL_free(name);
        OPENSSL_free(header);
        return r;
}

/* What is in the only block of PEM, a certificate's. */
static int decode_pem(Span pem, Buffer *ret_der) {
        _cleanup_(BIO_freep) BIO *bio = NULL;
        unsigned char *data = NULL, *more = NULL;
        bool is_certificate;
        long size;
        int r;

        if (pem.size == 0 || pem.size > PEM_SIZE_MAX)
                return -EBADMSG;
        bio = BIO_new_mem_buf(pem.data, pem.size);
        if (!bio)
                return openssl_failed(-ENOMEM);
        if (read_pem_block(bio, &is_certificate, &data, &size) != 1)
                return openssl_failed(-EBADMSG);
        r = is_certificate ? buffer_append(ret_der, (Span){data, size}) : -EBADMSG;
        OPENSSL_free(data);
        if (r < 0)
                return r;
        if (read_pem_block(bio, &is_certificate, &more, &size) == 1) {
                OPENSSL_clear_free(more, size);
                return -EBADMSG;
        }
        return openssl_failed(0);
}

int certificate_from_pem(Span pem, Certificate **ret) {
        _cleanup_(buffer_done) Buffer der = {};
        int r;

        r = decode_pem(pem, &der);
        return r < 0 ? r : certificate_from_der(buffer_span(&der), ret);
}

int certificate_fingerprint_of_pem(Span pem, Sha256 *ret) {
        _cleanup_(buffer_done) Buffer der = {};
        int r;

        r = decode_pem(pem, &der);
        return r < 0 ? r : sha256_of(buffer_span(&der), ret);
}

Certificate *certificate_ref(Certificate *certificate) {
        if (certificate)
                atomic_fetch_add(&certificate->n_references, 1);
        return certificate;
}

Certificate *certificate_unref(Certificate *certificate) {
        if (certificate && atomic_fetch_sub(&certificate->n_references, 1) == 1) {
                X509_free(certificate->x509);
                buffer_done(&certificate->der);
                free(certificate->subject);
                free(certificate->issuer);
                free(certificate->common_name);
                free(certificate);
        }
        return NULL;
}

X509 *certificate_x509(const Certificate *certificate) {
        return certificate->x509;
}

Span certificate_der(const Certificate *certificate) {
        return buffer_span(&certificate->der);
}

const Sha256 *certificate_fingerprint(const Certificate *certificate) {
        return &certificate->fingerprint;
}

const char *certificate_subject(const Certificate *certificate) {
        return certificate->subject;
}

const char *certificate_issuer(const Certificate *certificate) {
        return certificate->issuer;
}

const char *certificate_common_name(const Certificate *certificate) {
        return certificate->common_name;
}

int certificate_tbs_digest(const Certificate *certificate, DigestAlgorithm algorithm,
                           uint8_t ret[static DIGEST_SIZE_MAX]) {
        _cleanup_(digest_freep) Digest *digest = NULL;
        int r;

        r = digest_new(algorithm, &digest);
        if (r < 0)
                return r;
        r = digest_update(digest, certificate->tbs);
        if (r < 0)
                return r;
        return digest_final(digest, ret);
}

int64_t certificate_not_before(const Certificate *certificate) {
        return certificate->not_before;
}

int64_t certificate_not_after(const Certificate *certificate) {
        return certificate->not_after;
}

const char *certificate_key_type(const Certificate *certificate) {
        const EVP_PKEY *key = X509_get0_pubkey(certificate->x509);

        if (!key) {
                (void)openssl_failed(0);
                return "unknown";
        }
        switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
                return "RSA";
        case EVP_PKEY_RSA_PSS:
                return "RSA-PSS";
        case EVP_PKEY_EC:
                return "EC";
        default:
                return OBJ_nid2sn(EVP_PKEY_get_base_id(key)) ?: "unknown";
        }
}

unsigned certificate_key_bits(const Certificate *certificate) {
        const EVP_PKEY *key = X509_get0_pubkey(certificate->x509);
        int bits;

        if (!key)
                return openssl_failed(0);
        bits = EVP_PKEY_get_bits(key);
        return bits > 0 ? bits : 0;
}

bool certificate_equal(const Certificate *a, const Certificate *b) {
        return sha256_equal(&a->fingerprint, &b->fingerprint);
}
