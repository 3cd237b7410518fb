/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/sha256.h"

#include <glib.h>

static void assert_like_glib(Sha256Blocks *blocks, const uint8_t *data, size_t size) {
        g_autofree char *expected = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);
        uint8_t hash[LANZA_HASH_SIZE];
        char found[2 * LANZA_HASH_SIZE + 1];

        sha256_with(blocks, (Bytes){data, size}, hash);
        for (int i = 0; i < LANZA_HASH_SIZE; i++)
                g_snprintf(found + 2 * i, 3, "%02x", hash[i]);
        g_assert_cmpstr(found, ==, expected);
}

/* Every length around the edges of one, two and three blocks, and a few long ones, at odd addresses. */
static void assert_agrees(Sha256Blocks *blocks) {
        enum { LONG = 3 * 1024 * 1024 };
        g_autofree uint8_t *data = g_malloc(LONG + 64);

        for (size_t i = 0; i < LONG + 64; i++)
                data[i] = (uint8_t)(i * 2654435761u >> 13);
        for (size_t size = 0; size < 260; size++)
                assert_like_glib(blocks, data + size % 17, size);
        for (size_t size = LONG - 70; size <= LONG; size += 7)
                assert_like_glib(blocks, data + size % 13, size);
}

static void test_known_answers(void) {
        static const uint8_t
                of_abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                            0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                            0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad}; /* FIPS 180-2, B.1 */
        uint8_t hash[LANZA_HASH_SIZE];

        sha256(bytes_from_string("abc"), hash);
        g_assert_cmpmem(hash, sizeof hash, of_abc, sizeof of_abc);
}

static void test_portable(void) {
        assert_agrees(sha256_blocks_portable);
}

static void test_native(void) {
        Sha256Blocks *native = sha256_blocks_native();

        g_test_message("this CPU has %s",
                       native ? "SHA instructions" : "no SHA instructions: the portable way is used");
        assert_agrees(native ? native : sha256_blocks_portable);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/sha256/gives-the-standard's-answer", test_known_answers);
        g_test_add_func("/stubs/sha256/portable-way-agrees-with-glib-for-all-lengths", test_portable);
        g_test_add_func("/stubs/sha256/cpu's-way-agrees-with-glib-for-all-lengths", test_native);
        return g_test_run();
}
