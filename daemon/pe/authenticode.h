/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signatures of PE images ("Windows Authenticode Portable Executable Signature Format"), computed and read as UEFI
 * firmware does (edk2, DxeImageVerificationLib). */

#include <stddef.h>
#include <stdint.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/crypto/signed-data.h"
#include "daemon/crypto/signer.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/buffer.h"
#include "daemon/util/span.h"

/* The digest of a whole image: everything but the checksum, the certificate table and its directory entry. Returns
 * -EBADMSG where firmware finds that sections and certificate table don't fit into the file. */
int authenticode_digest(const PeImage *image, DigestAlgorithm algorithm, uint8_t ret[static DIGEST_SIZE_MAX]);

/* Signs IMAGE, a whole PE file, in place: pads it to 8 bytes, replaces the signatures that it has by one (SHA-256),
 * sets directory and checksum. The same SIGNING_TIME (seconds since 1970) gives the same bytes. Returns -EBADMSG if it
 * is no image that can be signed: no certificate directory in its header, data behind its certificate table, or
 * sections that share bytes of the file. After
 * any failure IMAGE is as it was. */
int authenticode_sign(Buffer *image, Signer *signer, int64_t signing_time);

/* The same beside the signatures that IMAGE has, which stay good. -EBADMSG also where firmware stops in its certificate
 * table. */
int authenticode_add(Buffer *image, Signer *signer, int64_t signing_time);

/* What authenticode_sign() would say of the form of IMAGE: 0 or -EBADMSG. */
int authenticode_check_form(Span image);

/* One entry of a certificate table. */
typedef struct AuthenticodeEntry {
        bool is_pkcs7; /* false: a kind that firmware passes over */
        Span data; /* its PKCS#7 data, with any padding behind that its own length counts; borrowed from the table */
} AuthenticodeEntry;

/* Walks through a certificate table as firmware does; *OFFSET begins as 0. Returns 1 and an entry; 0 at the table's
 * proper end; -EBADMSG where firmware stops and refuses the image, whatever came before (an entry of impossible length,
 * or bytes behind the last one). */
int authenticode_next(Span table, size_t *offset, AuthenticodeEntry *ret);

/* The digest algorithm by which firmware compares a signature with the image: it looks at one fixed place of the bytes.
 * Returns -EOPNOTSUPP where it recognises none there and passes the signature over. */
int authenticode_algorithm(Span pkcs7, DigestAlgorithm *ret);

/* Whether the signature is of an image with this digest: 0, or -EKEYREJECTED. Says nothing about who signed. */
int authenticode_matches(const SignedData *data, DigestAlgorithm algorithm,
                         const uint8_t digest[static DIGEST_SIZE_MAX]);

/* Whether a whole image has a good signature by a chain that ends in ANCHOR (see signed_data_verify()), and a sound
 * certificate table. Returns 0; -ENODATA for an unsigned image; -EKEYREJECTED if no signature in it is good; -EBADMSG
 * for a broken image or table. Judges by this one certificate only: what firmware would say to the image by its db and
 * dbx is another question. */
int authenticode_verify(Span image, Certificate *anchor);
