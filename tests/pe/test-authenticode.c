/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pe/authenticode.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/pe/pe-assemble.h"
#include "daemon/pe/pe-format.h"
#include "daemon/util/encode.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

enum { SIGNING_TIME = 1700000000 };

static Span span_of(const GByteArray *array) {
        return (Span){array->data, array->len};
}

static Span span_of_bytes(GBytes *bytes) {
        return (Span){g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)};
}

static Signer *load_signer(const char *name) {
        g_autofree char *key_file = g_strconcat(name, ".key", NULL), *pem_file = g_strconcat(name, ".pem", NULL);
        g_autoptr(GBytes) key = test_pki(key_file), pem = test_pki(pem_file);
        Signer *signer;

        g_assert_cmpint(signer_new_from_pem(span_of_bytes(key), span_of_bytes(pem), &signer), ==, 0);
        return signer;
}

static int verify(Span image, const char *anchor_name) {
        _cleanup_(certificate_unrefp) Certificate *anchor = NULL;
        g_autofree char *file = g_strconcat(anchor_name, ".pem", NULL);
        g_autoptr(GBytes) pem = test_pki(file);

        g_assert_cmpint(certificate_from_pem(span_of_bytes(pem), &anchor), ==, 0);
        return authenticode_verify(image, anchor);
}

static Buffer copy_of(const GByteArray *array) {
        Buffer buffer = {};

        g_assert_cmpint(buffer_append(&buffer, span_of(array)), ==, 0);
        return buffer;
}

static Buffer sign_with(const GByteArray *array, const char *name) {
        _cleanup_(signer_freep) Signer *signer = load_signer(name);
        Buffer buffer = copy_of(array);

        g_assert_cmpint(authenticode_sign(&buffer, signer, SIGNING_TIME), ==, 0);
        return buffer;
}

static char *digest_text(Span file, DigestAlgorithm algorithm) {
        uint8_t digest[DIGEST_SIZE_MAX];
        PeImage image;

        g_assert_cmpint(pe_image_parse(file, &image), ==, 0);
        g_assert_cmpint(authenticode_digest(&image, algorithm, digest), ==, 0);
        return hex_encode((Span){digest, digest_size(algorithm)});
}

static GByteArray *read_build_file(const char *name) {
        const char *build = g_getenv("LANZA_BUILD");
        g_autofree char *path = g_build_filename(build ? build : "build", name, NULL);
        char *content;
        gsize size;

        g_assert_true(g_file_get_contents(path, &content, &size, NULL));
        return g_byte_array_new_take((uint8_t *)content, size);
}

/* A boot image as the product makes it. */
static GByteArray *boot_image(const GByteArray *stub) {
        static const uint8_t hash[32] = {1, 2, 3};
        const PeNewSection sections[] = {
                {".osrel", span_from_string("ID=\"lanza\"\nPRETTY_NAME=\"Test\"\n")},
                {".cmdline", span_from_string("quiet")},
                {".linux", span_from_string("\\EFI\\nixos\\kernel.efi")},
                {".linuxh", {hash, sizeof(hash)}},
        };
        _cleanup_(buffer_done) Buffer made = {};
        GByteArray *array = g_byte_array_new();

        g_assert_cmpint(pe_assemble(span_of(stub), sections, G_N_ELEMENTS(sections), &made), ==, 0);
        return g_byte_array_append(array, made.data, made.size);
}

/* What the fixture and the product have in different forms: PE32+ and PE32, lengths that are no multiple of 8, trailing
 * data (the last one), our stub. */
static GPtrArray *all_images(void) {
        static const PeFixtureSection sections[] = {{".text", "code", 4, 0x60000020}, {".data", "data", 4, 0x40000040}};
        GPtrArray *images = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
        g_autoptr(GByteArray) ours = read_build_file("stubs/lanzastubx64.efi");
        g_autoptr(GByteArray) fixture = pe_fixture_stub();

        g_ptr_array_add(images, boot_image(ours));
        g_ptr_array_add(images, boot_image(fixture));
        g_ptr_array_add(images, g_byte_array_ref(fixture));
        g_ptr_array_add(images, pe_fixture_build(&(PeFixture){.pe32 = true, .sections = sections, .n_sections = 2}));
        g_ptr_array_add(images,
                        pe_fixture_build(&(PeFixture){
                                .sections = sections, .n_sections = 2, .trailing = "trailing", .trailing_size = 5}));
        return images;
}

