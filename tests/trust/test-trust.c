/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Would the firmware run it? One table of images and lists, with what edk2 answers to each. */

#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/crypto/certificate.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-image.h"
#include "daemon/trust/trust.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

/* Lists are words: "NAME" is a certificate; "sha256" and so on the image's digest; "sha256:other" some other image's;
 * "revoked:NAME" a certificate's digest with time zero, "revoked-in-2040:NAME" with that time, and "revoked512:NAME"
 * with SHA-512. Images are words: who signed it, in this order; "NAME+OTHER" puts OTHER's certificate beside it. */
typedef struct Case {
        const char *sentence;
        const char *image, *db, *dbx, *dbt;
        bool allowed;
        const char *reason;
} Case;

static const Case cases[] = {
        /* unsigned: any digest */
        {"unsigned-and-unknown-is-refused", "", "db", "", "", false, "not in db, and it is not signed"},
        {"unsigned-without-any-list-is-refused", "", "", "", "", false, "not in db"},
        {"unsigned-with-its-sha256-in-db-is-allowed", "", "sha256", "", "", true, "SHA-256"},
        {"unsigned-with-its-sha384-in-db-is-allowed", "", "sha384", "", "", true, "SHA-384"},
        {"unsigned-with-its-sha512-in-db-is-allowed", "", "sha256:other sha512", "", "", true, "SHA-512"},
        {"unsigned-with-its-sha1-in-db-is-allowed", "", "sha1", "", "", true, "SHA-1"},
        {"unsigned-with-another-digest-in-db-is-refused", "", "sha256:other", "", "", false, "not in db"},
        {"unsigned-in-db-and-dbx-is-refused", "", "sha256", "sha256", "", false, "is in dbx"},
        {"unsigned-in-dbx-by-another-algorithm-is-refused", "", "sha256", "sha1", "", false, "SHA-1"},
        {"unsigned-in-dbx-by-a-longer-algorithm-is-refused", "", "sha1", "sha512", "", false, "SHA-512"},
        {"unsigned-in-db-with-others-in-dbx-is-allowed", "", "sha256", "sha256:other db revoked:db", "", true, "db"},

        /* signed: certificates */
        {"signed-by-db-is-allowed", "db", "db", "", "", true, "Test db"},
        {"signed-by-db-among-others-is-allowed", "db", "sha256:other foreign-db db", "", "", true, "Test db"},
        {"signed-by-a-stranger-is-refused", "db", "foreign-db", "", "", false,
         "\"CN=Test db\" leads to no certificate"},
        {"signed-without-db-is-refused", "db", "", "", "", false, "leads to no certificate in db"},
        {"signed-by-an-expired-certificate-is-allowed", "db-expired", "db-expired", "", "", true, "expired"},
        {"dbx-of-others-does-not-matter", "db", "db", "foreign-db revoked:foreign-db sha256:other", "", true,
         "Test db"},
        {"certificate-in-dbx-outweighs-db", "db", "db", "db", "", false, "which is in dbx"},
        {"certificate-digest-in-dbx-outweighs-db", "db", "db", "revoked:db", "", false, "digest is in dbx"},
        {"certificate-sha512-in-dbx-outweighs-db", "db", "db", "revoked512:db", "", false, "digest is in dbx"},
        {"later-revocation-without-time-stamp-refuses", "db", "db", "revoked-in-2040:db", "", false,
         "digest is in dbx"},
        {"later-revocation-with-dbt-and-no-time-stamp-refuses", "db", "db", "revoked-in-2040:db", "foreign-db", false,
         "digest is in dbx"},

        /* signed: digests, by the signature's algorithm only */
        {"digest-in-dbx-outweighs-the-certificate-in-db", "db", "db", "sha256", "", false, "SHA-256"},
        {"digest-in-dbx-by-another-algorithm-is-not-asked", "db", "db", "sha1 sha384 sha512", "", true, "Test db"},
        {"digest-in-db-makes-up-for-a-stranger", "foreign-db", "db sha256", "", "", true, "SHA-256"},
        {"digest-in-db-by-another-algorithm-does-not", "foreign-db", "db sha512", "", "", false, "leads to no"},
        {"digest-in-db-does-not-make-up-for-dbx", "foreign-db", "sha256", "foreign-db", "", false, "which is in dbx"},

        /* several signatures */
        {"first-of-two-signatures-is-enough", "db foreign-db", "db", "", "", true, "Test db"},
        {"second-of-two-signatures-is-enough", "foreign-db db", "db", "", "", true, "Test db"},
        {"second-is-enough-when-dbx-holds-others", "foreign-db db", "db", "KEK", "", true, "Test db"},
        {"one-forbidden-signature-refuses-after-a-good-one", "db foreign-db", "db", "foreign-db", "", false,
         "Foreign db"},
        {"one-forbidden-signature-refuses-before-a-good-one", "foreign-db db", "db", "revoked:foreign-db", "", false,
         "Foreign db"},

        /* chains */
        {"root-in-db-allows-with-the-intermediate-beside", "chain-leaf+chain-intermediate", "chain-root", "", "", true,
         "Test chain root"},
        {"root-in-db-does-not-without-it", "chain-leaf", "chain-root", "", "", false, "Test chain leaf"},
        {"intermediate-in-db-is-an-anchor", "chain-leaf", "chain-intermediate", "", "", true, "intermediate"},
        {"leaf-in-db-is-an-anchor", "chain-leaf", "chain-leaf", "", "", true, "leaf"},
        {"root-in-dbx-forbids-what-db-has-the-leaf-of", "chain-leaf+chain-intermediate", "chain-leaf", "chain-root", "",
         false, "Test chain root"},
        {"intermediate-in-dbx-forbids-what-db-has-the-leaf-of", "chain-leaf", "chain-leaf", "chain-intermediate", "",
         false, "intermediate"},
        {"digest-of-the-intermediate-is-not-asked", "chain-leaf+chain-intermediate", "chain-root",
         "revoked:chain-intermediate", "", true, "Test chain root"},
        {"digest-of-the-anchor-is-asked", "chain-leaf+chain-intermediate", "chain-root", "revoked:chain-root", "",
         false, "whose digest is in dbx"},
        {"the-first-anchor-decides", "chain-leaf+chain-intermediate", "chain-root chain-intermediate",
         "revoked:chain-root", "", false, "whose digest is in dbx"},
        {"and-the-order-of-db-is-what-is-first", "chain-leaf+chain-intermediate", "chain-intermediate chain-root",
         "revoked:chain-root", "", true, "intermediate"},
        {"a-revoked-anchor-leaves-the-digest-in-db", "chain-leaf+chain-intermediate", "chain-root sha256",
         "revoked:chain-root", "", true, "SHA-256"},
};

