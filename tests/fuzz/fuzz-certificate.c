/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: crypto */
#include <stdlib.h>
#include <string.h>

#include "daemon/crypto/certificate.h"
#include "daemon/util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text) {
        if (utf8_check(span_from_string(text)) < 0)
                abort();
        for (; *text; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        _cleanup_(certificate_unrefp) Certificate *again = NULL;
        uint8_t digest[DIGEST_SIZE_MAX];

        if (certificate_from_der((Span){data, size}, &certificate) < 0 &&
            certificate_from_pem((Span){data, size}, &certificate) < 0)
                return 0;
        check_text(certificate_subject(certificate));
        check_text(certificate_common_name(certificate));
        if (!certificate_key_type(certificate) || certificate_tbs_digest(certificate, DIGEST_SHA256, digest) < 0)
                abort();
        (void)certificate_key_bits(certificate);
        if (certificate_from_der(certificate_der(certificate), &again) < 0 || !certificate_equal(certificate, again))
                abort();
        return 0;
}
