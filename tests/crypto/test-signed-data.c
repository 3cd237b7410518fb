/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/signed-data.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

enum { SIGNING_TIME = 1700000000, WRAPPER_SIZE = 19 };

static Span span_of(GBytes *bytes) {
        return (Span){g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)};
}

static Certificate *load_certificate(const char *name) {
        g_autofree char *file = g_strconcat(name, ".pem", NULL);
        g_autoptr(GBytes) pem = test_pki(file);
        Certificate *certificate;

        g_assert_cmpint(certificate_from_pem(span_of(pem), &certificate), ==, 0);
        return certificate;
}

static Signer *load_signer(const char *name) {
        g_autofree char *key_file = g_strconcat(name, ".key", NULL), *pem_file = g_strconcat(name, ".pem", NULL);
        g_autoptr(GBytes) key = test_pki(key_file), pem = test_pki(pem_file);
        Signer *signer;

        g_assert_cmpint(signer_new_from_pem(span_of(key), span_of(pem), &signer), ==, 0);
        return signer;
}

static Signer *read_untried(const char *key_file) {
        g_autoptr(GBytes) key = test_pki(key_file), pem = test_pki("db.pem");
        Signer *signer;

        g_assert_cmpint(signer_read_pem(span_of(key), span_of(pem), &signer), ==, 0);
        return signer;
}

static SignedData *parse(Span bytes) {
        SignedData *data;

        g_assert_cmpint(signed_data_parse(bytes, &data, NULL), ==, 0);
        return data;
}

static int verify(const SignedData *data, const char *content, const char *anchor_name) {
        _cleanup_(certificate_unrefp) Certificate *anchor = load_certificate(anchor_name);

        return signed_data_verify(data, span_from_string(content), anchor);
}

/* A ContentInfo around a bare SignedData of 256 bytes to 64 KiB, as other programs want it. */
static GBytes *wrap(Span bare) {
        static const uint8_t oid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
        const size_t outer = bare.size + sizeof(oid) + 4;
        GByteArray *array = g_byte_array_new();

        g_byte_array_append(array, (const uint8_t[]){0x30, 0x82, outer >> 8, outer}, 4);
        g_byte_array_append(array, oid, sizeof(oid));
        g_byte_array_append(array, (const uint8_t[]){0xa0, 0x82, bare.size >> 8, bare.size}, 4);
        g_byte_array_append(array, bare.data, bare.size);
        g_assert_cmpuint(array->len, ==, bare.size + WRAPPER_SIZE);
        return g_byte_array_free_to_bytes(array);
}

/* What `openssl cms -sign` makes of CONTENT with further options. Attached if an option says so. */
static GBytes *openssl_sign(const char *content, const char *name, const char *const *options) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
        g_auto(GStrv) arguments = NULL;
        g_autofree char *in = test_path(folder, "in"), *out = test_path(folder, "out"), *key = NULL, *pem = NULL;
        g_autofree char *key_file = g_strconcat(name, ".key", NULL), *pem_file = g_strconcat(name, ".pem", NULL);
        g_autofree char *errors = NULL;
        int status;

        key = test_pki_path(key_file);
        pem = test_pki_path(pem_file);
        test_write(folder, "in", content, -1, 0600);
        g_strv_builder_add_many(builder, "openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", in, "-out",
                                out, "-signer", pem, "-inkey", key, NULL);
        g_strv_builder_addv(builder, (const char **)options);
        arguments = g_strv_builder_end(builder);
        g_assert_true(
                g_spawn_sync(NULL, arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &errors, &status, NULL));
        if (status != 0)
                g_test_message("%s", errors);
        g_assert_cmpint(status, ==, 0);
        return test_read(folder, "out");
}

