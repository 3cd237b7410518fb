/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Authenticated updates: EFI_VARIABLE_AUTHENTICATION_2 and the new content behind it, what SetVariable() takes for PK,
 * KEK, db and dbx, and what an .auth file holds (UEFI specification, 8.2.2 and 8.2.6). */

#include <stdbool.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/signer.h"
#include "daemon/firmware/efi-time.h"
#include "daemon/util/buffer.h"
#include "daemon/util/guid.h"
#include "daemon/util/span.h"

/* What is signed. Borrowed. */
typedef struct AuthenticatedContent {
        const char *name; /* ASCII */
        const Guid *vendor;
        uint32_t attributes; /* as they are passed to SetVariable(): with VARIABLE_APPEND_WRITE for an append */
        EfiTime timestamp;
        Span data;
} AuthenticatedContent;

/* The bytes that the signature covers: name in UTF-16 without NUL, vendor, attributes, timestamp, data. Returns -EINVAL
 * for a name that is empty or not ASCII. */
int authenticated_content_serialize(const AuthenticatedContent *content, Buffer *ret);

/* Signs CONTENT: header and data, ready for variables_write() with the same name, vendor and attributes. */
int authenticated_update_make(const AuthenticatedContent *content, Signer *signer, Buffer *ret);

/* A parsed update; spans point into its bytes. */
typedef struct AuthenticatedUpdate {
        EfiTime timestamp;
        Span signed_data; /* not looked into */
        Span data;
        bool is_pkcs7; /* WIN_CERT_REVISION_2_0, WIN_CERT_TYPE_EFI_GUID, EFI_CERT_TYPE_PKCS7_GUID: the only usable kind
                        */
} AuthenticatedUpdate;

/* Parses. Returns -EBADMSG where bytes are missing or sizes don't fit. */
int authenticated_update_parse(Span bytes, AuthenticatedUpdate *ret);

/* Verifies that UPDATE was signed for this variable and these attributes by a chain that ends in ANCHOR. Returns 0,
 * -EKEYREJECTED, or -EBADMSG for a signature that is malformed or of another kind. */
int authenticated_update_verify(const AuthenticatedUpdate *update, const char *name, const Guid *vendor,
                                uint32_t attributes, Certificate *anchor);
