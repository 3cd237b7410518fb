/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Making signatures. Nothing here asks for the time or for random numbers: the same input gives the same bytes, so that
 * an image that is built twice is the same image. (RSA with PKCS#1 v1.5 padding is deterministic.) */

#include "daemon/crypto/signed-data.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "daemon/crypto/openssl.h"

/* SpcIndirectDataContent, all of whose fields but the digest are constant: { { SPC_PE_IMAGE_DATAOBJ, SpcPeImageData {
 * no flags, the file "<<<Obsolete>>>" in UTF-16 } }, { { SHA-256, NULL }, digest } }. */
static const uint8_t indirect_data_prefix[] = {
        0x30, 0x68,                                                             /* SpcIndirectDataContent */
        0x30, 0x33,                                                             /* SpcAttributeTypeAndOptionalValue */
        0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0f, /* SPC_PE_IMAGE_DATAOBJ */
        0x30, 0x25, 0x03, 0x01, 0x00,                                           /* SpcPeImageData, flags */
        0xa0, 0x20, 0xa2, 0x1e, 0x80, 0x1c,                                     /* SpcLink, file, unicode */
        0x00, '<',  0x00, '<',  0x00, '<',  0x00, 'O',  0x00, 'b',  0x00, 's',  0x00, 'o',  0x00, 'l', 0x00,
        'e',  0x00, 't',  0x00, 'e',  0x00, '>',  0x00, '>',  0x00, '>',  0x30, 0x31, 0x30, 0x0d, /* DigestInfo,
                                                                                                     AlgorithmIdentifier
                                                                                                   */
        0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,                         /* SHA-256 */
        0x05, 0x00, 0x04, 0x20, /* no parameters; the digest */
};

enum {
        INDIRECT_DATA_SIZE = sizeof(indirect_data_prefix) + SHA256_SIZE,
        INDIRECT_DATA_HEADER_SIZE = 2, /* the signature covers the sequence's content without tag and length */
};

/* The content in the form that PKCS7 has for types that OpenSSL does not know. */
static int set_indirect_data(PKCS7 *p7, const uint8_t *content) {
        PKCS7 *inner = PKCS7_new();
        ASN1_TYPE *other = ASN1_TYPE_new();
        ASN1_STRING *sequence = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
        ASN1_OBJECT *type = OBJ_txt2obj("1.3.6.1.4.1.311.2.1.4", /* no_name= */ 1); /* SPC_INDIRECT_DATA_OBJID */

        if (!inner || !other || !sequence || !type || ASN1_STRING_set(sequence, content, INDIRECT_DATA_SIZE) != 1) {
                PKCS7_free(inner);
                ASN1_TYPE_free(other);
                ASN1_STRING_free(sequence);
                ASN1_OBJECT_free(type);
                return -ENOMEM;
        }

        ASN1_TYPE_set(other, V_ASN1_SEQUENCE, sequence);
        inner->type = type;
        inner->d.other = other;
        if (PKCS7_set_content(p7, inner) != 1) {
                PKCS7_free(inner);
                return -EIO;
        }
        return 0;
}

static int add_signed_attributes(PKCS7_SIGNER_INFO *info, const uint8_t *content, int64_t signing_time) {
        const Span covered = {content + INDIRECT_DATA_HEADER_SIZE, INDIRECT_DATA_SIZE - INDIRECT_DATA_HEADER_SIZE};
        ASN1_OBJECT *type = OBJ_txt2obj("1.3.6.1.4.1.311.2.1.4", /* no_name= */ 1);
        ASN1_TIME *time;
        Sha256 digest;
        int r;

        if (!type)
                return -ENOMEM;
        if (PKCS7_add_signed_attribute(info, NID_pkcs9_contentType, V_ASN1_OBJECT, type) != 1) {
                ASN1_OBJECT_free(type);
                return -ENOMEM;
        }
        time = ASN1_TIME_set(/* s= */ NULL, signing_time);
        if (!time)
                return -ERANGE;
        if (PKCS7_add0_attrib_signing_time(info, time) != 1) {
                ASN1_TIME_free(time);
                return -ENOMEM;
        }
        r = sha256_of(covered, &digest);
        if (r < 0)
                return r;
        return PKCS7_add1_attrib_digest(info, digest.bytes, sizeof(digest.bytes)) == 1 ? 0 : -ENOMEM;
}

/* What was signed are the attributes, as a SET. */
static int check_signature(Signer *signer, const PKCS7_SIGNER_INFO *info) {
        const Span signature = {ASN1_STRING_get0_data(info->enc_digest), ASN1_STRING_length(info->enc_digest)};
        unsigned char *attributes = NULL;
        int size, r;

        size = ASN1_item_i2d((ASN1_VALUE *)info->auth_attr, &attributes, ASN1_ITEM_rptr(PKCS7_ATTR_VERIFY));
        if (size < 0)
                return -ENOMEM;
        r = signer_check_signature(signer, (Span){attributes, size}, signature);
        OPENSSL_free(attributes);
        return r;
}

static int sign_authenticode(Signer *signer, const Sha256 *image_digest, int64_t signing_time, PKCS7 *p7) {
        X509 *x509 = certificate_x509(signer_certificate(signer));
        uint8_t content[INDIRECT_DATA_SIZE];
        PKCS7_SIGNER_INFO *info;
        int r;

        memcpy(mempcpy(content, indirect_data_prefix, sizeof(indirect_data_prefix)), image_digest->bytes, SHA256_SIZE);
        if (PKCS7_set_type(p7, NID_pkcs7_signed) != 1 || PKCS7_add_certificate(p7, x509) != 1)
                return -ENOMEM;
        r = set_indirect_data(p7, content);
        if (r < 0)
                return r;
        info = PKCS7_add_signature(p7, x509, signer_key(signer), EVP_sha256());
        if (!info)
                return -EIO;
        r = add_signed_attributes(info, content, signing_time);
        if (r < 0)
                return r;
        if (PKCS7_SIGNER_INFO_sign(info) != 1)
                return signer_is_tried(signer) ? -EIO : -ENOKEY;
        return signer_is_tried(signer) ? 0 : check_signature(signer, info);
}

static int append_der(unsigned char *der, int size, Buffer *ret) {
        Buffer buffer = {};
        int r;

        if (size < 0)
                return openssl_failed(-ENOMEM);
        r = buffer_append(&buffer, (Span){der, size});
        OPENSSL_free(der);
        if (r < 0)
                return r;
        *ret = buffer;
        return 0;
}

int signed_data_make_authenticode(Signer *signer, const Sha256 *image_digest, int64_t signing_time, Buffer *ret) {
        _cleanup_(PKCS7_freep) PKCS7 *p7 = PKCS7_new();
        unsigned char *der = NULL;
        int r;

        if (!p7)
                return openssl_failed(-ENOMEM);
        r = sign_authenticode(signer, image_digest, signing_time, p7);
        if (r < 0)
                return openssl_failed(r);
        signer_count(signer);
        return append_der(der, i2d_PKCS7(p7, &der), ret);
}

int signed_data_make_detached(Signer *signer, Span content, Buffer *ret) {
        const int flags = PKCS7_BINARY | PKCS7_DETACHED | PKCS7_NOATTR;
        X509 *x509 = certificate_x509(signer_certificate(signer));
        _cleanup_(PKCS7_freep) PKCS7 *p7 = NULL;
        _cleanup_(BIO_freep) BIO *bio = NULL;
        unsigned char *der = NULL;
        int r;

        if (content.size > INT_MAX)
                return -EFBIG;
        r = signer_try(signer);
        if (r < 0)
                return r;
        bio = BIO_new_mem_buf(content.size > 0 ? (const void *)content.data : "", content.size);
        p7 = PKCS7_sign(/* signcert= */ NULL, /* pkey= */ NULL, /* certs= */ NULL, /* data= */ NULL,
                        flags | PKCS7_PARTIAL);
        if (!bio || !p7)
                return openssl_failed(-ENOMEM);
        if (!PKCS7_sign_add_signer(p7, x509, signer_key(signer), EVP_sha256(), flags) ||
            PKCS7_final(p7, bio, flags) != 1)
                return openssl_failed(-EIO);
        signer_count(signer);
        return append_der(der, i2d_PKCS7_SIGNED(p7->d.sign, &der), ret);
}