static void test_detached_judged(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *content = test_path(folder, "content"), *signature = test_path(folder, "signature");
        g_autofree char *anchor = test_pki_path("KEK.pem"), *foreign = test_pki_path("foreign-KEK.pem");
        _cleanup_(signer_freep) Signer *signer = load_signer("KEK");
        _cleanup_(buffer_done) Buffer made = {};
        g_autofree char *cms = NULL, *smime = NULL, *printed = NULL;
        g_autoptr(GBytes) wrapped = NULL;

        g_assert_cmpint(signed_data_make_detached(signer, span_from_string("the content"), &made), ==, 0);
        wrapped = wrap(buffer_span(&made));
        test_write(folder, "content", "the content", -1, 0600);
        test_write(folder, "signature", span_of(wrapped).data, span_of(wrapped).size, 0600);

        smime = test_run_good("openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content",
                              content, "-CAfile", anchor, "-purpose", "any", NULL);
        cms = test_run_good("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content",
                            content, "-CAfile", anchor, "-purpose", "any", NULL);
        g_assert_cmpint(test_run(NULL, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", signature,
                                 "-content", content, "-CAfile", foreign, "-purpose", "any", NULL),
                        !=, 0);
        test_write(folder, "content", "the Content", -1, 0600);
        g_assert_cmpint(test_run(NULL, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", signature,
                                 "-content", content, "-CAfile", anchor, "-purpose", "any", NULL),
                        !=, 0);

        printed = test_run_good("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", signature,
                                NULL);
        g_assert_nonnull(strstr(printed, "algorithm: sha256 ("));
        g_assert_nonnull(strstr(printed, "signedAttrs:\n          <ABSENT>"));
        g_assert_nonnull(strstr(printed, "eContent: <ABSENT>"));
}

static void test_detached_verifies(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("KEK");
        _cleanup_(buffer_done) Buffer made = {};
        _cleanup_(signed_data_freep) SignedData *data = NULL, *wrapped_data = NULL;
        g_autoptr(GBytes) wrapped = NULL;

        g_assert_cmpint(signed_data_make_detached(signer, span_from_string("content"), &made), ==, 0);
        g_assert_cmpuint(signer_signature_count(signer), ==, 1);
        data = parse(buffer_span(&made));
        g_assert_cmpint(verify(data, "content", "KEK"), ==, 0);
        g_assert_cmpint(verify(data, "content", "foreign-KEK"), ==, -EKEYREJECTED);
        g_assert_cmpint(verify(data, "Content", "KEK"), ==, -EKEYREJECTED);
        g_assert_cmpint(verify(data, "", "KEK"), ==, -EKEYREJECTED);

        wrapped = wrap(buffer_span(&made));
        wrapped_data = parse(span_of(wrapped));
        g_assert_cmpint(verify(wrapped_data, "content", "KEK"), ==, 0);
}

static void test_same_bytes(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("db"), *again = load_signer("db");
        _cleanup_(buffer_done) Buffer a = {}, b = {}, c = {}, d = {}, e = {};
        Sha256 digest = {.bytes = {1, 2, 3}};

        g_assert_cmpint(signed_data_make_authenticode(signer, &digest, SIGNING_TIME, &a), ==, 0);
        g_assert_cmpint(signed_data_make_authenticode(again, &digest, SIGNING_TIME, &b), ==, 0);
        g_assert_cmpint(signed_data_make_authenticode(signer, &digest, SIGNING_TIME + 1, &c), ==, 0);
        g_assert_cmpint(signed_data_make_detached(signer, span_from_string("content"), &d), ==, 0);
        g_assert_cmpint(signed_data_make_detached(again, span_from_string("content"), &e), ==, 0);
        g_assert_true(span_equal(buffer_span(&a), buffer_span(&b)));
        g_assert_false(span_equal(buffer_span(&a), buffer_span(&c)));
        g_assert_true(span_equal(buffer_span(&d), buffer_span(&e)));
        g_assert_cmpuint(signer_signature_count(signer), ==, 3);
        g_assert_cmpuint(signer_signature_count(again), ==, 2);
}

