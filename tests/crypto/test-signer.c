/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/signer.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

static Span span_of(GBytes *bytes) {
        return (Span){g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)};
}

static int load(const char *key_name, const char *certificate_name, Signer **ret) {
        g_autoptr(GBytes) key = test_pki(key_name);
        g_autoptr(GBytes) certificate = test_pki(certificate_name);

        return signer_new_from_pem(span_of(key), span_of(certificate), ret);
}

static void test_accepts(void) {
        static const char *const pairs[][2] = {
                {"db.key", "db.pem"}, {"db-traditional.key", "db.text.pem"}, {"db-4096.key", "db-4096.pem"}};

        for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
                _cleanup_(signer_freep) Signer *signer = NULL;

                g_assert_cmpint(load(pairs[i][0], pairs[i][1], &signer), ==, 0);
                g_assert_cmpstr(certificate_key_type(signer_certificate(signer)), ==, "RSA");
                g_assert_cmpuint(signer_signature_count(signer), ==, 0);
        }
}

static void test_refuses(void) {
        static const struct {
                const char *key, *certificate;
                int error;
        } cases[] = {
                {"db.key", "foreign-db.pem", -EKEYREJECTED},
                {"db.key", "db.key", -EBADMSG},
                {"db.key", "chain.pem", -EBADMSG},
                {"db.pem", "db.pem", -ENOKEY},
                {"db-encrypted.key", "db-encrypted.pem", -EACCES},
                {"db-encrypted-traditional.key", "db-encrypted.pem", -EACCES},
                {"db-1024.key", "db-1024.pem", -ERANGE},
                {"db-ec.key", "db-ec.pem", -ERANGE},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                Signer *signer = NULL;

                g_assert_cmpint(load(cases[i].key, cases[i].certificate, &signer), ==, cases[i].error);
                g_assert_null(signer);
        }
}

static void test_refuses_cut_key(void) {
        g_autoptr(GBytes) key = test_pki("db.key");
        g_autoptr(GBytes) certificate = test_pki("db.pem");
        const Span whole = span_of(key);
        Signer *signer = NULL;

        for (size_t size = 0; size < whole.size - 2; size += 97)
                g_assert_cmpint(signer_new_from_pem((Span){whole.data, size}, span_of(certificate), &signer), ==,
                                -ENOKEY);
        g_assert_null(signer);
}

/* It seems to belong to the certificate: only a signature shows what it is. */
static void test_refuses_damaged_private_half(void) {
        g_autoptr(GBytes) key = test_pki("db-damaged.key"), certificate = test_pki("db.pem");
        _cleanup_(signer_freep) Signer *untried = NULL;
        Signer *signer = NULL;

        g_assert_cmpint(load("db-damaged.key", "db.pem", &signer), ==, -ENOKEY);
        g_assert_null(signer);
        g_assert_cmpint(signer_read_pem(span_of(key), span_of(certificate), &untried), ==, 0);
        for (size_t i = 0; i < 2; i++)
                g_assert_cmpint(signer_try(untried), ==, -ENOKEY);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crypto/signer/takes-rsa-keys-in-both-forms", test_accepts);
        g_test_add_func("/crypto/signer/says-why-it-refuses-a-pair", test_refuses);
        g_test_add_func("/crypto/signer/refuses-a-key-that-is-cut", test_refuses_cut_key);
        g_test_add_func("/crypto/signer/refuses-a-key-whose-private-half-is-damaged",
                        test_refuses_damaged_private_half);
        return g_test_run();
}
