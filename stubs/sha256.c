/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/sha256.h"

#include "stubs/sha256-constants.h"

enum {
        BLOCK = 64,
        LENGTH_FIELD = 8,
};

const uint32_t sha256_constants[64] __attribute__((aligned(16))) = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, unsigned bits) {
        return word >> bits | word << (32 - bits);
}

static uint32_t read_big_endian(const uint8_t *data) {
        return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static void write_big_endian(uint8_t *data, uint32_t word) {
        for (int i = 0; i < 4; i++)
                data[i] = (uint8_t)(word >> (24 - 8 * i));
}

/* FIPS 180-4, 6.2.2 "SHA-256 Hash Computation", step 1 */
static void expand(const uint8_t *block, uint32_t schedule[static 64]) {
        for (int i = 0; i < 16; i++)
                schedule[i] = read_big_endian(block + 4 * i);
        for (int i = 16; i < 64; i++) {
                uint32_t a = schedule[i - 15], b = schedule[i - 2];
                schedule[i] = schedule[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + schedule[i - 7] +
                              (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
        }
}

/* One round of step 3 on the working variables, of which it changes two; the standard then renames all eight, which the
 * caller does by the order of its arguments. */
static inline void one_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g,
                             uint32_t *h, uint32_t word_and_constant) {
        uint32_t t1 = *h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + word_and_constant;
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

        *d += t1;
        *h = t1 + t2;
}

/* Steps 2 to 4 */
static void compress(uint32_t state[static 8], const uint8_t *block) {
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        uint32_t w[64];

        expand(block, w);
        for (int i = 0; i < 64; i++)
                w[i] += sha256_constants[i];
        for (int i = 0; i < 64; i += 8) {
                one_round(a, b, c, &d, e, f, g, &h, w[i]);
                one_round(h, a, b, &c, d, e, f, &g, w[i + 1]);
                one_round(g, h, a, &b, c, d, e, &f, w[i + 2]);
                one_round(f, g, h, &a, b, c, d, &e, w[i + 3]);
                one_round(e, f, g, &h, a, b, c, &d, w[i + 4]);
                one_round(d, e, f, &g, h, a, b, &c, w[i + 5]);
                one_round(c, d, e, &f, g, h, a, &b, w[i + 6]);
                one_round(b, c, d, &e, f, g, h, &a, w[i + 7]);
        }

        const uint32_t sums[8] = {a, b, c, d, e, f, g, h};
        for (int i = 0; i < 8; i++)
                state[i] += sums[i];
}

void sha256_blocks_portable(uint32_t state[static 8], const uint8_t *blocks, size_t count) {
        for (size_t i = 0; i < count; i++)
                compress(state, blocks + i * BLOCK);
}

void sha256_with(Sha256Blocks *blocks, Bytes content, uint8_t ret[static LANZA_HASH_SIZE]) {
        uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
        uint8_t end[2 * BLOCK] = {};
        size_t whole = content.size / BLOCK, rest = content.size % BLOCK;
        uint64_t bits = (uint64_t)content.size * 8;

        blocks(state, content.data, whole);

        /* 5.1.1: a one bit, zeros, and the length in bits, which end a block. */
        size_t end_size = rest + 1 + LENGTH_FIELD <= BLOCK ? BLOCK : 2 * BLOCK;
        if (rest > 0)
                memcpy(end, content.data + whole * BLOCK, rest);
        end[rest] = 0x80;
        write_big_endian(end + end_size - 8, (uint32_t)(bits >> 32));
        write_big_endian(end + end_size - 4, (uint32_t)bits);
        blocks(state, end, end_size / BLOCK);

        for (int i = 0; i < 8; i++)
                write_big_endian(ret + 4 * i, state[i]);
}

void sha256(Bytes content, uint8_t ret[static LANZA_HASH_SIZE]) {
        Sha256Blocks *native = sha256_blocks_native();

        sha256_with(native ? native : sha256_blocks_portable, content, ret);
}
