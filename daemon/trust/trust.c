/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/trust/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/firmware/signature-list.h"
#include "daemon/pe/authenticode.h"

void trust_verdict_done(TrustVerdict *verdict) {
        free(verdict->reason);
        *verdict = (TrustVerdict){};
}

/* By db's certificates alone; whatever else the lists hold refuses. */
int trust_judge(Span image, const TrustLists *lists, TrustVerdict *ret) {
        SignatureIterator iterator = signature_iterator(lists->db);
        SignatureEntry entry;
        char *reason;

        while (lists->dbx.size == 0 && signature_iterator_next(&iterator, &entry) > 0) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                if (certificate_from_der(entry.data, &certificate) >= 0 &&
                    authenticode_verify(image, certificate) >= 0) {
                        *ret = (TrustVerdict){.allowed = true};
                        return 0;
                }
        }
        reason = strdup("no certificate in db has signed it");
        if (!reason)
                return -ENOMEM;
        *ret = (TrustVerdict){.reason = reason};
        return 0;
}