static void assert_judged(const GByteArray *image, const char *signer_name, bool has_trailing) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image.efi");
        g_autofree char *pem = g_strconcat(signer_name, ".pem", NULL);
        g_autofree char *anchor = test_pki_path(pem), *foreign = test_pki_path("foreign-db.pem");
        _cleanup_(buffer_done) Buffer made = sign_with(image, signer_name);
        g_autofree char *digest = digest_text(buffer_span(&made), DIGEST_SHA256);
        g_autofree char *sbverify = NULL, *osslsigncode = NULL, *pesign = NULL;
        PeImage parsed;

        g_assert_cmpint(verify(buffer_span(&made), signer_name), ==, 0);
        g_assert_cmpint(verify(buffer_span(&made), "foreign-db"), ==, -EKEYREJECTED);
        test_write(folder, "image.efi", made.data, made.size, 0600);
        sbverify = test_run_good("sbverify", "--cert", anchor, path, NULL);
        g_assert_nonnull(strstr(sbverify, "Signature verification OK"));
        g_assert_cmpint(strstr(sbverify, "warning") != NULL, ==, has_trailing);
        g_assert_cmpint(test_run(NULL, "sbverify", "--cert", foreign, path, NULL), !=, 0);

        pesign = test_run_good("pesign", "-h", "-i", path, NULL);
        g_assert_nonnull(strstr(pesign, digest));
        osslsigncode = test_run_good("osslsigncode", "verify", "-CAfile", anchor, "-in", path, NULL);
        g_assert_nonnull(strstr(osslsigncode, "Number of verified signatures: 1"));
        g_assert_null(strstr(osslsigncode, "MISMATCH"));

        g_assert_cmpint(pe_image_parse(buffer_span(&made), &parsed), ==, 0);
        g_assert_cmpuint(made.size % 8, ==, 0);
        g_assert_cmpuint(parsed.certificates_size % 8, ==, 0);
        g_assert_cmpuint(parsed.certificates_offset + parsed.certificates_size, ==, made.size);
}

static void test_judged(void) {
        g_autoptr(GPtrArray) images = all_images();

        for (size_t i = 0; i < images->len; i++)
                assert_judged(images->pdata[i], "db", /* has_trailing= */ i == images->len - 1);
}

static void test_judged_4096(void) {
        g_autoptr(GPtrArray) images = all_images();

        assert_judged(images->pdata[0], "db-4096", /* has_trailing= */ false);
}

static void test_pefile(void) {
        const char *source = g_getenv("LANZA_SOURCE");
        g_autofree char *judge = g_build_filename(source ? source : ".", "tests/pe/judge-layout", NULL);
        g_autoptr(GPtrArray) images = all_images();

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                g_autofree char *path = test_path(folder, "image.efi");
                _cleanup_(buffer_done) Buffer made = sign_with(images->pdata[i], "db");
                g_autofree char *output = NULL;

                test_write(folder, "image.efi", made.data, made.size, 0600);
                output = test_run_good("/usr/bin/python3", judge, path, NULL);
                g_assert_cmpstr(output, ==, "good\n");
        }
}

static void test_replaces(void) {
        g_autoptr(GPtrArray) images = all_images();

        for (size_t i = 0; i < images->len; i++) {
                _cleanup_(buffer_done) Buffer once = sign_with(images->pdata[i], "db");
                _cleanup_(buffer_done) Buffer again = sign_with(images->pdata[i], "foreign-db");
                _cleanup_(signer_freep) Signer *signer = load_signer("db");

                g_assert_cmpint(verify(buffer_span(&again), "db"), ==, -EKEYREJECTED);
                g_assert_cmpint(authenticode_sign(&again, signer, SIGNING_TIME), ==, 0);
                g_assert_true(span_equal(buffer_span(&once), buffer_span(&again)));
        }
}

/* The fixture's image as sbsign signs it, by each of the names in turn: every signature but the first is appended. */
static GBytes *sbsign(const GByteArray *image, const char *const *names) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image.efi");

        test_write(folder, "image.efi", image->data, image->len, 0600);
        for (; *names; names++) {
                g_autofree char *key_file = g_strconcat(*names, ".key", NULL), *key = test_pki_path(key_file);
                g_autofree char *pem_file = g_strconcat(*names, ".pem", NULL), *pem = test_pki_path(pem_file);
                g_autofree char *output =
                        test_run_good("sbsign", "--key", key, "--cert", pem, "--output", path, path, NULL);
        }
        return test_read(folder, "image.efi");
}