static void test_authenticode(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        _cleanup_(buffer_done) Buffer made = {};
        _cleanup_(signed_data_freep) SignedData *data = NULL;
        Sha256 digest;
        DigestAlgorithm algorithm;
        uint8_t found[DIGEST_SIZE_MAX];

        g_assert_cmpint(sha256_of(span_from_string("image"), &digest), ==, 0);
        g_assert_cmpint(signed_data_make_authenticode(signer, &digest, SIGNING_TIME, &made), ==, 0);
        data = parse(buffer_span(&made));
        g_assert_cmpint(signed_data_image_digest(data, &algorithm, found), ==, 0);
        g_assert_cmpint(algorithm, ==, DIGEST_SHA256);
        g_assert_cmpmem(found, SHA256_SIZE, digest.bytes, SHA256_SIZE);
        g_assert_cmpint(verify(data, "", "db"), ==, 0);
        g_assert_cmpint(verify(data, "", "foreign-db"), ==, -EKEYREJECTED);
        g_assert_cmpint(verify(data, "other content", "db"), ==, -EKEYREJECTED);
        g_assert_true(certificate_equal(signed_data_signer(data, 0), signer_certificate(signer)));
        g_assert_true(certificate_equal(signed_data_certificate(data, 0), signer_certificate(signer)));
        g_assert_null(signed_data_certificate(data, 1));
        g_assert_null(signed_data_signer(data, 1));
}

static void test_trailing(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        _cleanup_(buffer_done) Buffer made = {};
        _cleanup_(signed_data_freep) SignedData *data = NULL;
        size_t exact, size;

        g_assert_cmpint(signed_data_make_detached(signer, span_from_string("content"), &made), ==, 0);
        exact = made.size;
        g_assert_cmpint(buffer_append_zero(&made, 7), ==, 0);
        g_assert_cmpint(signed_data_parse(buffer_span(&made), &data, &size), ==, 0);
        g_assert_cmpuint(size, ==, exact);
        g_assert_cmpint(verify(data, "content", "db"), ==, 0);
}

/* Whatever is damaged: no crash; and no damage of what is signed or of the signature passes. */
static void test_damage(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        _cleanup_(buffer_done) Buffer made = {};
        Sha256 digest = {};
        const size_t step = g_getenv("LANZA_LONG") ? 1 : 7;
        size_t content_at;

        g_assert_cmpint(signed_data_make_authenticode(signer, &digest, SIGNING_TIME, &made), ==, 0);
        g_assert_cmpint(span_find(buffer_span(&made), (Span){digest.bytes, SHA256_SIZE}, 0, &content_at), ==, 0);
        for (size_t i = 0; i < 8 * made.size; i += step) {
                g_autofree uint8_t *copy = g_memdup2(made.data, made.size);
                _cleanup_(signed_data_freep) SignedData *data = NULL;
                const bool in_content = i / 8 >= content_at && i / 8 < content_at + SHA256_SIZE;
                const bool in_signature = i / 8 >= made.size - 256;

                copy[i / 8] ^= 1 << i % 8;
                if (signed_data_parse((Span){copy, made.size}, &data, NULL) < 0)
                        continue;
                if (verify(data, "", "db") == 0)
                        g_assert_false(in_content || in_signature);
        }
}

static void test_cut(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        _cleanup_(buffer_done) Buffer made = {};
        SignedData *data = NULL;

        g_assert_cmpint(signed_data_make_detached(signer, span_from_string("content"), &made), ==, 0);
        for (size_t size = 0; size < made.size; size++) {
                g_autofree uint8_t *copy = g_memdup2(made.data, size);
                g_assert_cmpint(signed_data_parse((Span){copy, size}, &data, NULL), ==, -EBADMSG);
        }
        g_assert_null(data);
}

/* What the quick look says, the long one says too; it may only know less. */
static void test_plainly(void) {
        _cleanup_(signer_freep) Signer *signer = load_signer("db"), *other = load_signer("foreign-db");
        const Certificate *own = signer_certificate(signer), *foreign = signer_certificate(other);
        _cleanup_(buffer_done) Buffer made = {}, detached = {};
        Sha256 digest = {};
        size_t certificate_at;

        g_assert_cmpint(signed_data_make_authenticode(signer, &digest, SIGNING_TIME, &made), ==, 0);
        g_assert_cmpint(signed_data_make_detached(signer, span_from_string("content"), &detached), ==, 0);
        g_assert_true(signed_data_is_plainly_by(buffer_span(&made), own));
        g_assert_false(signed_data_is_plainly_by(buffer_span(&made), foreign));
        g_assert_false(signed_data_is_plainly_by(buffer_span(&detached), own));
        for (size_t size = 0; size < made.size; size++) {
                g_autofree uint8_t *copy = g_memdup2(made.data, size);
                g_assert_false(signed_data_is_plainly_by((Span){copy, size}, own));
        }

        g_assert_cmpint(span_find(buffer_span(&made), certificate_der(own), 0, &certificate_at), ==, 0);
        for (size_t i = 0; i < made.size; i++) {
                g_autofree uint8_t *copy = g_memdup2(made.data, made.size);
                _cleanup_(signed_data_freep) SignedData *data = NULL;

                copy[i] ^= 1 << i % 8;
                if (!signed_data_is_plainly_by((Span){copy, made.size}, own))
                        continue;
                g_assert_false(i >= certificate_at && i < certificate_at + certificate_der(own).size);
                if (signed_data_parse((Span){copy, made.size}, &data, NULL) >= 0)
                        g_assert_true(certificate_equal(signed_data_signer_chain(data, 0), own));
        }
}

