/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* X.509 certificates, immutable and reference-counted. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/crypto/digest.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"

typedef struct Certificate Certificate;

/* Parses exactly one certificate. Returns -EBADMSG for anything that is none, or that more bytes follow (PEM may have
 * text around the block, as `openssl x509 -text` writes it). The caller owns one reference. */
int certificate_from_der(Span der, Certificate **ret);
int certificate_from_pem(Span pem, Certificate **ret);

/* The fingerprint of the certificate in PEM, which is not parsed: that would take many times as long. Returns -EBADMSG
 * for what is not the PEM of exactly one. */
int certificate_fingerprint_of_pem(Span pem, Sha256 *ret);

Certificate *certificate_ref(Certificate *certificate);
Certificate *certificate_unref(Certificate *certificate); /* returns NULL */
DEFINE_POINTER_CLEANUP(Certificate *, certificate_unref)

/* All of these are borrowed and live as long as the certificate. */
Span certificate_der(const Certificate *certificate);
const Sha256 *certificate_fingerprint(const Certificate *certificate); /* SHA-256 of the DER */
const char *certificate_subject(const Certificate *certificate);       /* RFC 2253, UTF-8, control characters escaped */
const char *certificate_issuer(const Certificate *certificate);        /* the same of the issuer */
const char *certificate_common_name(const Certificate *certificate);   /* the last CN of the subject, or "" */

/* The to-be-signed part's digest, which a dbx entry EFI_CERT_X509_SHA256_GUID names (UEFI specification, 32.4.1). */
int certificate_tbs_digest(const Certificate *certificate, DigestAlgorithm algorithm,
                           uint8_t ret[static DIGEST_SIZE_MAX]);

/* Seconds since 1970; 0 if it can't be read (firmware does not look at it either). */
int64_t certificate_not_before(const Certificate *certificate);
int64_t certificate_not_after(const Certificate *certificate);

/* "RSA", "EC" or another short name, and its bits; "unknown" and 0 for a key that OpenSSL does not know. */
const char *certificate_key_type(const Certificate *certificate);
unsigned certificate_key_bits(const Certificate *certificate);

bool certificate_equal(const Certificate *a, const Certificate *b);
