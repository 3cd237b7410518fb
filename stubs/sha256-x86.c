/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SHA-256 with the SHA extensions of x86 CPUs. The instructions keep the eight working variables in two registers, in
 * the order ABEF and CDGH from the highest word down; sha256rnds2 does two rounds with the two lower words of schedule
 * plus constant; sha256msg1 and sha256msg2 compute four words of the schedule from the sixteen before. Intel SDM,
 * volume 2. */

#include "stubs/sha256.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include "stubs/sha256-constants.h"

enum {
        BLOCK = 64,

        /* CPUID leaf 1, ECX */
        FEATURE_SSSE3 = 1 << 9,
        FEATURE_SSE41 = 1 << 19,
        /* CPUID leaf 7, EBX */
        FEATURE_SHA = 1 << 29,
};

#define SHA_CODE __attribute__((target("sha,sse4.1,ssse3")))

/* Four rounds, whose schedule is WORDS. */
SHA_CODE static inline void four_rounds(__m128i *abef, __m128i *cdgh, __m128i words, int round) {
        __m128i sum = _mm_add_epi32(words, _mm_load_si128((const __m128i *)&sha256_constants[round]));

        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

/* The next four words of the schedule, from the last sixteen: W[0] holds the oldest four. */
SHA_CODE static inline __m128i next_words(const __m128i w[static 4]) {
        __m128i words = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));

        return _mm_sha256msg2_epu32(words, w[3]);
}

SHA_CODE static void compress(__m128i *abef, __m128i *cdgh, const uint8_t *block) {
        const __m128i to_big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        __m128i before_abef = *abef, before_cdgh = *cdgh, w[4];

        for (int i = 0; i < 4; i++) {
                w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), to_big_endian);
                four_rounds(abef, cdgh, w[i], 4 * i);
        }
        for (int round = 16; round < 64; round += 4) {
                __m128i words = next_words(w);
                four_rounds(abef, cdgh, words, round);
                w[0] = w[1];
                w[1] = w[2];
                w[2] = w[3];
                w[3] = words;
        }
        *abef = _mm_add_epi32(*abef, before_abef);
        *cdgh = _mm_add_epi32(*cdgh, before_cdgh);
}

SHA_CODE static void blocks_x86(uint32_t state[static 8], const uint8_t *blocks, size_t count) {
        /* _mm_set_epi32 names the highest word first. */
        __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
        __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);

        for (size_t i = 0; i < count; i++)
                compress(&abef, &cdgh, blocks + i * BLOCK);

        state[0] = (uint32_t)_mm_extract_epi32(abef, 3);
        state[1] = (uint32_t)_mm_extract_epi32(abef, 2);
        state[4] = (uint32_t)_mm_extract_epi32(abef, 1);
        state[5] = (uint32_t)_mm_extract_epi32(abef, 0);
        state[2] = (uint32_t)_mm_extract_epi32(cdgh, 3);
        state[3] = (uint32_t)_mm_extract_epi32(cdgh, 2);
        state[6] = (uint32_t)_mm_extract_epi32(cdgh, 1);
        state[7] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}

Sha256Blocks *sha256_blocks_native(void) {
        uint32_t eax, ebx, ecx, edx;

        if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & FEATURE_SSSE3) || !(ecx & FEATURE_SSE41))
                return NULL;
        if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & FEATURE_SHA))
                return NULL;
        return blocks_x86;
}

#else

Sha256Blocks *sha256_blocks_native(void) {
        return NULL;
}

#endif
