/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/certificate-record.h"

#include <errno.h>
#include <string.h>

#include "daemon/util/encode.h"
#include "daemon/util/macro.h"

static const Field fields[] = {
        FIELD(CertificateRecord, role, FIELD_STRING, "role"),
        FIELD(CertificateRecord, subject, FIELD_STRING, "subject"),
        FIELD(CertificateRecord, fingerprint, FIELD_STRING, "fingerprint"),
        FIELD(CertificateRecord, not_after, FIELD_UNSIGNED, "not-after"),
};

const Record certificate_record = RECORD(CertificateRecord, fields);

int certificate_record_add(RecordList *list, const char *role, const Certificate *certificate) {
        CertificateRecord *record = record_list_add(list, &certificate_record);
        const Sha256 *fingerprint = certificate_fingerprint(certificate);
        int64_t end = certificate_not_after(certificate);

        if (!record)
                return -ENOMEM;
        record->role = strdup(role);
        record->subject = strdup(certificate_subject(certificate));
        record->fingerprint = hex_encode((Span){fingerprint->bytes, SHA256_SIZE});
        record->not_after = end > 0 ? end : 0;
        return record->role && record->subject && record->fingerprint ? 0 : -ENOMEM;
}