static const Guid owner = GUID_INIT(0x12345678, 0x1234, 0x1234, 0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc);

static Span span_of_bytes(GBytes *bytes) {
        return (Span){g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)};
}

static char *pki_path(const char *name, const char *end) {
        g_autofree char *file = g_strconcat(name, end, NULL);

        return test_pki_path(file);
}

static void sign_once(const char *path, const char *word) {
        g_auto(GStrv) names = g_strsplit(word, "+", 2);
        g_autofree char *key = pki_path(names[0], ".key"), *pem = pki_path(names[0], ".pem");
        g_autofree char *other = names[1] ? pki_path(names[1], ".pem") : NULL;
        g_autofree char *output = test_run_good("sbsign", "--key", key, "--cert", pem, "--output", path, path,
                                                other ? "--addcert" : NULL, other, NULL);
}

/* The fixture's image, signed by sbsign: not by what is tested here. */
static GBytes *make_image(const char *words) {
        static GHashTable *made;
        _cleanup_(test_folder_cleanup) char *folder = NULL;
        g_autoptr(GByteArray) stub = NULL;
        g_auto(GStrv) signers = g_strsplit(words, " ", 0);
        g_autofree char *path = NULL;
        GBytes *image;

        if (!made)
                made = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
        image = g_hash_table_lookup(made, words);
        if (image)
                return g_bytes_ref(image);
        folder = test_folder_make();
        path = test_path(folder, "image.efi");
        stub = pe_fixture_stub();
        test_write(folder, "image.efi", stub->data, stub->len, 0600);
        for (char **signer = signers; *signer; signer++)
                if (**signer)
                        sign_once(path, *signer);
        image = test_read(folder, "image.efi");
        g_hash_table_insert(made, g_strdup(words), image);
        return g_bytes_ref(image);
}

static Certificate *load_certificate(const char *name) {
        g_autofree char *file = g_strconcat(name, ".der", NULL);
        g_autoptr(GBytes) der = test_pki(file);
        Certificate *certificate;

        g_assert_cmpint(certificate_from_der(span_of_bytes(der), &certificate), ==, 0);
        return certificate;
}

