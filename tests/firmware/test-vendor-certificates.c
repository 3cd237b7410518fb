/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/vendor-certificates.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/firmware/enrollment.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/variables-memory.h"
#include "tests/firmware/signers.h"
#include "tests/lib/test-program.h"

static const Guid owner = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);

/* As Microsoft tells them: what the program holds must be these, byte by byte. */
static const struct {
        const char *variable, *classes;
        unsigned year;
        const char *subject, *until, *fingerprint;
} expected[] = {
        {"KEK", "windows third-party option-rom", 2011, "Microsoft Corporation KEK CA 2011", "2026-06-24",
         "a1117f516a32cefcba3f2d1ace10a87972fd6bbe8fe0d0b996e09e65d802a503"},
        {"KEK", "windows third-party option-rom", 2023, "Microsoft Corporation KEK 2K CA 2023", "2038-03-02",
         "3cd3f0309edae228767a976dd40d9f4affc4fbd5218f2e8cc3c9dd97e8ac6f9d"},
        {"db", "windows", 2011, "Microsoft Windows Production PCA 2011", "2026-10-19",
         "e8e95f0733a55e8bad7be0a1413ee23c51fcea64b3c8fa6a786935fddcc71961"},
        {"db", "windows", 2023, "Windows UEFI CA 2023", "2035-06-13",
         "076f1fea90ac29155ebf77c17682f75f1fdd1be196da302dc8461e350a9ae330"},
        {"db", "third-party option-rom", 2011, "Microsoft Corporation UEFI CA 2011", "2026-06-27",
         "48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507"},
        {"db", "third-party", 2023, "Microsoft UEFI CA 2023", "2038-06-13",
         "f6124e34125bee3fe6d79a574eaa7b91c0e7bd9d929c1a321178efd611dad901"},
        {"db", "option-rom", 2023, "Microsoft Option ROM UEFI CA 2023", "2038-10-26",
         "e5be3e64c6e66a281457ecdece0d6d0787577aad2a3a0144262c10c14ba8d8f1"},
};

static const VendorCertificate *nth(size_t index) {
        const VendorCertificate *certificate = vendor_certificate_at(index);

        g_assert_nonnull(certificate);
        return certificate;
}

static VendorClasses classes_of(const char *text) {
        VendorClasses classes;

        g_assert_cmpint(vendor_classes_parse(text, &classes, NULL), ==, 0);
        return classes;
}

static void test_the_certificates_are_the_published_ones(void) {
        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
                Span der = vendor_certificate_der(nth(i));
                g_autofree char *fingerprint = g_compute_checksum_for_data(G_CHECKSUM_SHA256, der.data, der.size);

                g_assert_cmpstr(fingerprint, ==, expected[i].fingerprint);
        }
        g_assert_null(vendor_certificate_at(G_N_ELEMENTS(expected)));
}

static void test_each_is_a_certificate_with_that_subject_and_end(void) {
        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
                g_autoptr(GDateTime) end = NULL;
                g_autofree char *until = NULL;

                g_assert_cmpint(certificate_from_der(vendor_certificate_der(nth(i)), &certificate), ==, 0);
                g_assert_cmpstr(certificate_common_name(certificate), ==, expected[i].subject);
                g_assert_cmpstr(nth(i)->subject, ==, expected[i].subject);
                end = g_date_time_new_from_unix_utc(certificate_not_after(certificate));
                until = g_date_time_format(end, "%Y-%m-%d");
                g_assert_cmpstr(until, ==, expected[i].until);
        }
}

static char *class_names(VendorClasses classes) {
        GString *text = g_string_new(NULL);

        for (VendorClasses bit = 1; bit < VENDOR_ALL; bit <<= 1)
                if (classes & bit)
                        g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", vendor_class_name(bit));
        return g_string_free(text, /* free_segment= */ FALSE);
}

static void test_each_has_its_variable_and_classes(void) {
        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
                g_autofree char *classes = class_names(nth(i)->classes);

                g_assert_cmpstr(secure_variable_name(nth(i)->variable), ==, expected[i].variable);
                g_assert_cmpuint(nth(i)->year, ==, expected[i].year);
                g_assert_cmpstr(classes, ==, expected[i].classes);
        }
}

static void test_the_embedded_bytes_are_those_of_the_files(void) {
        static const char *const files[] = {"kek-2011",         "kek-2023",         "windows-2011",   "windows-2023",
                                            "third-party-2011", "third-party-2023", "option-rom-2023"};
        g_autofree char *folder = test_path(g_getenv("LANZA_SOURCE") ?: ".", "daemon/firmware/vendor");

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *name = g_strconcat(files[i], ".der", NULL);
                g_autoptr(GBytes) bytes = test_read(folder, name);

                g_assert_true(span_equal(vendor_certificate_der(nth(i)), test_bytes(bytes)));
        }
}

