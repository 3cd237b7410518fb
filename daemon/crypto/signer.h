/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Signer is a private key and its certificate, wherever the key lives. Nobody outside this folder sees the key. */

#include <stdint.h>

#include "daemon/crypto/certificate.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"

typedef struct Signer Signer;

/* Reads a PEM key (PKCS#8 or traditional, not encrypted) and a PEM certificate. Returns -EBADMSG if the certificate
 * can't be read, -ENOKEY if the key can't (-EACCES where it is encrypted), -EKEYREJECTED if the two don't belong
 * together, -ERANGE for a key that firmware need not accept (not RSA of 2048 to 4096 bits).
 *
 * That the key signs well is not known yet: no signature leaves this folder before one was good. */
int signer_read_pem(Span key_pem, Span certificate_pem, Signer **ret);

/* Whether it does: makes a signature, if none was good so far. Returns -ENOKEY if that isn't good. */
int signer_try(Signer *signer);

/* Both. */
int signer_new_from_pem(Span key_pem, Span certificate_pem, Signer **ret);
Signer *signer_free(Signer *signer);
DEFINE_POINTER_CLEANUP(Signer *, signer_free)

/* Borrowed. */
Certificate *signer_certificate(const Signer *signer);

/* How often this signer has signed: what "a second run signs nothing" is measured by. */
uint64_t signer_signature_count(const Signer *signer);
