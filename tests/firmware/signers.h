/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signers and certificates of the test keys (tests/lib/make-pki), by name. Whatever fails ends the test. */

#include <glib.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/signer.h"
#include "tests/lib/test-folder.h"

static inline Span test_bytes(GBytes *bytes) {
        Span span = {};

        span.data = g_bytes_get_data(bytes, &span.size);
        return span;
}

/* To be freed with signer_free(). */
static inline Signer *test_signer(const char *name) {
        g_autofree char *key_name = g_strconcat(name, ".key", NULL), *pem_name = g_strconcat(name, ".pem", NULL);
        g_autoptr(GBytes) key = test_pki(key_name), certificate = test_pki(pem_name);
        Signer *signer = NULL;

        g_assert_cmpint(signer_new_from_pem(test_bytes(key), test_bytes(certificate), &signer), ==, 0);
        return signer;
}

/* To be freed with certificate_unref(). */
static inline Certificate *test_certificate(const char *name) {
        g_autofree char *der_name = g_strconcat(name, ".der", NULL);
        g_autoptr(GBytes) der = test_pki(der_name);
        Certificate *certificate = NULL;

        g_assert_cmpint(certificate_from_der(test_bytes(der), &certificate), ==, 0);
        return certificate;
}