static void test_lists_of_classes_are_read(void) {
        g_assert_cmpuint(classes_of("windows"), ==, VENDOR_WINDOWS);
        g_assert_cmpuint(classes_of("third-party"), ==, VENDOR_THIRD_PARTY);
        g_assert_cmpuint(classes_of("option-rom,windows"), ==, VENDOR_OPTION_ROM | VENDOR_WINDOWS);
        g_assert_cmpuint(classes_of("windows,windows"), ==, VENDOR_WINDOWS);
        g_assert_cmpuint(classes_of("all"), ==, VENDOR_ALL);
        g_assert_cmpuint(classes_of("windows,all"), ==, VENDOR_ALL);
}

static void test_an_unknown_class_is_refused_with_the_known_ones(void) {
        static const char *const bad[] = {"",        "linux",       "windows,",   ",windows", "windows,,option-rom",
                                          "Windows", "windows ",    "window",     "windowss", "windows, option-rom",
                                          "kek,PK",  "option-roms", "windows;all"};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                _cleanup_(failure_done) Failure failure = {};
                VendorClasses classes = 12345;

                g_assert_cmpint(vendor_classes_parse(bad[i], &classes, &failure), ==,
                                condition_errno(CONDITION_BAD_CONFIGURATION));
                g_assert_cmpuint(classes, ==, 12345);
                g_assert_cmpint(failure.condition, ==, CONDITION_BAD_CONFIGURATION);
                g_assert_nonnull(strstr(failure.message, "windows, third-party and option-rom"));
        }
        g_assert_cmpint(vendor_classes_parse("linux", &(VendorClasses){0}, NULL), ==,
                        condition_errno(CONDITION_BAD_CONFIGURATION));
}

static void test_a_message_about_a_long_name_is_short(void) {
        _cleanup_(failure_done) Failure failure = {};
        g_autofree char *name = g_strnfill(1000000, 'x');

        g_assert_cmpint(vendor_classes_parse(name, &(VendorClasses){0}, &failure), <, 0);
        g_assert_cmpuint(strlen(failure.message), <, 300);
}

/* The subjects in a database of certificates, one a line. */
static char *subjects_in(Span database) {
        SignatureIterator iterator = signature_iterator(database);
        GString *text = g_string_new(NULL);
        SignatureEntry entry;
        int r;

        while ((r = signature_iterator_next(&iterator, &entry)) > 0) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                g_assert_true(guid_equal(&entry.type, &signature_type_x509));
                g_assert_cmpint(certificate_from_der(entry.data, &certificate), ==, 0);
                g_string_append_printf(text, "%s\n", certificate_common_name(certificate));
        }
        g_assert_cmpint(r, ==, 0);
        return g_string_free(text, /* free_segment= */ FALSE);
}

