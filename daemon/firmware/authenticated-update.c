/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/authenticated-update.h"

#include <errno.h>
#include <string.h>

#include "daemon/crypto/signed-data.h"

/* EFI_VARIABLE_AUTHENTICATION_2: EFI_TIME, then WIN_CERTIFICATE_UEFI_GUID: length (of itself and what it holds),
 * revision, type, the kind of certificate, the certificate. */
enum {
        CERTIFICATE_OFFSET = EFI_TIME_SIZE,
        CERTIFICATE_TYPE_OFFSET = CERTIFICATE_OFFSET + 6,
        CERTIFICATE_KIND_OFFSET = CERTIFICATE_OFFSET + 8,
        CERTIFICATE_HEADER_SIZE = 8 + GUID_SIZE,
        CERTIFICATE_DATA_OFFSET = CERTIFICATE_OFFSET + CERTIFICATE_HEADER_SIZE,

        WIN_CERT_REVISION_2_0 = 0x0200,
        WIN_CERT_TYPE_EFI_GUID = 0x0ef1,
};

static const Guid certificate_kind_pkcs7 =
        GUID_INIT(0x4aafd29d, 0x68df, 0x49ee, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7);

static int append_utf16(Buffer *buffer, const char *ascii) {
        if (!*ascii)
                return -EINVAL;
        for (const char *c = ascii; *c; c++) {
                if (*c < 0x20 || *c > 0x7e)
                        return -EINVAL;
                int r = buffer_append_u16(buffer, *c);
                if (r < 0)
                        return r;
        }
        return 0;
}

int authenticated_content_serialize(const AuthenticatedContent *content, Buffer *ret) {
        _cleanup_(buffer_done) Buffer bytes = {};
        int r;

        r = append_utf16(&bytes, content->name);
        if (r < 0)
                return r;
        r = buffer_append(&bytes, (Span){content->vendor->bytes, GUID_SIZE});
        if (r < 0)
                return r;
        r = buffer_append_u32(&bytes, content->attributes);
        if (r < 0)
                return r;
        r = buffer_append(&bytes, (Span){content->timestamp.bytes, EFI_TIME_SIZE});
        if (r < 0)
                return r;
        r = buffer_append(&bytes, content->data);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(bytes);
        return 0;
}

static int append_header(Buffer *buffer, const EfiTime *timestamp, size_t signature_size) {
        int r;

        if (signature_size > UINT32_MAX - CERTIFICATE_HEADER_SIZE)
                return -EINVAL;
        r = buffer_append(buffer, (Span){timestamp->bytes, EFI_TIME_SIZE});
        if (r < 0)
                return r;
        r = buffer_append_u32(buffer, CERTIFICATE_HEADER_SIZE + signature_size);
        if (r < 0)
                return r;
        r = buffer_append_u16(buffer, WIN_CERT_REVISION_2_0);
        if (r < 0)
                return r;
        r = buffer_append_u16(buffer, WIN_CERT_TYPE_EFI_GUID);
        if (r < 0)
                return r;
        return buffer_append(buffer, (Span){certificate_kind_pkcs7.bytes, GUID_SIZE});
}

int authenticated_update_make(const AuthenticatedContent *content, Signer *signer, Buffer *ret) {
        _cleanup_(buffer_done) Buffer covered = {}, signature = {}, update = {};
        int r;

        r = authenticated_content_serialize(content, &covered);
        if (r < 0)
                return r;
        r = signed_data_make_detached(signer, buffer_span(&covered), &signature);
        if (r < 0)
                return r;
        r = append_header(&update, &content->timestamp, signature.size);
        if (r < 0)
                return r;
        r = buffer_append(&update, buffer_span(&signature));
        if (r < 0)
                return r;
        r = buffer_append(&update, content->data);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(update);
        return 0;
}

/* Firmware does not look at the revision. */
static bool is_pkcs7(Span bytes) {
        uint16_t type;
        Span kind;

        return span_u16(bytes, CERTIFICATE_TYPE_OFFSET, &type) >= 0 && type == WIN_CERT_TYPE_EFI_GUID &&
               span_slice(bytes, CERTIFICATE_KIND_OFFSET, GUID_SIZE, &kind) >= 0 &&
               span_equal(kind, (Span){certificate_kind_pkcs7.bytes, GUID_SIZE});
}

int authenticated_update_parse(Span bytes, AuthenticatedUpdate *ret) {
        AuthenticatedUpdate update = {};
        uint32_t length;
        int r;

        if (bytes.size < CERTIFICATE_DATA_OFFSET)
                return -EBADMSG;
        r = span_u32(bytes, CERTIFICATE_OFFSET, &length);
        if (r < 0)
                return r;
        if (length < CERTIFICATE_HEADER_SIZE)
                return -EBADMSG;
        r = span_slice(bytes, CERTIFICATE_DATA_OFFSET, length - CERTIFICATE_HEADER_SIZE, &update.signed_data);
        if (r < 0)
                return r;
        uint64_t data_offset = (uint64_t)CERTIFICATE_OFFSET + length;
        r = span_slice(bytes, data_offset, bytes.size - data_offset, &update.data);
        if (r < 0)
                return r;
        memcpy(update.timestamp.bytes, bytes.data, EFI_TIME_SIZE);
        update.is_pkcs7 = is_pkcs7(bytes);
        *ret = update;
        return 0;
}

int authenticated_update_verify(const AuthenticatedUpdate *update, const char *name, const Guid *vendor,
                                uint32_t attributes, Certificate *anchor) {
        AuthenticatedContent content = {
                .name = name,
                .vendor = vendor,
                .attributes = attributes,
                .timestamp = update->timestamp,
                .data = update->data,
        };
        _cleanup_(buffer_done) Buffer covered = {};
        _cleanup_(signed_data_freep) SignedData *signature = NULL;
        int r;

        if (!update->is_pkcs7)
                return -EBADMSG;
        r = signed_data_parse(update->signed_data, &signature, /* ret_size= */ NULL);
        if (r < 0)
                return r;
        r = authenticated_content_serialize(&content, &covered);
        if (r < 0)
                return r;
        return signed_data_verify(signature, buffer_span(&covered), anchor);
}
