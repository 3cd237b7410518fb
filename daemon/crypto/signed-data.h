/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* PKCS#7 SignedData (RFC 2315), in the two forms that UEFI knows: Authenticode, which carries its content
 * (SpcIndirectDataContent), and the signature of an authenticated variable, which is detached. */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/crypto/signer.h"
#include "daemon/util/buffer.h"
#include "daemon/util/span.h"

/* Makes an Authenticode signature over an image's SHA-256 digest: a ContentInfo with SignedData over
 * SpcIndirectDataContent, with the certificate inside. SIGNING_TIME in seconds since 1970: the same time gives the same
 * bytes. "Windows Authenticode Portable Executable Signature Format". */
int signed_data_make_authenticode(Signer *signer, const Sha256 *image_digest, int64_t signing_time, Buffer *ret);

/* Makes a detached signature over CONTENT: bare SignedData without ContentInfo, SHA-256, no signed attributes (UEFI
 * specification, 8.2.2, EFI_VARIABLE_AUTHENTICATION_2). */
int signed_data_make_detached(Signer *signer, Span content, Buffer *ret);

/* A parsed SignedData, with or without ContentInfo around it. */
typedef struct SignedData SignedData;

/* Parses. Returns -EBADMSG for what is none; *RET_SIZE (may be NULL) gets the bytes that were used: others may follow.
 */
int signed_data_parse(Span bytes, SignedData **ret, size_t *ret_size);
SignedData *signed_data_free(SignedData *data);
DEFINE_POINTER_CLEANUP(SignedData *, signed_data_free)

/* A quick look, without decoding keys and names (which costs OpenSSL a third of a millisecond): whether BYTES begin
 * with SignedData in a ContentInfo whose one certificate is CERTIFICATE and whose one signer names it, in the form that
 * signed_data_make_authenticode() gives it. What another program made may be by it too and yet not look so: then
 * signed_data_parse() tells. Like that one it says who signed, not whether the signature is good. */
bool signed_data_is_plainly_by(Span bytes, const Certificate *certificate);

/* The certificates inside, in their order; borrowed. INDEX past the end gives NULL. */
Certificate *signed_data_certificate(const SignedData *data, size_t index);

/* The certificate of each signer, borrowed: NULL past the last one. None at all if one of the signers has no
 * certificate inside: then firmware finds no signers either, and refuses. */
Certificate *signed_data_signer(const SignedData *data, size_t index);

/* The chain that edk2 looks at, from the (first) signer's certificate up through the certificates inside; borrowed;
 * INDEX 0 is the signer's own; NULL past the end, at a loop, or where no certificate inside belongs to the signer. */
Certificate *signed_data_signer_chain(const SignedData *data, size_t index);

/* The image digest in an Authenticode signature. Returns -EBADMSG if the content is no SpcIndirectDataContent or its
 * algorithm is unknown. */
int signed_data_image_digest(const SignedData *data, DigestAlgorithm *ret_algorithm,
                             uint8_t ret[static DIGEST_SIZE_MAX]);

/* Verifies the signature as edk2's Pkcs7Verify/AuthenticodeVerify do: by a chain that ends in ANCHOR (which may be an
 * intermediate or the signer itself), expiry ignored. CONTENT is the detached content; for Authenticode an empty span:
 * then its own content is verified. Returns 0, or -EKEYREJECTED. */
int signed_data_verify(const SignedData *data, Span content, Certificate *anchor);