static size_t count_entries(Span file, int *ret_end) {
        AuthenticodeEntry entry;
        size_t offset = 0, n = 0;
        PeImage image;
        Span table;

        g_assert_cmpint(pe_image_parse(file, &image), ==, 0);
        g_assert_cmpint(pe_image_certificates(&image, &table), ==, 0);
        while ((*ret_end = authenticode_next(table, &offset, &entry)) > 0)
                n++;
        return n;
}

static void test_sbsign(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        g_autoptr(GByteArray) image = boot_image(stub);
        const char *const once[] = {"db", NULL}, *const twice[] = {"foreign-db", "db", NULL};
        g_autoptr(GBytes) one = sbsign(image, once), two = sbsign(image, twice);
        int end;

        g_assert_cmpint(verify(span_of_bytes(one), "db"), ==, 0);
        g_assert_cmpint(verify(span_of_bytes(one), "foreign-db"), ==, -EKEYREJECTED);
        g_assert_cmpint(verify(span_of_bytes(two), "db"), ==, 0);
        g_assert_cmpint(verify(span_of_bytes(two), "foreign-db"), ==, 0);
        g_assert_cmpint(verify(span_of_bytes(two), "KEK"), ==, -EKEYREJECTED);
        g_assert_cmpuint(count_entries(span_of_bytes(two), &end), ==, 2);
        g_assert_cmpint(end, ==, 0);
}

static void test_algorithms(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        static const char *const names[] = {"sha1", "sha256", "sha384", "sha512"};
        g_autofree char *key = test_pki_path("db.key"), *pem = test_pki_path("db.pem");

        for (DigestAlgorithm i = 0; i < DIGEST_COUNT; i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                g_autofree char *in = test_path(folder, "in.efi"), *out = test_path(folder, "out.efi");
                g_autofree char *printed = NULL;
                g_autoptr(GBytes) made = NULL;
                DigestAlgorithm algorithm;
                AuthenticodeEntry entry;
                size_t offset = 0;
                PeImage image;
                Span table;

                test_write(folder, "in.efi", stub->data, stub->len, 0600);
                printed = test_run_good("osslsigncode", "sign", "-h", names[i], "-certs", pem, "-key", key, "-in", in,
                                        "-out", out, NULL);
                made = test_read(folder, "out.efi");
                g_assert_cmpint(verify(span_of_bytes(made), "db"), ==, 0);
                g_assert_cmpint(pe_image_parse(span_of_bytes(made), &image), ==, 0);
                g_assert_cmpint(pe_image_certificates(&image, &table), ==, 0);
                g_assert_cmpint(authenticode_next(table, &offset, &entry), ==, 1);
                g_assert_cmpint(authenticode_algorithm(entry.data, &algorithm), ==, 0);
                g_assert_cmpint(algorithm, ==, i);
        }
}

static bool is_uncovered(size_t offset, const PeImage *image) {
        return (offset >= PE_FIXTURE_CHECKSUM && offset < PE_FIXTURE_CHECKSUM + 4) ||
               (offset >= PE_FIXTURE_CERTIFICATES && offset < PE_FIXTURE_CERTIFICATES + 8) ||
               offset >= image->certificates_offset;
}

/* Every bit (or a sample of one in 29) of what is covered: the image is refused, or is no image any more. */
static void test_covered(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        g_autoptr(GByteArray) image = boot_image(stub);
        _cleanup_(buffer_done) Buffer made = sign_with(image, "db");
        const size_t step = g_getenv("LANZA_LONG") ? 1 : 29;
        PeImage parsed;

        g_assert_cmpint(pe_image_parse(buffer_span(&made), &parsed), ==, 0);
        for (size_t i = 0; i < 8 * (size_t)parsed.certificates_offset; i += step) {
                int r;

                if (is_uncovered(i / 8, &parsed))
                        continue;
                made.data[i / 8] ^= 1 << i % 8;
                r = verify(buffer_span(&made), "db");
                if (r != -EKEYREJECTED && r != -EBADMSG && r != -ENODATA)
                        g_error("bit %zu of byte %zu: %d", i % 8, i / 8, r);
                made.data[i / 8] ^= 1 << i % 8;
        }
        g_assert_cmpint(verify(buffer_span(&made), "db"), ==, 0);
}

