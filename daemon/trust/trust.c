/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* edk2's decision, DxeImageVerificationHandler() and what it calls, in edk2's order, also where the UEFI specification
 * (32.5) would allow another: an image is compared by every digest algorithm if it is unsigned, and by each signature's
 * own if it is signed; a single forbidden signature outweighs every good one; intermediates may be anchors, and nobody
 * looks at expiry.
 *
 * Each step below settles one question about one signature. What is collected is the verdict, with the reason that was
 * given last: the one that decided. */

#include "daemon/trust/trust.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/digest.h"
#include "daemon/crypto/signed-data.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"

/* How lists name the digest of an image, and the digest of a certificate with the time of its revocation. */
static const struct {
        const char *name;
        const Guid *image_type, *certificate_type;
} algorithms[DIGEST_COUNT] = {
        [DIGEST_SHA1] = {"SHA-1", &signature_type_sha1, NULL},
        [DIGEST_SHA256] = {"SHA-256", &signature_type_sha256, &signature_type_x509_sha256},
        [DIGEST_SHA384] = {"SHA-384", &signature_type_sha384, &signature_type_x509_sha384},
        [DIGEST_SHA512] = {"SHA-512", &signature_type_sha512, &signature_type_x509_sha512},
};

typedef struct ImageDigest {
        DigestAlgorithm algorithm;
        uint8_t bytes[DIGEST_SIZE_MAX];
} ImageDigest;

/* One signature of the image. DATA is NULL where its bytes are no SignedData; firmware goes on with such a one. */
typedef struct Signature {
        const SignedData *data;
        const ImageDigest *digest;
} Signature;

void trust_verdict_done(TrustVerdict *verdict) {
        free(verdict->reason);
        *verdict = (TrustVerdict){};
}

/* Replaces the verdict. Returns 0 or -ENOMEM. */
static _printf_(3, 4) int decide(TrustVerdict *verdict, bool allowed, const char *format, ...) {
        va_list arguments;
        char *reason;
        int r;

        va_start(arguments, format);
        r = vasprintf(&reason, format, arguments);
        va_end(arguments);
        if (r < 0)
                return -ENOMEM;
        trust_verdict_done(verdict);
        *verdict = (TrustVerdict){.allowed = allowed, .reason = reason};
        return 0;
}

static Span digest_span(const ImageDigest *digest) {
        return (Span){digest->bytes, digest_size(digest->algorithm)};
}

static int decide_by_digest(TrustVerdict *verdict, bool allowed, const ImageDigest *digest, const char *what) {
        _cleanup_(free_pointer) char *hex = hex_encode(digest_span(digest));

        if (!hex)
                return -ENOMEM;
        return decide(verdict, allowed, "its %s %s %s", algorithms[digest->algorithm].name, hex, what);
}

/* 1 if DATABASE names the image by this digest, else 0: a database was checked before anything is asked of it. */
static bool has_image_digest(Span database, const ImageDigest *digest) {
        return signature_database_contains(database, algorithms[digest->algorithm].image_type, /* owner= */ NULL,
                                           digest_span(digest)) > 0;
}

/* 1 and the digest; 0 where firmware can't compute it, and passes over whatever needs it. */
static int compute_digest(const PeImage *image, DigestAlgorithm algorithm, ImageDigest *ret) {
        ImageDigest digest = {.algorithm = algorithm};
        int r;

        r = authenticode_digest(image, algorithm, digest.bytes);
        if (r == -EBADMSG || r == -EOPNOTSUPP)
                return 0;
        if (r < 0)
                return r;
        *ret = digest;
        return 1;
}