static void add_certificate_digest(Buffer *list, const char *word) {
        const char *name = strchr(word, ':') + 1;
        _cleanup_(certificate_unrefp) Certificate *certificate = load_certificate(name);
        bool is_512 = g_str_has_prefix(word, "revoked512");
        DigestAlgorithm algorithm = is_512 ? DIGEST_SHA512 : DIGEST_SHA256;
        uint8_t data[DIGEST_SIZE_MAX + 16] = {};
        size_t size = digest_size(algorithm);

        g_assert_cmpint(certificate_tbs_digest(certificate, algorithm, data), ==, 0);
        memset(data + size, 0, 16);
        if (g_str_has_prefix(word, "revoked-in-2040")) {
                data[size] = 2040 & 0xff;
                data[size + 1] = 2040 >> 8;
                data[size + 2] = data[size + 3] = 1;
        }
        g_assert_cmpint(signature_database_add(list, is_512 ? &signature_type_x509_sha512 : &signature_type_x509_sha256,
                                               &owner, (Span){data, size + 16}),
                        ==, 1);
}

static bool add_image_digest(Buffer *list, const char *word, Span image) {
        static const struct {
                const char *name;
                const Guid *type;
        } types[DIGEST_COUNT] = {
                {"sha1", &signature_type_sha1},
                {"sha256", &signature_type_sha256},
                {"sha384", &signature_type_sha384},
                {"sha512", &signature_type_sha512},
        };
        uint8_t digest[DIGEST_SIZE_MAX];
        PeImage parsed;

        for (DigestAlgorithm i = 0; i < DIGEST_COUNT; i++) {
                g_auto(GStrv) parts = g_strsplit(word, ":", 2);

                if (!g_str_equal(parts[0], types[i].name))
                        continue;
                g_assert_cmpint(pe_image_parse(image, &parsed), ==, 0);
                g_assert_cmpint(authenticode_digest(&parsed, i, digest), ==, 0);
                if (parts[1])
                        digest[0] ^= 1;
                g_assert_cmpint(signature_database_add(list, types[i].type, &owner, (Span){digest, digest_size(i)}), ==,
                                1);
                return true;
        }
        return false;
}

static Buffer make_list(const char *words, Span image) {
        g_auto(GStrv) names = g_strsplit(words, " ", 0);
        Buffer list = {};

        for (char **name = names; *name; name++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                if (!**name || add_image_digest(&list, *name, image))
                        continue;
                if (g_str_has_prefix(*name, "revoked")) {
                        add_certificate_digest(&list, *name);
                        continue;
                }
                certificate = load_certificate(*name);
                g_assert_cmpint(
                        signature_database_add(&list, &signature_type_x509, &owner, certificate_der(certificate)), ==,
                        1);
        }
        return list;
}

static void assert_judged(Span image, Span db, Span dbx, Span dbt, bool allowed, const char *reason) {
        const TrustLists lists = {.db = db, .dbx = dbx, .dbt = dbt};
        _cleanup_(trust_verdict_done) TrustVerdict verdict = {};

        g_assert_cmpint(trust_judge(image, &lists, &verdict), ==, 0);
        g_assert_nonnull(verdict.reason);
        if (verdict.allowed != allowed || !strstr(verdict.reason, reason))
                g_error("%s: '%s' (expected: %s, '%s')", verdict.allowed ? "allowed" : "refused", verdict.reason,
                        allowed ? "allowed" : "refused", reason);
}

static void test_case(gconstpointer data) {
        const Case *c = data;
        g_autoptr(GBytes) bytes = make_image(c->image);
        Span image = span_of_bytes(bytes);
        _cleanup_(buffer_done) Buffer db = make_list(c->db, image), dbx = make_list(c->dbx, image);
        _cleanup_(buffer_done) Buffer dbt = make_list(c->dbt, image);

        assert_judged(image, buffer_span(&db), buffer_span(&dbx), buffer_span(&dbt), c->allowed, c->reason);
}

/* A copy of an image signed by db, to be broken, and a db that allows the good one. */
typedef struct Fixture {
        Buffer image, db, dbx;
        PeImage parsed;
} Fixture;

static Fixture make_fixture(const char *db, const char *dbx) {
        g_autoptr(GBytes) bytes = make_image("db");
        Fixture fixture = {.db = make_list(db, span_of_bytes(bytes)), .dbx = make_list(dbx, span_of_bytes(bytes))};

        g_assert_cmpint(buffer_append(&fixture.image, span_of_bytes(bytes)), ==, 0);
        g_assert_cmpint(pe_image_parse(buffer_span(&fixture.image), &fixture.parsed), ==, 0);
        return fixture;
}

static void fixture_done(Fixture *fixture) {
        buffer_done(&fixture->image);
        buffer_done(&fixture->db);
        buffer_done(&fixture->dbx);
}

