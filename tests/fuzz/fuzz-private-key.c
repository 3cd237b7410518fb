/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: crypto */

/* A private key and its certificate. The input is both files in one: each reader looks for its own part. What is
 * accepted can sign. */

#include <stdlib.h>

#include "daemon/crypto/signed-data.h"
#include "daemon/crypto/signer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const Span content = {(const uint8_t *)"content", 7};
        _cleanup_(signer_freep) Signer *signer = NULL;
        _cleanup_(signed_data_freep) SignedData *signature = NULL;
        _cleanup_(buffer_done) Buffer bytes = {};

        if (signer_new_from_pem((Span){data, size}, (Span){data, size}, &signer) < 0)
                return 0;
        if (signed_data_make_detached(signer, content, &bytes) < 0 || signer_signature_count(signer) != 1 ||
            signed_data_parse(buffer_span(&bytes), &signature, /* ret_size= */ NULL) < 0 ||
            signed_data_verify(signature, content, signer_certificate(signer)) < 0)
                abort();
        return 0;
}