static void test_uncovered(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer made = sign_with(stub, "db");
        g_autofree char *expected = digest_text(buffer_span(&made), DIGEST_SHA256);
        g_autofree char *unsigned_digest = digest_text(span_of(stub), DIGEST_SHA256);

        g_assert_cmpstr(expected, ==, unsigned_digest);
        for (size_t i = PE_FIXTURE_CHECKSUM; i < PE_FIXTURE_CHECKSUM + 4; i++) {
                g_autofree char *digest = NULL;

                made.data[i] ^= 0xff;
                digest = digest_text(buffer_span(&made), DIGEST_SHA256);
                g_assert_cmpstr(digest, ==, expected);
                g_assert_cmpint(verify(buffer_span(&made), "db"), ==, 0);
                made.data[i] ^= 0xff;
        }
        /* The place of the certificate table, moved to where there is no signature. */
        for (size_t i = 0; i < 2; i++) {
                g_autofree char *digest = NULL;

                made.data[PE_FIXTURE_CERTIFICATES + i] ^= 0x08;
                if (verify(buffer_span(&made), "db") != -EBADMSG) {
                        digest = digest_text(buffer_span(&made), DIGEST_SHA256);
                        g_assert_cmpstr(digest, ==, expected);
                }
                made.data[PE_FIXTURE_CERTIFICATES + i] ^= 0x08;
        }
}

static void test_cut(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer made = sign_with(stub, "db");
        _cleanup_(signer_freep) Signer *signer = load_signer("db");

        for (size_t size = 0; size < made.size; size++) {
                g_autofree uint8_t *copy = g_memdup2(made.data, size);
                g_assert_cmpint(authenticode_verify((Span){copy, size}, signer_certificate(signer)), ==, -EBADMSG);
        }
}

/* Builds certificate tables by hand and walks through them. */
static int walk(const void *bytes, size_t size, size_t *ret_n) {
        const Span table = {bytes, size};
        AuthenticodeEntry entry;
        size_t offset = 0;
        int r;

        *ret_n = 0;
        while ((r = authenticode_next(table, &offset, &entry)) > 0)
                (*ret_n)++;
        return r;
}

static void test_tables(void) {
        static const uint8_t other_guid[32] = {32, 0, 0, 0, 0, 2, 0xf1, 0x0e, 1};
        static const struct {
                size_t size;
                uint8_t bytes[40];
                int r;
                size_t n;
        } cases[] = {
                {0, {}, 0, 0},
                {16, {16, 0, 0, 0, 0, 2, 2, 0}, 0, 1},
                {32, {16, 0, 0, 0, 0, 2, 2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 12, 0, 0, 0, 0, 2, 2, 0}, 0, 2},
                {28,
                 {12, 0, 0, 0, 0, 2, 2, 0, 1, 1, 1, 1, 0, 0, 0, 0, 12, 0, 0, 0, 0, 2, 2, 0},
                 -EBADMSG,
                 2},                                          /* end not aligned */
                {24, {16, 0, 0, 0, 0, 2, 2, 0}, -EBADMSG, 1}, /* 8 trailing bytes */
                {20, {16, 0, 0, 0, 0, 2, 2, 0}, -EBADMSG, 1}, /* 4 */
                {8, {8, 0, 0, 0, 0, 2, 2, 0}, -EBADMSG, 0},   /* no more than a header */
                {16, {8, 0, 0, 0, 0, 2, 2, 0}, -EBADMSG, 0},  /* no content */
                {16, {17, 0, 0, 0, 0, 2, 2, 0}, -EBADMSG, 0}, /* past the end */
                {16, {0xff, 0xff, 0xff, 0xff, 0, 2, 2, 0}, -EBADMSG, 0},
                {16, {0, 0, 0, 0, 0, 2, 2, 0}, -EBADMSG, 0},
                {16, {0, 0, 0, 0, 0, 2, 9, 0}, -EBADMSG, 0}, /* also of a kind that is passed over */
                {16, {16, 0, 0, 0, 0, 2, 9, 0}, 0, 1},
                {24, {24, 0, 0, 0, 0, 2, 0xf1, 0x0e}, -EBADMSG, 0}, /* a GUID and nothing behind */
        };
        AuthenticodeEntry entry;
        size_t offset = 0, n;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree uint8_t *copy = g_memdup2(cases[i].bytes, cases[i].size);
                g_test_message("case %zu", i);
                g_assert_cmpint(walk(copy, cases[i].size, &n), ==, cases[i].r);
                g_assert_cmpuint(n, ==, cases[i].n);
        }
        g_assert_cmpint(authenticode_next((Span){other_guid, sizeof(other_guid)}, &offset, &entry), ==, 1);
        g_assert_false(entry.is_pkcs7);
}

