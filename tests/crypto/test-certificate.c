/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/certificate.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/util/encode.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

static Span span_of(GBytes *bytes) {
        return (Span){g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)};
}

static Certificate *load(const char *name) {
        g_autofree char *file = g_strconcat(name, ".pem", NULL);
        g_autoptr(GBytes) pem = test_pki(file);
        Certificate *certificate;

        g_assert_cmpint(certificate_from_pem(span_of(pem), &certificate), ==, 0);
        return certificate;
}

/* The value behind NAME= in what `openssl x509 OPTION` prints. */
static char *openssl_says(const char *certificate, const char *option) {
        g_autofree char *path = test_pki_path(certificate);
        g_autofree char *output = test_run_good("openssl", "x509", "-noout", "-in", path, "-nameopt", "RFC2253",
                                                "-dateopt", "iso_8601", option, NULL);

        g_assert_nonnull(strchr(output, '='));
        return g_strdup(g_strchomp(strchr(output, '=') + 1));
}

static int64_t seconds(const char *iso_8601) {
        g_autofree char *with_t = g_strdup(iso_8601);
        g_autoptr(GDateTime) time = NULL;

        *strchr(with_t, ' ') = 'T';
        time = g_date_time_new_from_iso8601(with_t, NULL);
        g_assert_nonnull(time);
        return g_date_time_to_unix(time);
}

static void test_as_openssl_reads_it(void) {
        static const char *const names[] = {"db", "PK", "db-4096", "db-expired", "db-ec", "chain-leaf"};

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *file = g_strconcat(names[i], ".pem", NULL);
                _cleanup_(certificate_unrefp) Certificate *certificate = load(names[i]);
                g_autofree char *subject = openssl_says(file, "-subject");
                g_autofree char *issuer = openssl_says(file, "-issuer");
                g_autofree char *start = openssl_says(file, "-startdate");
                g_autofree char *end = openssl_says(file, "-enddate");
                g_autofree char *fingerprint =
                        hex_encode((Span){certificate_fingerprint(certificate)->bytes, SHA256_SIZE});
                g_autofree char *path = test_pki_path(file);
                g_autofree char *printed =
                        test_run_good("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", path, NULL);
                g_auto(GStrv) bytes = g_strsplit(g_strchomp(strchr(printed, '=') + 1), ":", -1);
                g_autofree char *upper = g_strjoinv("", bytes);
                g_autofree char *expected = g_ascii_strdown(upper, -1);

                g_assert_cmpstr(certificate_subject(certificate), ==, subject);
                g_assert_cmpstr(certificate_issuer(certificate), ==, issuer);
                g_assert_cmpstr(fingerprint, ==, expected);
                g_assert_cmpint(certificate_not_before(certificate), ==, seconds(start));
                g_assert_cmpint(certificate_not_after(certificate), ==, seconds(end));
        }
}

static void test_keys(void) {
        _cleanup_(certificate_unrefp) Certificate *rsa = load("db-4096");
        _cleanup_(certificate_unrefp) Certificate *ec = load("db-ec");

        g_assert_cmpstr(certificate_key_type(rsa), ==, "RSA");
        g_assert_cmpuint(certificate_key_bits(rsa), ==, 4096);
        g_assert_cmpstr(certificate_key_type(ec), ==, "EC");
        g_assert_cmpuint(certificate_key_bits(ec), ==, 256);
}

static void test_names(void) {
        _cleanup_(certificate_unrefp) Certificate *db = load("db");
        _cleanup_(certificate_unrefp) Certificate *utf8 = load("db-utf8");
        _cleanup_(certificate_unrefp) Certificate *no_cn = load("db-no-cn");

        g_assert_cmpstr(certificate_common_name(db), ==, "Test db");
        g_assert_cmpstr(certificate_common_name(utf8), ==, "Größe\\07");
        g_assert_cmpstr(certificate_subject(utf8), ==, "CN=Größe\\07");
        g_assert_cmpstr(certificate_common_name(no_cn), ==, "");
        g_assert_cmpstr(certificate_subject(no_cn), ==, "O=Test");
}

static void test_der_and_pem(void) {
        _cleanup_(certificate_unrefp) Certificate *from_pem = load("db");
        _cleanup_(certificate_unrefp) Certificate *from_text = load("db.text");
        _cleanup_(certificate_unrefp) Certificate *from_der = NULL;
        _cleanup_(certificate_unrefp) Certificate *other = load("foreign-db");
        g_autoptr(GBytes) der = test_pki("db.der");

        g_assert_cmpint(certificate_from_der(span_of(der), &from_der), ==, 0);
        g_assert_true(span_equal(certificate_der(from_pem), span_of(der)));
        g_assert_true(certificate_equal(from_pem, from_der));
        g_assert_true(certificate_equal(from_pem, from_text));
        g_assert_false(certificate_equal(from_pem, other));

        g_autoptr(GBytes) text = test_pki("db.text.pem");
        Sha256 fingerprint;
        g_assert_cmpint(certificate_fingerprint_of_pem(span_of(text), &fingerprint), ==, 0);
        g_assert_cmpmem(fingerprint.bytes, sizeof(fingerprint.bytes), certificate_fingerprint(from_der)->bytes,
                        sizeof(fingerprint.bytes));
}

