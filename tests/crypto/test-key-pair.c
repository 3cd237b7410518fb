/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/key-pair.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/crypto/signer.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

static const KeyPairRequest usual = {.bits = 2048, .common_name = "Größe of db", .not_before = 1700000000, .years = 10};

static void test_judged_by_openssl(void) {
        static const char pem_begin[] = "-----BEGIN PRIVATE KEY-----\n";
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *key_path = test_path(folder, "key"), *certificate_path = test_path(folder, "pem");
        _cleanup_(buffer_wipe) Buffer key = {};
        _cleanup_(buffer_done) Buffer certificate = {};
        g_autofree char *check = NULL, *verify = NULL, *text = NULL;

        g_assert_cmpint(key_pair_generate(&usual, &key, &certificate), ==, 0);
        test_write(folder, "key", key.data, key.size, 0600);
        test_write(folder, "pem", certificate.data, certificate.size, 0600);

        check = test_run_good("openssl", "rsa", "-check", "-noout", "-in", key_path, NULL);
        g_assert_nonnull(strstr(check, "RSA key ok"));
        g_assert_cmpmem(key.data, MIN(key.size, strlen(pem_begin)), pem_begin, strlen(pem_begin));
        verify = test_run_good("openssl", "verify", "-x509_strict", "-check_ss_sig", "-attime", "1700000001", "-CAfile",
                               certificate_path, certificate_path, NULL);
        text = test_run_good("openssl", "x509", "-noout", "-text", "-in", certificate_path, NULL);
        g_assert_nonnull(strstr(text, "Version: 3"));
        g_assert_nonnull(strstr(text, "CA:TRUE"));
        g_assert_nonnull(strstr(text, "Signature Algorithm: sha256WithRSAEncryption"));
        g_assert_nonnull(strstr(text, "Public-Key: (2048 bit)"));
        g_assert_null(strstr(text, "(Negative)"));
}

static void test_as_asked(void) {
        _cleanup_(buffer_wipe) Buffer key = {};
        _cleanup_(buffer_done) Buffer pem = {};
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        _cleanup_(signer_freep) Signer *signer = NULL;

        g_assert_cmpint(key_pair_generate(&usual, &key, &pem), ==, 0);
        g_assert_cmpint(certificate_from_pem(buffer_span(&pem), &certificate), ==, 0);
        g_assert_cmpstr(certificate_common_name(certificate), ==, usual.common_name);
        g_assert_cmpint(certificate_not_before(certificate), ==, usual.not_before);
        g_assert_cmpint(certificate_not_after(certificate), ==, usual.not_before + 10 * 31557600);
        g_assert_cmpint(signer_new_from_pem(buffer_span(&key), buffer_span(&pem), &signer), ==, 0);
}

static void test_twice(void) {
        _cleanup_(buffer_wipe) Buffer key = {}, other_key = {};
        _cleanup_(buffer_done) Buffer pem = {}, other_pem = {};

        g_assert_cmpint(key_pair_generate(&usual, &key, &pem), ==, 0);
        g_assert_cmpint(key_pair_generate(&usual, &other_key, &other_pem), ==, 0);
        g_assert_false(span_equal(buffer_span(&key), buffer_span(&other_key)));
        g_assert_false(span_equal(buffer_span(&pem), buffer_span(&other_pem)));
}

static void test_refuses(void) {
        g_autofree char *ascii64 = g_strnfill(64, 'x'), *ascii65 = g_strnfill(65, 'x');
        const KeyPairRequest requests[] = {
                {1024, "x", 0, 10},          {3072, "x", 0, 10},     {0, "x", 0, 10},     {2048, "", 0, 10},
                {2048, NULL, 0, 10},         {2048, ascii65, 0, 10}, {2048, "x", 0, 0},   {2048, "x", 0, 101},
                {2048, "x", INT64_MAX, 100}, {2048, "\xff", 0, 10},  {2048, "x", -1, 10},
        };
        KeyPairRequest longest = usual;
        Buffer key = {}, pem = {};

        for (size_t i = 0; i < G_N_ELEMENTS(requests); i++)
                g_assert_cmpint(key_pair_generate(&requests[i], &key, &pem), ==, -EINVAL);
        g_assert_null(key.data);
        g_assert_null(pem.data);

        longest.common_name = ascii64;
        g_assert_cmpint(key_pair_generate(&longest, &key, &pem), ==, 0);
        buffer_wipe(&key);
        buffer_done(&pem);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crypto/key-pair/is-good-in-the-eyes-of-openssl", test_judged_by_openssl);
        g_test_add_func("/crypto/key-pair/has-the-name-and-times-that-were-asked-for", test_as_asked);
        g_test_add_func("/crypto/key-pair/is-never-the-same-twice", test_twice);
        g_test_add_func("/crypto/key-pair/refuses-requests-out-of-bounds", test_refuses);
        return g_test_run();
}
