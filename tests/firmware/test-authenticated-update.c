/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/authenticated-update.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/firmware/variables.h"
#include "tests/firmware/signers.h"

static AuthenticatedContent content_of(const char *data) {
        AuthenticatedContent content = {
                .name = "db",
                .vendor = &efi_image_security_database_guid,
                .attributes = VARIABLE_ATTRIBUTES_SECURE,
                .data = span_from_string(data),
        };

        g_assert_cmpint(efi_time_from_seconds(1767225600, &content.timestamp), ==, 0);
        return content;
}

static void test_covers_name_vendor_attributes_time_and_data(void) {
        static const uint8_t expected[] = {
                'd',  0,    'b',  0,                                                                            /**/
                0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f, /**/
                0x27, 0,    0,    0,                                                                            /**/
                0xea, 0x07, 1,    1,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    /**/
                'd',  'a',  't',  'a',
        };
        AuthenticatedContent content = content_of("data");
        _cleanup_(buffer_done) Buffer bytes = {};

        g_assert_cmpint(authenticated_content_serialize(&content, &bytes), ==, 0);
        g_assert_cmpmem(bytes.data, bytes.size, expected, sizeof(expected));
}

static void test_refuses_names_that_it_cannot_spell(void) {
        static const char *const names[] = {"", "dbé", "d\n"};

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                AuthenticatedContent content = content_of("data");
                Buffer bytes = {};

                content.name = names[i];
                g_assert_cmpint(authenticated_content_serialize(&content, &bytes), ==, -EINVAL);
                g_assert_null(bytes.data);
        }
}

typedef struct Fixture {
        Signer *signer, *foreign;
        Buffer update;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer unused) {
        AuthenticatedContent content = content_of("data");

        fixture->signer = test_signer("KEK");
        fixture->foreign = test_signer("foreign-KEK");
        g_assert_cmpint(authenticated_update_make(&content, fixture->signer, &fixture->update), ==, 0);
}

static void tear_down(Fixture *fixture, gconstpointer unused) {
        signer_free(fixture->signer);
        signer_free(fixture->foreign);
        buffer_done(&fixture->update);
}

static AuthenticatedUpdate parse(const Fixture *fixture) {
        AuthenticatedUpdate update;

        g_assert_cmpint(authenticated_update_parse(buffer_span(&fixture->update), &update), ==, 0);
        return update;
}

static void test_parses_what_it_made(Fixture *fixture, gconstpointer unused) {
        AuthenticatedUpdate update = parse(fixture);

        g_assert_true(update.is_pkcs7);
        g_assert_cmpmem(update.data.data, update.data.size, "data", 4);
        g_assert_cmpuint(update.timestamp.bytes[0], ==, 0xea);
        /* The header has 40 bytes, and nothing else is in between. */
        g_assert_true(update.signed_data.data == fixture->update.data + 40);
        g_assert_cmpuint(40 + update.signed_data.size + 4, ==, fixture->update.size);
        /* Bare SignedData: a sequence that starts with a version, not with the OID of a ContentInfo. */
        g_assert_cmpuint(update.signed_data.data[0], ==, 0x30);
        g_assert_cmpuint(update.signed_data.data[4], ==, 0x02);
}

static void test_the_same_content_gives_the_same_bytes(Fixture *fixture, gconstpointer unused) {
        AuthenticatedContent content = content_of("data");
        _cleanup_(buffer_done) Buffer again = {};

        g_assert_cmpint(authenticated_update_make(&content, fixture->signer, &again), ==, 0);
        g_assert_cmpmem(again.data, again.size, fixture->update.data, fixture->update.size);
}

static void test_verifies_against_its_signer_only(Fixture *fixture, gconstpointer unused) {
        AuthenticatedUpdate update = parse(fixture);
        const Guid *vendor = &efi_image_security_database_guid;

        g_assert_cmpint(authenticated_update_verify(&update, "db", vendor, 0x27, signer_certificate(fixture->signer)),
                        ==, 0);
        g_assert_cmpint(authenticated_update_verify(&update, "db", vendor, 0x27, signer_certificate(fixture->foreign)),
                        ==, -EKEYREJECTED);
}

static void test_verifies_for_its_variable_only(Fixture *fixture, gconstpointer unused) {
        Certificate *anchor = signer_certificate(fixture->signer);
        AuthenticatedUpdate update = parse(fixture);
        const Guid *vendor = &efi_image_security_database_guid;

        g_assert_cmpint(authenticated_update_verify(&update, "dbx", vendor, 0x27, anchor), ==, -EKEYREJECTED);
        g_assert_cmpint(authenticated_update_verify(&update, "db", vendor, 0x67, anchor), ==, -EKEYREJECTED);
        g_assert_cmpint(authenticated_update_verify(&update, "db", &efi_global_variable_guid, 0x27, anchor), ==,
                        -EKEYREJECTED);
        update.timestamp.bytes[6]++;
        g_assert_cmpint(authenticated_update_verify(&update, "db", vendor, 0x27, anchor), ==, -EKEYREJECTED);
}

