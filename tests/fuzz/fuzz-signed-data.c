/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: crypto */
#include <stdlib.h>

#include "daemon/crypto/signed-data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(signed_data_freep) SignedData *signed_data = NULL;
        uint8_t digest[DIGEST_SIZE_MAX];
        DigestAlgorithm algorithm;
        Certificate *anchor;
        size_t used, n = 0;

        if (signed_data_parse((Span){data, size}, &signed_data, &used) < 0)
                return 0;
        if (used > size)
                abort();
        while (signed_data_certificate(signed_data, n))
                n++;
        for (size_t i = 0; signed_data_signer_chain(signed_data, i); i++)
                if (i >= n)
                        abort();
        if (signed_data_signer(signed_data, 0) != signed_data_signer_chain(signed_data, 0))
                abort();
        if (signed_data_image_digest(signed_data, &algorithm, digest) >= 0 && algorithm >= DIGEST_COUNT)
                abort();
        anchor = signed_data_certificate(signed_data, 0);
        if (anchor) {
                (void)signed_data_verify(signed_data, (Span){}, anchor);
                (void)signed_data_verify(signed_data, span_from_string("content"), anchor);
        }
        return 0;
}