static void test_tbs_digest(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(certificate_unrefp) Certificate *certificate = load("db");
        g_autofree char *path = test_pki_path("db.pem");
        g_autofree char *tbs_path = test_path(folder, "tbs");
        g_autofree char *output =
                test_run_good("openssl", "asn1parse", "-in", path, "-strparse", "4", "-noout", "-out", tbs_path, NULL);
        g_autoptr(GBytes) tbs = test_read(folder, "tbs");
        static const GChecksumType types[DIGEST_COUNT] = {G_CHECKSUM_SHA1, G_CHECKSUM_SHA256, G_CHECKSUM_SHA384,
                                                          G_CHECKSUM_SHA512};

        for (DigestAlgorithm i = 0; i < DIGEST_COUNT; i++) {
                g_autofree char *expected = g_compute_checksum_for_bytes(types[i], tbs);
                uint8_t digest[DIGEST_SIZE_MAX];
                g_autofree char *text = NULL;

                g_assert_cmpint(certificate_tbs_digest(certificate, i, digest), ==, 0);
                text = hex_encode((Span){digest, digest_size(i)});
                g_assert_cmpstr(text, ==, expected);
        }
}

static void test_refuses_der(void) {
        g_autoptr(GBytes) der = test_pki("db.der");
        const Span whole = span_of(der);
        g_autofree uint8_t *longer = g_malloc0(whole.size + 1);
        Certificate *certificate = NULL;

        for (size_t size = 0; size < whole.size; size++) {
                g_autofree uint8_t *copy = g_memdup2(whole.data, size); /* its end is seen by the sanitizer */
                g_assert_cmpint(certificate_from_der((Span){copy, size}, &certificate), ==, -EBADMSG);
        }
        memcpy(longer, whole.data, whole.size);
        g_assert_cmpint(certificate_from_der((Span){longer, whole.size + 1}, &certificate), ==, -EBADMSG);
        g_assert_null(certificate);
}

static void test_survives_damage(void) {
        g_autoptr(GBytes) der = test_pki("db.der");
        const Span whole = span_of(der);

        for (size_t i = 0; i < 8 * whole.size; i++) {
                g_autofree uint8_t *copy = g_memdup2(whole.data, whole.size);
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                copy[i / 8] ^= 1 << i % 8;
                if (certificate_from_der((Span){copy, whole.size}, &certificate) < 0)
                        continue;
                g_assert_true(g_utf8_validate(certificate_subject(certificate), -1, NULL));
                g_assert_true(g_utf8_validate(certificate_issuer(certificate), -1, NULL));
                g_assert_true(g_utf8_validate(certificate_common_name(certificate), -1, NULL));
                g_assert_nonnull(certificate_key_type(certificate));
                (void)certificate_key_bits(certificate);
        }
}

static void test_refuses_pem(void) {
        static const char *const files[] = {"chain.pem", "db.key", "db.der"};
        Certificate *certificate = NULL;
        Sha256 fingerprint;

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autoptr(GBytes) bytes = test_pki(files[i]);
                g_assert_cmpint(certificate_from_pem(span_of(bytes), &certificate), ==, -EBADMSG);
                g_assert_cmpint(certificate_fingerprint_of_pem(span_of(bytes), &fingerprint), ==, -EBADMSG);
        }
        g_assert_cmpint(certificate_from_pem((Span){}, &certificate), ==, -EBADMSG);
        g_assert_cmpint(certificate_from_pem(span_from_string("no certificate"), &certificate), ==, -EBADMSG);
        g_assert_null(certificate);
}

static void test_references(void) {
        Certificate *certificate = load("db");

        g_assert_true(certificate_ref(certificate) == certificate);
        g_assert_null(certificate_unref(certificate));
        g_assert_cmpstr(certificate_common_name(certificate), ==, "Test db");
        g_assert_null(certificate_unref(certificate));
        g_assert_null(certificate_unref(NULL));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crypto/certificate/reads-what-openssl-reads", test_as_openssl_reads_it);
        g_test_add_func("/crypto/certificate/knows-kind-and-size-of-the-key", test_keys);
        g_test_add_func("/crypto/certificate/shows-names-without-control-characters", test_names);
        g_test_add_func("/crypto/certificate/is-the-same-from-der-and-from-pem-with-text-around", test_der_and_pem);
        g_test_add_func("/crypto/certificate/digests-the-part-that-is-signed", test_tbs_digest);
        g_test_add_func("/crypto/certificate/refuses-der-that-is-cut-or-followed-by-bytes", test_refuses_der);
        g_test_add_func("/crypto/certificate/survives-every-flipped-bit", test_survives_damage);
        g_test_add_func("/crypto/certificate/refuses-pem-that-is-not-exactly-one-certificate", test_refuses_pem);
        g_test_add_func("/crypto/certificate/lives-as-long-as-its-last-reference", test_references);
        return g_test_run();
}
