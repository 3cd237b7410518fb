/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/digest.h"

#include <glib.h>

#include "daemon/util/encode.h"

/* FIPS 180-4's example "abc". */
static const struct {
        DigestAlgorithm algorithm;
        const char *expected;
} examples[] = {
        {DIGEST_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {DIGEST_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {DIGEST_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                        "8086072ba1e7cc2358baeca134c825a7"},
        {DIGEST_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void test_examples(void) {
        for (size_t i = 0; i < G_N_ELEMENTS(examples); i++) {
                _cleanup_(digest_freep) Digest *digest = NULL;
                uint8_t bytes[DIGEST_SIZE_MAX];
                g_autofree char *text = NULL;

                g_assert_cmpint(digest_new(examples[i].algorithm, &digest), ==, 0);
                g_assert_cmpint(digest_update(digest, span_from_string("a")), ==, 0);
                g_assert_cmpint(digest_update(digest, (Span){}), ==, 0);
                g_assert_cmpint(digest_update(digest, span_from_string("bc")), ==, 0);
                g_assert_cmpint(digest_final(digest, bytes), ==, 0);
                text = hex_encode((Span){bytes, digest_size(examples[i].algorithm)});
                g_assert_cmpstr(text, ==, examples[i].expected);
        }
}

static void test_at_once(void) {
        g_autofree char *text = NULL;
        Sha256 sha256, other;

        g_assert_cmpint(sha256_of(span_from_string("abc"), &sha256), ==, 0);
        text = hex_encode((Span){sha256.bytes, SHA256_SIZE});
        g_assert_cmpstr(text, ==, examples[1].expected);
        g_assert_cmpint(sha256_of((Span){}, &other), ==, 0);
        g_assert_false(sha256_equal(&sha256, &other));
        other = sha256;
        g_assert_true(sha256_equal(&sha256, &other));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crypto/digest/gives-the-standard-examples-for-each-algorithm", test_examples);
        g_test_add_func("/crypto/digest/sha256-at-once-is-the-same", test_at_once);
        return g_test_run();
}
