/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading signatures. They come out of files and variables that anyone may have written. What is accepted follows edk2
 * (BaseCryptLib, CryptPkcs7VerifyCommon.c and CryptAuthenticode.c), which is what most firmware runs: the chain may end
 * in any certificate that is trusted, not only in a self-signed one; neither time nor purpose of a certificate counts;
 * every signer's signature must be good. */

#include "daemon/crypto/signed-data.h"

#include <errno.h>
#include <limits.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/crypto/openssl.h"

enum {
        DER_SIZE_MAX = 4 + 0xffff, /* firmware only knows lengths of two bytes here */
        CERTIFICATES_MAX = 64,
        SIGNERS_MAX = 16,
};

struct SignedData {
        PKCS7 *p7;
        Certificate *certificates[CERTIFICATES_MAX];
        size_t n_certificates;
        size_t signers[SIGNERS_MAX]; /* indices of certificates, for each SignerInfo */
        size_t n_signers;            /* 0 if one of them has no certificate inside */
        size_t chain[CERTIFICATES_MAX];
        size_t n_chain;
};

DEFINE_POINTER_CLEANUP(X509_STORE *, X509_STORE_free)

/* Reads one DER header of definite length at *SPAN's beginning; *SPAN moves behind the object. */
static int read_object_of_class(Span *span, int want_class, int want_tag, Span *ret_content) {
        const unsigned char *content = span->data;
        long length;
        int tag, class, r;

        if (span->size == 0)
                return -EBADMSG;
        r = ASN1_get_object(&content, &length, &tag, &class, span->size > INT_MAX ? INT_MAX : (long)span->size);
        if (r & 0x80 || r & 1)
                return openssl_failed(-EBADMSG);
        if (tag != want_tag || class != want_class)
                return -EBADMSG;

        *ret_content = (Span){content, length};
        span->size -= content + length - span->data;
        span->data = content + length;
        return 0;
}

static int read_object(Span *span, int want_tag, Span *ret_content) {
        return read_object_of_class(span, V_ASN1_UNIVERSAL, want_tag, ret_content);
}

/* Wraps a bare SignedData into the ContentInfo that OpenSSL works on. */
static int decode_bare(Span der, PKCS7 **ret) {
        _cleanup_(PKCS7_freep) PKCS7 *p7 = PKCS7_new();
        const unsigned char *end = der.data;

        if (!p7)
                return -ENOMEM;
        p7->d.sign = d2i_PKCS7_SIGNED(/* a= */ NULL, &end, der.size);
        if (!p7->d.sign)
                return -EBADMSG;
        p7->type = OBJ_nid2obj(NID_pkcs7_signed);
        if (end != der.data + der.size)
                return -EBADMSG;
        *ret = TAKE_POINTER(p7);
        return 0;
}

static int decode_wrapped(Span der, PKCS7 **ret) {
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        const unsigned char *end = der.data;

        p7 = d2i_PKCS7(/* a= */ NULL, &end, der.size);
        if (!p7 || end != der.data + der.size)
                return -EBADMSG;
        if (!PKCS7_type_is_signed(p7) || !p7->d.sign || !p7->d.sign->contents)
                return -EBADMSG;
        *ret = TAKE_POINTER(p7);
        return 0;
}

static int collect_certificates(SignedData *data) {
        STACK_OF(X509) *stack = data->p7->d.sign->cert;

        if (sk_X509_num(stack) > CERTIFICATES_MAX)
                return -EBADMSG;
        for (int i = 0; i < sk_X509_num(stack); i++) {
                int r = certificate_from_x509(sk_X509_value(stack, i), &data->certificates[i]);
                if (r < 0)
                        return r;
                data->n_certificates++;
        }
        return 0;
}

