/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Would firmware with these signature lists run that binary? Decided in the order in which edk2's
 * DxeImageVerificationLib decides, for binaries on disk. */

#include <stdbool.h>

#include "daemon/util/span.h"

typedef struct TrustLists {
        Span db, dbx, dbt; /* signature databases; empty: the variable is not there */
} TrustLists;

typedef struct TrustVerdict {
        bool allowed;
        char *reason; /* a clause for a person: "its signature by "CN=x" is in no list", "its SHA-256 … is in dbx";
                         where it is allowed, by what; owned */
} TrustVerdict;

void trust_verdict_done(TrustVerdict *verdict);

/* Judges the PE file IMAGE. What is no PE image, or a broken one, is refused, like what the lists refuse; so is every
 * image while one of the lists that decide is malformed. Returns only -ENOMEM or -EIO (the crypto library failed); then
 * *ret is left.
 *
 * One thing is judged more strictly than by firmware: an image whose signer's certificate dbx revokes from a certain
 * time on (not: for ever) counts as revoked, even if dbt trusts a time stamp on its signature that is older. Our own
 * images carry none. */
int trust_judge(Span image, const TrustLists *lists, TrustVerdict *ret);