static void assert_fixture(const Fixture *fixture, bool allowed, const char *reason) {
        assert_judged(buffer_span(&fixture->image), buffer_span(&fixture->db), buffer_span(&fixture->dbx), (Span){},
                      allowed, reason);
}

static void test_trailing_bytes(void) {
        _cleanup_(fixture_done) Fixture fixture = make_fixture("db sha256", "");
        uint32_t size = fixture.parsed.certificates_size + 8;

        assert_fixture(&fixture, true, "Test db");
        g_assert_cmpint(buffer_append_zero(&fixture.image, 8), ==, 0);
        for (unsigned i = 0; i < 4; i++)
                fixture.image.data[fixture.parsed.certificates_directory_offset + 4 + i] = size >> (8 * i);
        assert_fixture(&fixture, false, "certificate table is damaged");
}

static void test_no_image(void) {
        _cleanup_(fixture_done) Fixture fixture = make_fixture("db", "");

        fixture.image.size = fixture.parsed.certificates_offset + 100;
        assert_fixture(&fixture, false, "no PE image");
        fixture.image.size = 0;
        assert_fixture(&fixture, false, "no PE image");
}

static void test_malformed_lists(void) {
        _cleanup_(fixture_done) Fixture db = make_fixture("db", ""), dbx = make_fixture("db", "foreign-db");

        db.db.size--;
        assert_fixture(&db, false, "db is malformed");
        dbx.dbx.size--;
        assert_fixture(&dbx, false, "dbx is malformed");
}

/* A signature that is none any more (but still says which digest algorithm): dbx makes the difference. */
static void test_unreadable_signature(void) {
        _cleanup_(fixture_done) Fixture without = make_fixture("db sha256", ""),
                                        with = make_fixture("db sha256", "KEK");
        _cleanup_(fixture_done) Fixture nowhere = make_fixture("db", "");
        Fixture *all[] = {&without, &with, &nowhere};

        for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
                memset(all[i]->image.data + all[i]->parsed.certificates_offset + 8 + 60, 0xff, 100);
        assert_fixture(&without, true, "SHA-256");
        assert_fixture(&with, false, "without the signer's certificate");
        assert_fixture(&nowhere, false, "can't be read");
}

/* Bytes that no signature covers: the checksum, and the certificate table's directory entry. */
static bool is_covered(const PeImage *image, size_t offset) {
        const size_t checksum = image->optional_offset + 64, directory = image->certificates_directory_offset;

        if (offset >= image->certificates_offset)
                return false;
        return !(offset >= checksum && offset < checksum + 4) && !(offset >= directory && offset < directory + 8);
}

static void test_flipped_bits(void) {
        _cleanup_(fixture_done) Fixture fixture = make_fixture("db", "KEK");
        bool all = g_getenv("LANZA_LONG") != NULL;
        size_t tries = all ? fixture.image.size : 300;

        for (size_t i = 0; i < tries; i++) {
                _cleanup_(trust_verdict_done) TrustVerdict verdict = {};
                const TrustLists lists = {.db = buffer_span(&fixture.db), .dbx = buffer_span(&fixture.dbx)};
                size_t offset = all ? i : (size_t)g_test_rand_int_range(0, fixture.image.size);
                uint8_t bit = 1 << g_test_rand_int_range(0, 8);

                if (!is_covered(&fixture.parsed, offset))
                        continue;
                fixture.image.data[offset] ^= bit;
                g_assert_cmpint(trust_judge(buffer_span(&fixture.image), &lists, &verdict), ==, 0);
                if (verdict.allowed)
                        g_error("bit %u of byte %zu makes no difference", bit, offset);
                fixture.image.data[offset] ^= bit;
        }
        assert_fixture(&fixture, true, "Test db");
        fixture.image.data[fixture.parsed.n_sections > 0 ? fixture.parsed.sections[0].raw_offset : 0] ^= 1;
        assert_fixture(&fixture, false, "it was changed after \"CN=Test db\" signed it");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                g_autofree char *name = g_strdup_printf("/trust/%s", cases[i].sentence);

                g_test_add_data_func(name, &cases[i], test_case);
        }
        g_test_add_func("/trust/bytes-behind-the-last-signature-refuse", test_trailing_bytes);
        g_test_add_func("/trust/what-is-no-image-is-refused", test_no_image);
        g_test_add_func("/trust/malformed-lists-refuse", test_malformed_lists);
        g_test_add_func("/trust/an-unreadable-signature-is-forbidden-once-there-is-a-dbx", test_unreadable_signature);
        g_test_add_func("/trust/a-flipped-bit-is-noticed-wherever-it-is", test_flipped_bits);
        return g_test_run();
}
