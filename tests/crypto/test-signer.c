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

/* Modulus and public exponent are right, so that key and certificate seem to belong together; the rest is not. */
static void test_refuses_damaged_private_half(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *key_path = test_pki_path("db-traditional.key");
        g_autofree char *der_path = test_path(folder, "key.der");
        g_autofree char *made = test_run_good("openssl", "rsa", "-in", key_path, "-traditional", "-outform", "DER",
                                              "-out", der_path, NULL);
        g_autoptr(GBytes) der = test_read(folder, "key.der");
        g_autoptr(GBytes) certificate = test_pki("db.pem");
        g_autofree uint8_t *copy = g_memdup2(span_of(der).data, span_of(der).size);
        g_autoptr(GString) pem = NULL;
        Signer *signer = NULL;

        /* RSAPrivateKey: version, modulus (257 bytes), exponent, then the private exponent and the primes. */
        for (size_t i = 300; i < span_of(der).size - 4; i += 40)
                copy[i] ^= 1;
        pem = g_string_new("-----BEGIN RSA PRIVATE KEY-----\n");
        for (size_t i = 0; i < span_of(der).size; i += 48) {
                g_autofree char *line = g_base64_encode(copy + i, MIN(48, span_of(der).size - i));
                g_string_append_printf(pem, "%s\n", line);
        }
        g_string_append(pem, "-----END RSA PRIVATE KEY-----\n");

        g_assert_cmpint(signer_new_from_pem((Span){(const uint8_t *)pem->str, pem->len}, span_of(certificate), &signer),
                        ==, -ENOKEY);
        g_assert_null(signer);
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