static void test_a_class_brings_its_certificates_and_every_kek(void) {
        static const struct {
                const char *classes, *db;
        } cases[] = {
                {"windows", "Microsoft Windows Production PCA 2011\nWindows UEFI CA 2023\n"},
                {"third-party", "Microsoft Corporation UEFI CA 2011\nMicrosoft UEFI CA 2023\n"},
                {"option-rom", "Microsoft Corporation UEFI CA 2011\nMicrosoft Option ROM UEFI CA 2023\n"},
                {"option-rom,windows", "Microsoft Windows Production PCA 2011\nWindows UEFI CA 2023\n"
                                       "Microsoft Corporation UEFI CA 2011\nMicrosoft Option ROM UEFI CA 2023\n"},
                {"all",
                 "Microsoft Windows Production PCA 2011\nWindows UEFI CA 2023\n"
                 "Microsoft Corporation UEFI CA 2011\nMicrosoft UEFI CA 2023\nMicrosoft Option ROM UEFI CA 2023\n"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                VendorClasses classes = classes_of(cases[i].classes);
                _cleanup_(buffer_done) Buffer db = {}, kek = {}, pk = {};
                g_autofree char *in_db = NULL, *in_kek = NULL;

                g_assert_cmpint(vendor_certificates_add(classes, SECURE_VARIABLE_DB, &db), >, 0);
                g_assert_cmpint(vendor_certificates_add(classes, SECURE_VARIABLE_KEK, &kek), ==, 2);
                g_assert_cmpint(vendor_certificates_add(classes, SECURE_VARIABLE_PK, &pk), ==, 0);
                in_db = subjects_in(buffer_span(&db));
                in_kek = subjects_in(buffer_span(&kek));
                g_assert_cmpstr(in_db, ==, cases[i].db);
                g_assert_cmpstr(in_kek, ==,
                                "Microsoft Corporation KEK CA 2011\nMicrosoft Corporation KEK 2K CA 2023\n");
                g_assert_cmpuint(pk.size, ==, 0);
                g_assert_cmpint(vendor_certificates_add(classes, SECURE_VARIABLE_DB, &db), ==, 0);
        }
}

static void test_no_class_brings_nothing(void) {
        _cleanup_(buffer_done) Buffer database = {};

        for (SecureVariable i = 0; i < SECURE_VARIABLE_COUNT; i++)
                g_assert_cmpint(vendor_certificates_add(0, i, &database), ==, 0);
        g_assert_cmpuint(database.size, ==, 0);
}

static void test_a_database_is_asked_what_it_covers(void) {
        static const struct {
                const char *classes;
                int option_roms, third_party;
        } cases[] = {
                {"windows", 0, 0},
                {"third-party", 0, 1},
                {"option-rom", 1, 1},
                {"all", 1, 1},
        };
        static const uint8_t broken[] = {1, 2, 3};

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                _cleanup_(buffer_done) Buffer db = {};

                g_assert_cmpint(vendor_certificates_add(classes_of(cases[i].classes), SECURE_VARIABLE_DB, &db), >, 0);
                g_assert_cmpint(vendor_certificates_cover_option_roms(buffer_span(&db)), ==, cases[i].option_roms);
                g_assert_cmpint(vendor_certificates_allow_third_party(buffer_span(&db)), ==, cases[i].third_party);
        }
        g_assert_cmpint(vendor_certificates_cover_option_roms((Span){}), ==, 0);
        g_assert_cmpint(vendor_certificates_allow_third_party((Span){}), ==, 0);
        g_assert_cmpint(vendor_certificates_cover_option_roms((Span){broken, sizeof(broken)}), ==, -EBADMSG);
        g_assert_cmpint(vendor_certificates_allow_third_party((Span){broken, sizeof(broken)}), ==, -EBADMSG);
}

static void test_they_are_known_by_their_bytes(void) {
        _cleanup_(certificate_unrefp) Certificate *foreign = test_certificate("foreign-db");
        Span der = vendor_certificate_der(nth(0));

        g_assert_true(vendor_certificate_is(der));
        g_assert_false(vendor_certificate_is((Span){der.data, der.size - 1}));
        g_assert_false(vendor_certificate_is((Span){}));
        g_assert_false(vendor_certificate_is(certificate_der(foreign)));
}

/* A machine in Setup Mode whose factory left one of the certificates in db, as an entry of somebody else's. */
typedef struct Fixture {
        Variables *variables;
        Signer *signers[SECURE_VARIABLE_COUNT];
        Buffer extra[SECURE_VARIABLE_COUNT];
        EnrollmentRequest request;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer classes) {
        _cleanup_(buffer_done) Buffer factory = {};

        g_assert_cmpint(variables_new_memory(&fixture->variables), ==, 0);
        g_assert_cmpint(signature_database_add(&factory, &signature_type_x509, &owner, vendor_certificate_der(nth(4))),
                        ==, 1);
        g_assert_cmpint(variables_memory_set(fixture->variables, secure_variable_vendor(SECURE_VARIABLE_DB), "db",
                                             VARIABLE_ATTRIBUTES_SECURE, buffer_span(&factory)),
                        ==, 0);
        fixture->request = (EnrollmentRequest){.owner = owner};
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++) {
                fixture->signers[i] = test_signer(secure_variable_name(i));
                fixture->request.certificates[i] = signer_certificate(fixture->signers[i]);
                fixture->request.timestamps[i] = 1767225601;
                g_assert_cmpint(vendor_certificates_add(classes_of(classes), i, &fixture->extra[i]), >=, 0);
                fixture->request.extra[i] = buffer_span(&fixture->extra[i]);
        }
}

static void tear_down(Fixture *fixture, gconstpointer unused) {
        variables_free(fixture->variables);
        for (SecureVariable i = SECURE_VARIABLE_PK; i <= SECURE_VARIABLE_DB; i++) {
                signer_free(fixture->signers[i]);
                buffer_done(&fixture->extra[i]);
        }
}

static void plan(Fixture *fixture, EnrollmentPlan *ret) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};

        g_assert_cmpint(secure_boot_state_read(fixture->variables, &state, NULL), ==, 0);
        g_assert_cmpint(enrollment_plan(&fixture->request, &state, ret, NULL), ==, 0);
}

