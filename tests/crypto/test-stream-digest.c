/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "daemon/crypto/stream-digest.h"

/* Hashes BYTES in pieces of at most PIECE bytes, reading each again after it was handed over, as a writer does. */
static void hash(Span bytes, size_t piece, Sha256 *ret) {
        _cleanup_(stream_digest_freep) StreamDigest *stream = NULL;

        g_assert_cmpint(stream_digest_new(&stream), ==, 0);
        for (size_t offset = 0; offset < bytes.size;) {
                size_t size = MIN(piece, bytes.size - offset);
                uint8_t *place = stream_digest_piece(stream);

                memcpy(place, bytes.data + offset, size);
                g_assert_cmpint(stream_digest_add(stream, size), ==, 0);
                g_assert_cmpmem(place, size, bytes.data + offset, size);
                offset += size;
        }
        g_assert_cmpint(stream_digest_final(stream, ret), ==, 0);
}

static void test_same(void) {
        static const size_t sizes[] = {0,
                                       1,
                                       4095,
                                       STREAM_PIECE_BYTES - 1,
                                       STREAM_PIECE_BYTES,
                                       STREAM_PIECE_BYTES + 1,
                                       2 * STREAM_PIECE_BYTES,
                                       7 * STREAM_PIECE_BYTES + 13};

        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                g_autofree uint8_t *bytes = g_malloc(sizes[i] + 1);
                Sha256 expected, found;

                for (size_t j = 0; j < sizes[i]; j++)
                        bytes[j] = j * 2654435761u >> 24;
                g_assert_cmpint(sha256_of((Span){bytes, sizes[i]}, &expected), ==, 0);
                hash((Span){bytes, sizes[i]}, STREAM_PIECE_BYTES, &found);
                g_assert_true(sha256_equal(&found, &expected));
                /* What is read from a pipe or near its end comes in odd pieces. */
                hash((Span){bytes, sizes[i]}, STREAM_PIECE_BYTES - 4099, &found);
                g_assert_true(sha256_equal(&found, &expected));
        }
}

static void test_given_up(void) {
        for (size_t i = 0; i < 20; i++) {
                _cleanup_(stream_digest_freep) StreamDigest *stream = NULL;

                g_assert_cmpint(stream_digest_new(&stream), ==, 0);
                for (size_t j = 0; j < i % 4; j++) {
                        memset(stream_digest_piece(stream), (int)j, STREAM_PIECE_BYTES);
                        g_assert_cmpint(stream_digest_add(stream, STREAM_PIECE_BYTES), ==, 0);
                }
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/crypto/stream-digest/is-the-digest-of-all-pieces-in-their-order", test_same);
        g_test_add_func("/crypto/stream-digest/can-be-given-up-at-any-piece", test_given_up);
        return g_test_run();
}
