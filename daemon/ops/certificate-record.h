/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A certificate as results show it. */

#include "daemon/crypto/certificate.h"
#include "daemon/ops/record.h"

typedef struct CertificateRecord {
        char *role; /* "PK", "KEK", "db" */
        char *subject;
        char *fingerprint;  /* SHA-256 of the DER, hexadecimal */
        uint64_t not_after; /* seconds since 1970 */
} CertificateRecord;

extern const Record certificate_record;

/* Appends CERTIFICATE to LIST. -ENOMEM. */
int certificate_record_add(RecordList *list, const char *role, const Certificate *certificate);