static void test_chain(void) {
        g_autofree char *intermediate = test_pki_path("chain-intermediate.pem");
        const char *const options[] = {"-md", "sha384", "-certfile", intermediate, NULL};
        const char *const bare_options[] = {NULL};
        g_autoptr(GBytes) with = openssl_sign("content", "chain-leaf", options);
        g_autoptr(GBytes) without = openssl_sign("content", "chain-leaf", bare_options);
        _cleanup_(signed_data_freep) SignedData *data = parse(span_of(with)), *short_data = parse(span_of(without));

        g_assert_cmpint(verify(data, "content", "chain-root"), ==, 0);
        g_assert_cmpint(verify(data, "content", "chain-intermediate"), ==, 0);
        g_assert_cmpint(verify(data, "content", "chain-leaf"), ==, 0);
        g_assert_cmpint(verify(data, "content", "db"), ==, -EKEYREJECTED);
        g_assert_cmpstr(certificate_common_name(signed_data_signer_chain(data, 0)), ==, "Test chain leaf");
        g_assert_cmpstr(certificate_common_name(signed_data_signer_chain(data, 1)), ==, "Test chain intermediate");
        g_assert_null(signed_data_signer_chain(data, 2));

        g_assert_cmpint(verify(short_data, "content", "chain-root"), ==, -EKEYREJECTED);
        g_assert_cmpint(verify(short_data, "content", "chain-intermediate"), ==, 0);
        g_assert_cmpint(verify(short_data, "content", "chain-leaf"), ==, 0);
        g_assert_null(signed_data_signer_chain(short_data, 1));
}

static void test_expired(void) {
        const char *const options[] = {NULL};
        g_autoptr(GBytes) signature = openssl_sign("content", "db-expired", options);
        _cleanup_(signed_data_freep) SignedData *data = parse(span_of(signature));

        g_assert_cmpint(verify(data, "content", "db-expired"), ==, 0);
}

static void test_two_signers(void) {
        g_autofree char *key = test_pki_path("foreign-db.key"), *pem = test_pki_path("foreign-db.pem");
        const char *const options[] = {"-signer", pem, "-inkey", key, NULL};
        g_autoptr(GBytes) signature = openssl_sign("content", "db", options);
        _cleanup_(signed_data_freep) SignedData *data = parse(span_of(signature));

        g_assert_nonnull(signed_data_signer(data, 0));
        g_assert_nonnull(signed_data_signer(data, 1));
        g_assert_null(signed_data_signer(data, 2));
        g_assert_false(certificate_equal(signed_data_signer(data, 0), signed_data_signer(data, 1)));
        g_assert_cmpint(verify(data, "content", "db"), ==, -EKEYREJECTED);
        g_assert_cmpint(verify(data, "content", "foreign-db"), ==, -EKEYREJECTED);
}

static void test_no_certificates(void) {
        const char *const options[] = {"-nocerts", NULL};
        g_autoptr(GBytes) signature = openssl_sign("content", "db", options);
        _cleanup_(signed_data_freep) SignedData *data = parse(span_of(signature));

        g_assert_null(signed_data_certificate(data, 0));
        g_assert_null(signed_data_signer(data, 0));
        g_assert_null(signed_data_signer_chain(data, 0));
        g_assert_cmpint(verify(data, "content", "db"), ==, -EKEYREJECTED);
}