static void test_no_flipped_bit_verifies(Fixture *fixture, gconstpointer unused) {
        Certificate *anchor = signer_certificate(fixture->signer);
        size_t step = g_getenv("LANZA_LONG") ? 1 : 7;
        size_t accepted = 0;

        for (size_t i = 0; i < fixture->update.size; i += step) {
                AuthenticatedUpdate update;

                fixture->update.data[i] ^= 0x04;
                if (authenticated_update_parse(buffer_span(&fixture->update), &update) >= 0 &&
                    authenticated_update_verify(&update, "db", &efi_image_security_database_guid, 0x27, anchor) >= 0) {
                        /* Only what is not covered: the revision, and in the SignedData the certificate that is
                         * inside beside the one that is trusted. */
                        g_assert_true((i >= 20 && i < 22) || i >= 40);
                        g_assert_cmpuint(i, <, fixture->update.size - 4 - 256);
                        accepted++;
                }
                fixture->update.data[i] ^= 0x04;
        }
        g_test_message("%zu flips outside of what is covered", accepted);
}

static void test_refuses_every_cut_of_header_and_signature(Fixture *fixture, gconstpointer unused) {
        size_t end_of_signature = fixture->update.size - 4;

        for (size_t size = 0; size < end_of_signature; size++) {
                AuthenticatedUpdate update = {};

                g_assert_cmpint(authenticated_update_parse((Span){fixture->update.data, size}, &update), ==, -EBADMSG);
                g_assert_null(update.signed_data.data);
        }
        AuthenticatedUpdate update;
        g_assert_cmpint(authenticated_update_parse((Span){fixture->update.data, end_of_signature}, &update), ==, 0);
        g_assert_cmpuint(update.data.size, ==, 0);
}

static void test_refuses_lengths_that_do_not_fit(Fixture *fixture, gconstpointer unused) {
        const uint32_t lengths[] = {0, 1, 23, fixture->update.size - 16 + 1, UINT32_MAX, UINT32_MAX - 15};

        for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
                AuthenticatedUpdate update;

                for (size_t byte = 0; byte < 4; byte++)
                        fixture->update.data[16 + byte] = lengths[i] >> (8 * byte);
                g_assert_cmpint(authenticated_update_parse(buffer_span(&fixture->update), &update), ==, -EBADMSG);
        }
}

static void test_knows_other_kinds_of_certificate(Fixture *fixture, gconstpointer unused) {
        static const size_t offsets[] = {22, 24, 39};

        for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++) {
                fixture->update.data[offsets[i]] ^= 1;
                AuthenticatedUpdate update = parse(fixture);
                g_assert_false(update.is_pkcs7);
                g_assert_cmpint(authenticated_update_verify(&update, "db", &efi_image_security_database_guid, 0x27,
                                                            signer_certificate(fixture->signer)),
                                ==, -EBADMSG);
                fixture->update.data[offsets[i]] ^= 1;
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/firmware/authenticated-update/" name, function)
#define TEST_UPDATE(name, function)                                                                                    \
        g_test_add("/firmware/authenticated-update/" name, Fixture, NULL, set_up, function, tear_down)
        TEST("covers-name-vendor-attributes-time-and-data", test_covers_name_vendor_attributes_time_and_data);
        TEST("refuses-names-that-it-cannot-spell", test_refuses_names_that_it_cannot_spell);
        TEST_UPDATE("parses-what-it-made", test_parses_what_it_made);
        TEST_UPDATE("the-same-content-gives-the-same-bytes", test_the_same_content_gives_the_same_bytes);
        TEST_UPDATE("verifies-against-its-signer-only", test_verifies_against_its_signer_only);
        TEST_UPDATE("verifies-for-its-variable-only", test_verifies_for_its_variable_only);
        TEST_UPDATE("no-flipped-bit-verifies", test_no_flipped_bit_verifies);
        TEST_UPDATE("refuses-every-cut-of-header-and-signature", test_refuses_every_cut_of_header_and_signature);
        TEST_UPDATE("refuses-lengths-that-do-not-fit", test_refuses_lengths_that_do_not_fit);
        TEST_UPDATE("knows-other-kinds-of-certificate", test_knows_other_kinds_of_certificate);
        return g_test_run();
}
