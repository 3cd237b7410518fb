/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this folder's files share with each other and with nobody else: OpenSSL's objects behind our types. */

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/crypto/signer.h"
#include "daemon/util/macro.h"

DEFINE_POINTER_CLEANUP(BIO *, BIO_free)
DEFINE_POINTER_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_POINTER_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_POINTER_CLEANUP(PKCS7 *, PKCS7_free)
DEFINE_POINTER_CLEANUP(X509 *, X509_free)

/* Empties the thread's error queue, which nobody reads, and returns ERROR. */
int openssl_failed(int error);

const EVP_MD *digest_algorithm_md(DigestAlgorithm algorithm);

/* Borrowed. OpenSSL locks what it caches inside an X509, so that a constant certificate may be asked by two threads. */
X509 *certificate_x509(const Certificate *certificate);

/* A new reference to a certificate with the same DER. Returns -EBADMSG or -ENOMEM. */
int certificate_from_x509(const X509 *x509, Certificate **ret);

/* Borrowed. Whoever uses it to sign counts it, and has one of its signatures checked before the first one is given to
 * anybody: by signer_try(), or what SIGNER made of TEXT with SHA-256 by signer_check_signature(). Both return -ENOKEY
 * if the signature isn't good. */
EVP_PKEY *signer_key(const Signer *signer);
bool signer_is_tried(const Signer *signer);
int signer_check_signature(Signer *signer, Span text, Span signature);
void signer_count(Signer *signer);