/* dbx by any digest refuses, else db by any digest allows. */
static int judge_unsigned(const PeImage *image, const TrustLists *lists, TrustVerdict *verdict) {
        ImageDigest digest;
        int r;

        for (DigestAlgorithm algorithm = DIGEST_COUNT; algorithm-- > 0;) {
                r = compute_digest(image, algorithm, &digest);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                if (has_image_digest(lists->dbx, &digest))
                        return decide_by_digest(verdict, false, &digest, "is in dbx");
                if (has_image_digest(lists->db, &digest))
                        r = decide_by_digest(verdict, true, &digest, "is in db");
                else if (algorithm == DIGEST_SHA256 && !verdict->allowed)
                        r = decide_by_digest(verdict, false, &digest, "is not in db, and it is not signed");
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Finds the first certificate of DATABASE by which the signature is good. Returns 1 and it, 0, or -ENOMEM, -EIO. */
static int find_anchor(Span database, const Signature *signature, Certificate **ret) {
        SignatureIterator iterator = signature_iterator(database);
        SignatureEntry entry;
        int r;

        if (!signature->data ||
            authenticode_matches(signature->data, signature->digest->algorithm, signature->digest->bytes) < 0)
                return 0;
        while (signature_iterator_next(&iterator, &entry) > 0) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                if (!guid_equal(&entry.type, &signature_type_x509))
                        continue;
                r = certificate_from_der(entry.data, &certificate);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        continue;
                r = signed_data_verify(signature->data, (Span){}, certificate);
                if (r < 0 && r != -EKEYREJECTED)
                        return r;
                if (r < 0)
                        continue;
                *ret = TAKE_POINTER(certificate);
                return 1;
        }
        return 0;
}

/* The algorithm of an entry that names a certificate by its digest; -ENOENT for every other entry. */
static int certificate_digest_algorithm(const SignatureEntry *entry, DigestAlgorithm *ret) {
        for (DigestAlgorithm i = 0; i < DIGEST_COUNT; i++)
                if (algorithms[i].certificate_type && guid_equal(&entry->type, algorithms[i].certificate_type)) {
                        *ret = i;
                        return 0;
                }
        return -ENOENT;
}

/* Whether dbx revokes CERTIFICATE by its digest: 1, 0, or an error. The time behind the digest, from which on that
 * holds, is not looked at (see trust.h). */
static int is_revoked(Span dbx, const Certificate *certificate) {
        SignatureIterator iterator = signature_iterator(dbx);
        SignatureEntry entry;
        int r;

        while (signature_iterator_next(&iterator, &entry) > 0) {
                uint8_t digest[DIGEST_SIZE_MAX];
                DigestAlgorithm algorithm;

                if (certificate_digest_algorithm(&entry, &algorithm) < 0)
                        continue;
                r = certificate_tbs_digest(certificate, algorithm, digest);
                if (r < 0)
                        return r;
                if (span_starts_with(entry.data, (Span){digest, digest_size(algorithm)}))
                        return 1;
        }
        return 0;
}

/* Each of these asks whether dbx forbids the signature in one way: 1 with a verdict, 0 without, or an error. */
static int forbid_by_anchor(const Signature *signature, const TrustLists *lists, TrustVerdict *verdict) {
        _cleanup_(certificate_unrefp) Certificate *anchor = NULL;
        int r;

        r = find_anchor(lists->dbx, signature, &anchor);
        if (r <= 0)
                return r;
        r = decide(verdict, false, "it is signed by way of the certificate \"%s\", which is in dbx",
                   certificate_subject(anchor));
        return r < 0 ? r : 1;
}

static int forbid_without_signer(const Signature *signature, TrustVerdict *verdict) {
        int r;

        if (signature->data && signed_data_signer(signature->data, 0))
                return 0;
        r = decide(verdict, false,
                   "it has a signature without the signer's certificate, which is forbidden once there is a dbx");
        return r < 0 ? r : 1;
}

static int forbid_by_certificate_digest(const Signature *signature, const TrustLists *lists, TrustVerdict *verdict) {
        const Certificate *signer;
        int r;

        for (size_t i = 0; (signer = signed_data_signer(signature->data, i)); i++) {
                r = is_revoked(lists->dbx, signer);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = decide(verdict, false, "it is signed by \"%s\", whose certificate's digest is in dbx",
                           certificate_subject(signer));
                return r < 0 ? r : 1;
        }
        return 0;
}

static int forbid_by_dbx(const Signature *signature, const TrustLists *lists, TrustVerdict *verdict) {
        int r;

        if (lists->dbx.size == 0)
                return 0;
        r = forbid_by_anchor(signature, lists, verdict);
        if (r != 0)
                return r;
        r = forbid_without_signer(signature, verdict);
        if (r != 0)
                return r;
        return forbid_by_certificate_digest(signature, lists, verdict);
}

/* Whether db allows the signature by a certificate. The first one that fits decides, and is itself looked up in dbx. */
static int allow_by_certificate(const Signature *signature, const TrustLists *lists, TrustVerdict *verdict) {
        _cleanup_(certificate_unrefp) Certificate *anchor = NULL;
        int r;

        r = find_anchor(lists->db, signature, &anchor);
        if (r <= 0)
                return r;
        r = is_revoked(lists->dbx, anchor);
        if (r < 0)
                return r;
        if (r > 0)
                return decide(verdict, false, "it is signed by way of \"%s\" in db, whose digest is in dbx",
                              certificate_subject(anchor));
        return decide(verdict, true, "it is signed by way of \"%s\" in db", certificate_subject(anchor));
}

static int report_unknown(const Signature *signature, TrustVerdict *verdict) {
        const Certificate *signer = signature->data ? signed_data_signer(signature->data, 0) : NULL;

        if (verdict->reason)
                return 0;
        if (!signer)
                return decide(verdict, false, "its signature can't be read, and its digest is not in db");
        if (authenticode_matches(signature->data, signature->digest->algorithm, signature->digest->bytes) < 0)
                return decide(verdict, false, "it was changed after \"%s\" signed it", certificate_subject(signer));
        return decide(verdict, false,
                      "its signature by \"%s\" leads to no certificate in db, and its digest is not there",
                      certificate_subject(signer));
}

/* Judges one signature. Returns 1 if it forbids the image whatever else is there, 0 if the next one is asked. */
static int judge_signature(const Signature *signature, const TrustLists *lists, TrustVerdict *verdict) {
        int r;

        r = forbid_by_dbx(signature, lists, verdict);
        if (r != 0)
                return r;
        r = verdict->allowed ? 0 : allow_by_certificate(signature, lists, verdict);
        if (r < 0)
                return r;
        if (has_image_digest(lists->dbx, signature->digest)) {
                r = decide_by_digest(verdict, false, signature->digest, "is in dbx");
                return r < 0 ? r : 1;
        }
        if (verdict->allowed)
                return 0;
        if (has_image_digest(lists->db, signature->digest))
                return decide_by_digest(verdict, true, signature->digest, "is in db");
        return report_unknown(signature, verdict);
}

/* Judges one entry of the certificate table, as judge_signature(). */
static int judge_entry(const PeImage *image, Span pkcs7, const TrustLists *lists, TrustVerdict *verdict) {
        _cleanup_(signed_data_freep) SignedData *data = NULL;
        DigestAlgorithm algorithm;
        ImageDigest digest;
        int r;

        if (authenticode_algorithm(pkcs7, &algorithm) < 0)
                return 0;
        r = compute_digest(image, algorithm, &digest);
        if (r <= 0)
                return r;
        r = signed_data_parse(pkcs7, &data, /* ret_size= */ NULL);
        if (r == -ENOMEM)
                return r;
        return judge_signature(&(Signature){.data = data, .digest = &digest}, lists, verdict);
}

static int judge_signed(const PeImage *image, Span table, const TrustLists *lists, TrustVerdict *verdict) {
        AuthenticodeEntry entry;
        size_t offset = 0;
        int r, next;

        while ((next = authenticode_next(table, &offset, &entry)) > 0) {
                if (!entry.is_pkcs7)
                        continue;
                r = judge_entry(image, entry.data, lists, verdict);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        if (next < 0)
                return decide(verdict, false, "its certificate table is damaged");
        if (!verdict->reason)
                return decide(verdict, false, "it has no signature of a kind that firmware knows");
        return 0;
}

static int judge_lists(const TrustLists *lists, TrustVerdict *verdict) {
        if (signature_database_check(lists->db, /* ret_count= */ NULL) < 0)
                return decide(verdict, false, "the firmware's db is malformed");
        if (signature_database_check(lists->dbx, /* ret_count= */ NULL) < 0)
                return decide(verdict, false, "the firmware's dbx is malformed");
        return 0;
}

int trust_judge(Span image, const TrustLists *lists, TrustVerdict *ret) {
        _cleanup_(trust_verdict_done) TrustVerdict verdict = {};
        PeImage parsed;
        Span table = {};
        int r;

        r = judge_lists(lists, &verdict);
        if (r < 0)
                return r;
        if (verdict.reason)
                r = 0;
        else if (pe_image_parse(image, &parsed) < 0)
                r = decide(&verdict, false, "it is no PE image, or a damaged one");
        else if (pe_image_certificates(&parsed, &table) == -ENOENT)
                r = judge_unsigned(&parsed, lists, &verdict);
        else
                r = judge_signed(&parsed, table, lists, &verdict);
        if (r < 0)
                return r;
        if (!verdict.reason && (r = decide(&verdict, false, "its digest can't be computed")) < 0)
                return r;
        *ret = TAKE_STRUCT(verdict);
        return 0;
}