static void test_no_authenticode(void) {
        const char *const options[] = {"-nodetach", NULL};
        g_autoptr(GBytes) signature = openssl_sign("content", "db", options);
        _cleanup_(signed_data_freep) SignedData *data = parse(span_of(signature));
        DigestAlgorithm algorithm;
        uint8_t digest[DIGEST_SIZE_MAX];

        g_assert_cmpint(signed_data_image_digest(data, &algorithm, digest), ==, -EBADMSG);
}

static void test_refuses(void) {
        static const uint8_t empty[] = {0x30, 0x00};
        static const uint8_t only_type[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                            0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
        static const uint8_t data_type[] = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                            0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
        static const uint8_t indefinite[] = {0x30, 0x80, 0x00, 0x00};
        static uint8_t huge[0x20000] = {0x30, 0x83, 0x01, 0xff, 0xfb};
        g_autoptr(GBytes) certificate = test_pki("db.der");
        const Span inputs[] = {{empty, sizeof(empty)},
                               {only_type, sizeof(only_type)},
                               {data_type, sizeof(data_type)},
                               {indefinite, sizeof(indefinite)},
                               {huge, sizeof(huge)},
                               span_of(certificate),
                               {}};
        SignedData *data = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(inputs); i++)
                g_assert_cmpint(signed_data_parse(inputs[i], &data, NULL), ==, -EBADMSG);
        g_assert_null(data);
}

/* The first signature is the trial of a key that was only read. */
static void test_untried_key(void) {
        _cleanup_(signer_freep) Signer *good = read_untried("db.key"), *damaged = read_untried("db-damaged.key");
        const Sha256 digest = {};

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(buffer_done) Buffer made = {}, update = {}, none = {};

                g_assert_cmpint(signed_data_make_authenticode(good, &digest, SIGNING_TIME, &made), ==, 0);
                g_assert_cmpint(signed_data_make_detached(good, span_from_string("text"), &update), ==, 0);
                g_assert_cmpint(signed_data_make_authenticode(damaged, &digest, SIGNING_TIME, &none), ==, -ENOKEY);
                g_assert_cmpint(signed_data_make_detached(damaged, span_from_string("text"), &none), ==, -ENOKEY);
                g_assert_cmpuint(none.size, ==, 0);
        }
        g_assert_cmpuint(signer_signature_count(good), ==, 4);
        g_assert_cmpuint(signer_signature_count(damaged), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crypto/signed-data/detached-is-bare-and-good-in-the-eyes-of-openssl", test_detached_judged);
        g_test_add_func("/crypto/signed-data/detached-verifies-by-its-certificate-only", test_detached_verifies);
        g_test_add_func("/crypto/signed-data/the-same-time-gives-the-same-bytes", test_same_bytes);
        g_test_add_func("/crypto/signed-data/authenticode-carries-and-covers-the-image-digest", test_authenticode);
        g_test_add_func("/crypto/signed-data/says-how-many-bytes-it-used", test_trailing);
        g_test_add_func("/crypto/signed-data/survives-flipped-bits-and-sees-those-that-count", test_damage);
        g_test_add_func("/crypto/signed-data/refuses-what-is-cut", test_cut);
        g_test_add_func("/crypto/signed-data/a-quick-look-knows-ones-own-and-never-more-than-a-long-one", test_plainly);
        g_test_add_func("/crypto/signed-data/a-chain-may-end-in-any-of-its-certificates", test_chain);
        g_test_add_func("/crypto/signed-data/expiry-does-not-count", test_expired);
        g_test_add_func("/crypto/signed-data/every-signer-has-to-be-trusted", test_two_signers);
        g_test_add_func("/crypto/signed-data/without-certificates-there-is-no-signer", test_no_certificates);
        g_test_add_func("/crypto/signed-data/other-content-has-no-image-digest", test_no_authenticode);
        g_test_add_func("/crypto/signed-data/refuses-what-is-none", test_refuses);
        g_test_add_func("/crypto/signed-data/no-signature-of-a-damaged-key-leaves", test_untried_key);
        return g_test_run();
}