/* The same signature in the other envelope that UEFI has. */
static void test_guid_entry(void) {
        static const uint8_t guid[16] = {0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49,
                                         0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7};
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer made = sign_with(stub, "db");
        g_autoptr(GByteArray) file = g_byte_array_new();
        const size_t table = stub->len;
        const uint32_t length = made.size - table + sizeof(guid);

        g_byte_array_append(file, made.data, table + 8);
        g_byte_array_append(file, guid, sizeof(guid));
        g_byte_array_append(file, made.data + table + 8, made.size - table - 8);
        pe_fixture_set32(file, table, length);
        pe_fixture_set16(file, table + 6, 0x0ef1);
        pe_fixture_set32(file, PE_FIXTURE_CERTIFICATES + 4, length);
        g_assert_cmpint(verify(span_of(file), "db"), ==, 0);
}

/* By the judgement of sbverify, too. */
static void assert_sbverified(Span image, const char *name) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "image.efi"), *file = g_strconcat(name, ".pem", NULL);
        g_autofree char *certificate = test_pki_path(file), *output = NULL;

        test_write(folder, "image.efi", image.data, image.size, 0600);
        output = test_run_good("sbverify", "--cert", certificate, path, NULL);
}

static void test_adds(void) {
        g_autoptr(GPtrArray) images = all_images();
        _cleanup_(signer_freep) Signer *signer = load_signer("db");

        for (size_t i = 0; i < images->len; i++) {
                _cleanup_(buffer_done) Buffer made = sign_with(images->pdata[i], "foreign-db");
                int end;

                g_assert_cmpint(authenticode_add(&made, signer, SIGNING_TIME), ==, 0);
                g_assert_cmpint(verify(buffer_span(&made), "db"), ==, 0);
                g_assert_cmpint(verify(buffer_span(&made), "foreign-db"), ==, 0);
                g_assert_cmpuint(count_entries(buffer_span(&made), &end), ==, 2);
                g_assert_cmpint(end, ==, 0);
                assert_sbverified(buffer_span(&made), "db");
                assert_sbverified(buffer_span(&made), "foreign-db");
        }
}

static void test_adds_first(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        _cleanup_(buffer_done) Buffer signed_one = sign_with(stub, "db"), added = copy_of(stub);

        g_assert_cmpint(authenticode_add(&added, signer, SIGNING_TIME), ==, 0);
        g_assert_true(span_equal(buffer_span(&added), buffer_span(&signed_one)));
}

/* What firmware refuses for its table does not become good by another entry. */
static void test_adds_to_no_broken_table(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        _cleanup_(buffer_done) Buffer longer = sign_with(stub, "foreign-db"), moved = sign_with(stub, "foreign-db");

        g_assert_cmpint(buffer_append_zero(&longer, 8), ==, 0);
        pe_write_u32(longer.data, PE_FIXTURE_CERTIFICATES + 4, longer.size - stub->len);
        g_assert_cmpint(authenticode_add(&longer, signer, SIGNING_TIME), ==, -EBADMSG);

        g_assert_cmpint(buffer_append_zero(&moved, 4), ==, 0);
        memmove(moved.data + stub->len + 4, moved.data + stub->len, moved.size - stub->len - 4);
        pe_write_u32(moved.data, PE_FIXTURE_CERTIFICATES, stub->len + 4);
        g_assert_cmpint(authenticode_add(&moved, signer, SIGNING_TIME), ==, -EBADMSG);
        g_assert_cmpuint(signer_signature_count(signer), ==, 0);
}

static void test_broken_table(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        g_autoptr(GByteArray) longer = g_byte_array_new();
        _cleanup_(buffer_done) Buffer made = sign_with(stub, "db");

        g_assert_cmpint(verify(span_of(stub), "db"), ==, -ENODATA);
        g_assert_cmpint(buffer_append_zero(&made, 8), ==, 0);
        g_byte_array_append(longer, made.data, made.size);
        pe_fixture_set32(longer, PE_FIXTURE_CERTIFICATES + 4, made.size - stub->len);
        g_assert_cmpint(verify(span_of(longer), "db"), ==, -EBADMSG);
}

