/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/platform-key.h"

#include <errno.h>
#include <glib.h>

#include "daemon/firmware/signature-list.h"
#include "daemon/util/file.h"
#include "daemon/util/macro.h"
#include "tests/firmware/signers.h"

static const Guid owner = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);

static void add(Buffer *database, const Guid *type, Span data) {
        g_assert_cmpint(signature_database_add(database, type, &owner, data), ==, 1);
}

static void add_certificate(Buffer *database, const char *name) {
        _cleanup_(certificate_unrefp) Certificate *certificate = test_certificate(name);

        add(database, &signature_type_x509, certificate_der(certificate));
}

static void test_own_key(void) {
        _cleanup_(buffer_done) Buffer pk = {};
        char *name = NULL;

        g_assert_cmpint(platform_key_is_for_tests(buffer_span(&pk), &name), ==, 0);
        add_certificate(&pk, "PK");
        g_assert_cmpint(platform_key_is_for_tests(buffer_span(&pk), &name), ==, 0);
        g_assert_null(name);
}

static void test_test_keys(void) {
        static const char *const names[][2] = {
                {"untrusted-PK", "CN=DO NOT TRUST - Test PK"},
                {"unshippable-PK", "CN=DO NOT SHIP - Test root"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                _cleanup_(buffer_done) Buffer pk = {};
                _cleanup_(free_pointer) char *name = NULL;

                add_certificate(&pk, "PK");
                add_certificate(&pk, names[i][0]);
                g_assert_cmpint(platform_key_is_for_tests(buffer_span(&pk), &name), ==, 1);
                g_assert_cmpstr(name, ==, names[i][1]);
        }
}

static void test_odd_content(void) {
        static const uint8_t digest[32] = "DO NOT TRUST";
        _cleanup_(buffer_done) Buffer pk = {}, broken = {};
        char *name = NULL;

        add(&pk, &signature_type_sha256, (Span){digest, sizeof(digest)});
        g_assert_cmpint(platform_key_is_for_tests(buffer_span(&pk), &name), ==, 0);
        add(&broken, &signature_type_x509, span_from_string("CN=DO NOT TRUST"));
        g_assert_cmpint(platform_key_is_for_tests(buffer_span(&broken), &name), ==, -EBADMSG);
        broken.size--;
        g_assert_cmpint(platform_key_is_for_tests(buffer_span(&broken), &name), ==, -EBADMSG);
        g_assert_null(name);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/firmware/platform-key/an-ordinary-one-is-not-for-tests", test_own_key);
        g_test_add_func("/firmware/platform-key/subject-or-issuer-tell-one-that-is-for-tests", test_test_keys);
        g_test_add_func("/firmware/platform-key/what-is-no-certificate-counts-for-nothing-or-is-refused",
                        test_odd_content);
        return g_test_run();
}