/* The index of the certificate that a SignerInfo names by issuer and serial number. */
static bool find_signer(const SignedData *data, const PKCS7_SIGNER_INFO *info, size_t *ret) {
        const PKCS7_ISSUER_AND_SERIAL *name = info->issuer_and_serial;

        if (!name || !name->issuer || !name->serial)
                return false;
        for (size_t i = 0; i < data->n_certificates; i++) {
                X509 *x509 = certificate_x509(data->certificates[i]);
                if (X509_NAME_cmp(X509_get_issuer_name(x509), name->issuer) == 0 &&
                    ASN1_INTEGER_cmp(X509_get0_serialNumber(x509), name->serial) == 0) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

static int collect_signers(SignedData *data) {
        STACK_OF(PKCS7_SIGNER_INFO) *infos = data->p7->d.sign->signer_info;
        int n_infos = sk_PKCS7_SIGNER_INFO_num(infos);

        if (n_infos > SIGNERS_MAX)
                return -EBADMSG;
        for (int i = 0; i < n_infos; i++)
                if (!find_signer(data, sk_PKCS7_SIGNER_INFO_value(infos, i), &data->signers[i]))
                        return 0;
        data->n_signers = n_infos > 0 ? n_infos : 0;
        return 0;
}

static bool chain_contains(const SignedData *data, size_t certificate) {
        for (size_t i = 0; i < data->n_chain; i++)
                if (data->chain[i] == certificate)
                        return true;
        return false;
}

/* Issuers are found by name only, as edk2 does. */
static void collect_chain(SignedData *data) {
        size_t next = data->signers[0];

        if (data->n_signers == 0)
                return;
        while (next < data->n_certificates && !chain_contains(data, next)) {
                const X509_NAME *issuer = X509_get_issuer_name(certificate_x509(data->certificates[next]));

                data->chain[data->n_chain++] = next;
                if (X509_NAME_cmp(X509_get_subject_name(certificate_x509(data->certificates[next])), issuer) == 0)
                        return;
                for (next = 0; next < data->n_certificates; next++)
                        if (X509_NAME_cmp(X509_get_subject_name(certificate_x509(data->certificates[next])), issuer) ==
                                    0 &&
                            !chain_contains(data, next))
                                break;
        }
}

int signed_data_parse(Span bytes, SignedData **ret, size_t *ret_size) {
        _cleanup_(signed_data_freep) SignedData *data = NULL;
        Span rest = bytes, content, der, ignored;
        int r;

        r = read_object(&rest, V_ASN1_SEQUENCE, &content);
        if (r < 0)
                return r;
        der = (Span){bytes.data, bytes.size - rest.size};
        if (der.size > DER_SIZE_MAX)
                return -EBADMSG;

        data = calloc(1, sizeof(*data));
        if (!data)
                return -ENOMEM;
        r = read_object(&content, V_ASN1_OBJECT, &ignored) >= 0 ? decode_wrapped(der, &data->p7)
                                                                : decode_bare(der, &data->p7);
        if (r < 0)
                return openssl_failed(r);
        r = collect_certificates(data);
        if (r < 0)
                return r;
        r = collect_signers(data);
        if (r < 0)
                return r;
        collect_chain(data);

        (void)openssl_failed(0);
        *ret = TAKE_POINTER(data);
        if (ret_size)
                *ret_size = der.size;
        return 0;
}

/* The same, with its header. */
static int read_whole_object(Span *span, int want_tag, Span *ret) {
        Span before = *span, content;
        int r;

        r = read_object(span, want_tag, &content);
        if (r < 0)
                return r;
        *ret = (Span){before.data, before.size - span->size};
        return 0;
}

/* Whether the issuer and serial number of a SignerInfo are, byte by byte, those of CERTIFICATE (RFC 5280, 4.1). */
static bool names_certificate(Span issuer_and_serial, Span certificate) {
        Span fields, version, serial, algorithm, issuer, named_issuer;

        return read_object(&certificate, V_ASN1_SEQUENCE, &fields) >= 0 &&
               read_object(&fields, V_ASN1_SEQUENCE, &certificate) >= 0 &&
               read_object_of_class(&certificate, V_ASN1_CONTEXT_SPECIFIC, 0, &version) >= 0 &&
               read_whole_object(&certificate, V_ASN1_INTEGER, &serial) >= 0 &&
               read_object(&certificate, V_ASN1_SEQUENCE, &algorithm) >= 0 &&
               read_whole_object(&certificate, V_ASN1_SEQUENCE, &issuer) >= 0 &&
               read_whole_object(&issuer_and_serial, V_ASN1_SEQUENCE, &named_issuer) >= 0 &&
               span_equal(named_issuer, issuer) && span_equal(issuer_and_serial, serial);
}

/* A SET with one SignerInfo, all of whose parts are there. */
static bool signers_are(Span signers, Span certificate) {
        Span info, issuer_and_serial, ignored;

        return read_object(&signers, V_ASN1_SEQUENCE, &info) >= 0 && signers.size == 0 &&
               read_object(&info, V_ASN1_INTEGER, &ignored) >= 0 &&
               read_object(&info, V_ASN1_SEQUENCE, &issuer_and_serial) >= 0 &&
               names_certificate(issuer_and_serial, certificate) &&
               read_object(&info, V_ASN1_SEQUENCE, &ignored) >= 0 &&
               read_object_of_class(&info, V_ASN1_CONTEXT_SPECIFIC, 0, &ignored) >= 0 &&
               read_object(&info, V_ASN1_SEQUENCE, &ignored) >= 0 &&
               read_object(&info, V_ASN1_OCTET_STRING, &ignored) >= 0 && info.size == 0;
}

bool signed_data_is_plainly_by(Span bytes, const Certificate *certificate) {
        Span der = certificate_der(certificate), info, wrapped, data, certificates, signers, ignored;

        return read_object(&bytes, V_ASN1_SEQUENCE, &info) >= 0 && read_object(&info, V_ASN1_OBJECT, &ignored) >= 0 &&
               read_object_of_class(&info, V_ASN1_CONTEXT_SPECIFIC, 0, &wrapped) >= 0 && info.size == 0 &&
               read_object(&wrapped, V_ASN1_SEQUENCE, &data) >= 0 && wrapped.size == 0 &&
               read_object(&data, V_ASN1_INTEGER, &ignored) >= 0 && read_object(&data, V_ASN1_SET, &ignored) >= 0 &&
               read_object(&data, V_ASN1_SEQUENCE, &ignored) >= 0 &&
               read_object_of_class(&data, V_ASN1_CONTEXT_SPECIFIC, 0, &certificates) >= 0 &&
               span_equal(certificates, der) && read_object(&data, V_ASN1_SET, &signers) >= 0 && data.size == 0 &&
               signers_are(signers, der);
}

SignedData *signed_data_free(SignedData *data) {
        if (data) {
                for (size_t i = 0; i < data->n_certificates; i++)
                        certificate_unref(data->certificates[i]);
                PKCS7_free(data->p7);
                free(data);
        }
        return NULL;
}

Certificate *signed_data_certificate(const SignedData *data, size_t index) {
        return index < data->n_certificates ? data->certificates[index] : NULL;
}

Certificate *signed_data_signer(const SignedData *data, size_t index) {
        return index < data->n_signers ? data->certificates[data->signers[index]] : NULL;
}

Certificate *signed_data_signer_chain(const SignedData *data, size_t index) {
        return index < data->n_chain ? data->certificates[data->chain[index]] : NULL;
}

/* The DER of SpcIndirectDataContent, header included; borrowed. */
static int indirect_data(const SignedData *data, Span *ret) {
        const PKCS7 *contents = data->p7->d.sign->contents;
        char type[32];

        if (!contents->type || OBJ_obj2txt(type, sizeof(type), contents->type, /* no_name= */ 1) < 0 ||
            strcmp(type, "1.3.6.1.4.1.311.2.1.4") != 0)
                return -EBADMSG;
        if (!contents->d.other || contents->d.other->type != V_ASN1_SEQUENCE)
                return -EBADMSG;

        *ret = (Span){ASN1_STRING_get0_data(contents->d.other->value.sequence),
                      ASN1_STRING_length(contents->d.other->value.sequence)};
        return 0;
}

static int read_digest_algorithm(Span oid, DigestAlgorithm *ret) {
        for (DigestAlgorithm i = 0; i < DIGEST_COUNT; i++)
                if (span_equal(oid, digest_oid(i))) {
                        *ret = i;
                        return 0;
                }
        return -EBADMSG;
}

/* SpcIndirectDataContent ::= SEQUENCE { SEQUENCE …, DigestInfo SEQUENCE { SEQUENCE { OID, … }, OCTET STRING } } */
static int read_image_digest(Span content, DigestAlgorithm *ret_algorithm, Span *ret_digest) {
        Span indirect, attribute, info, algorithm, oid, digest;
        int r;

        r = read_object(&content, V_ASN1_SEQUENCE, &indirect);
        if (r < 0)
                return r;
        r = read_object(&indirect, V_ASN1_SEQUENCE, &attribute);
        if (r < 0)
                return r;
        r = read_object(&indirect, V_ASN1_SEQUENCE, &info);
        if (r < 0)
                return r;
        r = read_object(&info, V_ASN1_SEQUENCE, &algorithm);
        if (r < 0)
                return r;
        r = read_object(&algorithm, V_ASN1_OBJECT, &oid);
        if (r < 0)
                return r;
        r = read_object(&info, V_ASN1_OCTET_STRING, &digest);
        if (r < 0)
                return r;
        if (content.size > 0 || indirect.size > 0 || info.size > 0)
                return -EBADMSG;
        r = read_digest_algorithm(oid, ret_algorithm);
        if (r < 0)
                return r;
        if (digest.size != digest_size(*ret_algorithm))
                return -EBADMSG;

        *ret_digest = digest;
        return 0;
}

int signed_data_image_digest(const SignedData *data, DigestAlgorithm *ret_algorithm,
                             uint8_t ret[static DIGEST_SIZE_MAX]) {
        DigestAlgorithm algorithm;
        Span content, digest;
        int r;

        r = indirect_data(data, &content);
        if (r < 0)
                return r;
        r = read_image_digest(content, &algorithm, &digest);
        if (r < 0)
                return r;

        *ret_algorithm = algorithm;
        memcpy(ret, digest.data, digest.size);
        return 0;
}

/* Firmware registers no other algorithms than these; and OpenSSL loses memory when it meets one that it has not. */
static bool digests_are_known(const SignedData *data) {
        STACK_OF(X509_ALGOR) *algorithms = data->p7->d.sign->md_algs;

        for (int i = 0; i < sk_X509_ALGOR_num(algorithms); i++) {
                const ASN1_OBJECT *object;
                DigestAlgorithm ignored;

                X509_ALGOR_get0(&object, /* pptype= */ NULL, /* ppval= */ NULL, sk_X509_ALGOR_value(algorithms, i));
                if (read_digest_algorithm((Span){OBJ_get0_data(object), OBJ_length(object)}, &ignored) < 0)
                        return false;
        }
        return true;
}

/* Older OpenSSL takes any type of value in this attribute for an OCTET STRING. */
static bool attributes_are_sound(const SignedData *data) {
        STACK_OF(PKCS7_SIGNER_INFO) *infos = data->p7->d.sign->signer_info;

        for (int i = 0; i < sk_PKCS7_SIGNER_INFO_num(infos); i++) {
                PKCS7_SIGNER_INFO *info = sk_PKCS7_SIGNER_INFO_value(infos, i);
                const ASN1_TYPE *digest = PKCS7_get_signed_attribute(info, NID_pkcs9_messageDigest);
                if (digest && digest->type != V_ASN1_OCTET_STRING)
                        return false;
        }
        return true;
}

static int make_store(Certificate *anchor, X509_STORE **ret) {
        _cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();

        if (!store || X509_STORE_add_cert(store, certificate_x509(anchor)) != 1)
                return -ENOMEM;
        if (X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME) != 1 ||
            X509_STORE_set_purpose(store, X509_PURPOSE_ANY) != 1)
                return -EIO;
        *ret = TAKE_POINTER(store);
        return 0;
}

int signed_data_verify(const SignedData *data, Span content, Certificate *anchor) {
        _cleanup_(X509_STORE_freep) X509_STORE *store = NULL;
        _cleanup_(BIO_freep) BIO *bio = NULL;
        Span indirect;
        int r;

        if (indirect_data(data, &indirect) >= 0) {
                r = content.size == 0 ? read_object(&indirect, V_ASN1_SEQUENCE, &content) : -EBADMSG;
                if (r < 0)
                        return -EKEYREJECTED;
        }
        if (data->n_signers == 0 || !digests_are_known(data) || !attributes_are_sound(data) || content.size > INT_MAX)
                return -EKEYREJECTED;
        r = make_store(anchor, &store);
        if (r < 0)
                return openssl_failed(r);
        bio = BIO_new_mem_buf(content.size > 0 ? (const void *)content.data : "", content.size);
        if (!bio)
                return openssl_failed(-ENOMEM);

        r = PKCS7_verify(data->p7, /* certs= */ NULL, store, bio, /* out= */ NULL, PKCS7_BINARY);
        return openssl_failed(r == 1 ? 0 : -EKEYREJECTED);
}