static void test_refuses_to_sign(void) {
        static const PeFixtureSection section = {".text", "code", 4, 0x60000020};
        _cleanup_(signer_freep) Signer *signer = load_signer("db");
        g_autoptr(GByteArray) no_directory =
                pe_fixture_build(&(PeFixture){.n_directories = 4, .sections = &section, .n_sections = 1});
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        g_autoptr(GByteArray) inside = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer behind = sign_with(stub, "db");
        _cleanup_(buffer_done) Buffer first = copy_of(no_directory), third = {}, fourth = {};

        g_assert_cmpint(authenticode_sign(&first, signer, SIGNING_TIME), ==, -EBADMSG);
        g_assert_cmpmem(first.data, first.size, no_directory->data, no_directory->len);
        g_assert_cmpint(buffer_append_zero(&behind, 8), ==, 0);
        g_assert_cmpint(authenticode_sign(&behind, signer, SIGNING_TIME), ==, -EBADMSG);

        /* A certificate table that is also a section's content. */
        pe_fixture_set32(inside, PE_FIXTURE_CERTIFICATES, inside->len - 512);
        pe_fixture_set32(inside, PE_FIXTURE_CERTIFICATES + 4, 512);
        third = copy_of(inside);
        g_assert_cmpint(authenticode_sign(&third, signer, SIGNING_TIME), ==, -EBADMSG);

        /* Two sections that are one place of the file. */
        pe_fixture_set32(stub, PE_FIXTURE_SECTIONS + 40 + 20, pe_fixture_get32(stub, PE_FIXTURE_SECTIONS + 20));
        fourth = copy_of(stub);
        g_assert_cmpint(authenticode_sign(&fourth, signer, SIGNING_TIME), ==, -EBADMSG);
        g_assert_cmpuint(signer_signature_count(signer), ==, 0);
}

static void test_same_bytes(void) {
        g_autoptr(GByteArray) stub = pe_fixture_stub();
        _cleanup_(buffer_done) Buffer a = sign_with(stub, "db"), b = sign_with(stub, "db");

        g_assert_true(span_equal(buffer_span(&a), buffer_span(&b)));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/pe/authenticode/sbverify-osslsigncode-and-pesign-agree-with-us", test_judged);
        g_test_add_func("/pe/authenticode/they-agree-on-a-4096-bit-key-too", test_judged_4096);
        g_test_add_func("/pe/authenticode/signed-images-are-good-in-the-eyes-of-pefile", test_pefile);
        g_test_add_func("/pe/authenticode/signing-again-replaces-the-signature", test_replaces);
        g_test_add_func("/pe/authenticode/accepts-what-sbsign-signed-once-or-twice", test_sbsign);
        g_test_add_func("/pe/authenticode/accepts-every-digest-algorithm-of-firmware", test_algorithms);
        g_test_add_func("/pe/authenticode/refuses-every-flipped-bit-that-is-covered", test_covered);
        g_test_add_func("/pe/authenticode/checksum-and-certificate-table-are-not-covered", test_uncovered);
        g_test_add_func("/pe/authenticode/refuses-a-signed-image-cut-at-any-length", test_cut);
        g_test_add_func("/pe/authenticode/walks-through-the-table-as-firmware-does", test_tables);
        g_test_add_func("/pe/authenticode/accepts-the-entry-that-a-guid-names", test_guid_entry);
        g_test_add_func("/pe/authenticode/a-signature-is-added-beside-others-which-stay-good", test_adds);
        g_test_add_func("/pe/authenticode/the-first-to-be-added-is-an-only-one", test_adds_first);
        g_test_add_func("/pe/authenticode/none-is-added-to-a-table-that-firmware-refuses",
                        test_adds_to_no_broken_table);
        g_test_add_func("/pe/authenticode/tells-unsigned-from-broken", test_broken_table);
        g_test_add_func("/pe/authenticode/refuses-to-sign-what-firmware-would-read-otherwise", test_refuses_to_sign);
        g_test_add_func("/pe/authenticode/the-same-time-gives-the-same-bytes", test_same_bytes);
        return g_test_run();
}