static char *enrolled_in(Fixture *fixture, SecureVariable variable) {
        _cleanup_(buffer_done) Buffer content = {};

        g_assert_cmpint(variables_read(fixture->variables, secure_variable_vendor(variable),
                                       secure_variable_name(variable), NULL, &content),
                        ==, 0);
        return subjects_in(buffer_span(&content));
}

static void test_enrollment_adds_what_the_factory_did_not(Fixture *fixture, gconstpointer unused) {
        _cleanup_(enrollment_plan_done) EnrollmentPlan first = {}, second = {};
        g_autofree char *db = NULL, *kek = NULL, *pk = NULL;

        plan(fixture, &first);
        g_assert_cmpuint(first.steps[0].kept, ==, 1);
        g_assert_cmpuint(first.steps[0].added, ==, 5);
        g_assert_cmpint(enrollment_apply(&first, fixture->signers, fixture->variables, NULL, NULL, NULL), ==, 0);
        db = enrolled_in(fixture, SECURE_VARIABLE_DB);
        kek = enrolled_in(fixture, SECURE_VARIABLE_KEK);
        pk = enrolled_in(fixture, SECURE_VARIABLE_PK);
        g_assert_cmpstr(db, ==,
                        "Microsoft Corporation UEFI CA 2011\nTest db\nMicrosoft Windows Production PCA 2011\n"
                        "Windows UEFI CA 2023\nMicrosoft UEFI CA 2023\nMicrosoft Option ROM UEFI CA 2023\n");
        g_assert_cmpstr(kek, ==, "Test KEK\nMicrosoft Corporation KEK CA 2011\nMicrosoft Corporation KEK 2K CA 2023\n");
        g_assert_cmpstr(pk, ==, "Test PK\n");

        plan(fixture, &second);
        for (size_t i = 0; i < ENROLLMENT_STEPS; i++)
                g_assert_false(second.steps[i].needed);
}

/* efitools take the lists apart and find the files. */
static void test_efitools_find_them(Fixture *fixture, gconstpointer unused) {
        static const char *const files[] = {"windows-2011.der", "windows-2023.der", "third-party-2023.der",
                                            "option-rom-2023.der"};
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(enrollment_plan_done) EnrollmentPlan made = {};
        g_autofree char *esl = test_path(folder, "db.esl"), *base = test_path(folder, "found"),
                        *source = test_path(g_getenv("LANZA_SOURCE") ?: ".", "daemon/firmware/vendor"), *output = NULL;

        plan(fixture, &made);
        test_write(folder, "db.esl", made.steps[0].lists.data, made.steps[0].lists.size, 0600);
        output = test_run_good("sig-list-to-certs", esl, base, NULL);
        g_assert_nonnull(strstr(output, "77fa9abd-0359-4d32-bd60-28f4e78f784b"));
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *found = g_strdup_printf("%s-%zu.der", base, i + 2), *der = test_path(source, files[i]);

                g_free(test_run_good("cmp", der, found, NULL));
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/firmware/vendor-certificates/" name, function)
        TEST("are-the-published-ones", test_the_certificates_are_the_published_ones);
        TEST("each-is-a-certificate-with-that-subject-and-end", test_each_is_a_certificate_with_that_subject_and_end);
        TEST("each-has-its-variable-and-classes", test_each_has_its_variable_and_classes);
        TEST("the-embedded-bytes-are-those-of-the-files", test_the_embedded_bytes_are_those_of_the_files);
        TEST("lists-of-classes-are-read", test_lists_of_classes_are_read);
        TEST("an-unknown-class-is-refused-with-the-known-ones", test_an_unknown_class_is_refused_with_the_known_ones);
        TEST("a-message-about-a-long-name-is-short", test_a_message_about_a_long_name_is_short);
        TEST("a-class-brings-its-certificates-and-every-kek", test_a_class_brings_its_certificates_and_every_kek);
        TEST("no-class-brings-nothing", test_no_class_brings_nothing);
        TEST("a-database-is-asked-what-it-covers", test_a_database_is_asked_what_it_covers);
        TEST("they-are-known-by-their-bytes", test_they_are_known_by_their_bytes);
#define TEST_ON(name, function)                                                                                        \
        g_test_add("/firmware/vendor-certificates/" name, Fixture, "all", set_up, function, tear_down)
        TEST_ON("enrollment-adds-what-the-factory-did-not", test_enrollment_adds_what_the_factory_did_not);
        TEST_ON("efitools-find-them", test_efitools_find_them);
        return g_test_run();
}
