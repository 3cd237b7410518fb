/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SHA-256 (FIPS 180-4), portable and with the CPU's SHA instructions where it has them: hashing kernel and initrds is
 * what takes the stub's time. */

#include "stubs/bytes.h"
#include "stubs/stub-abi.h"

/* The hash of CONTENT, by the fastest way that this CPU has. */
void sha256(Bytes content, uint8_t ret[static LANZA_HASH_SIZE]);

/* One way to work COUNT blocks of 64 bytes into the eight words of STATE. */
typedef void Sha256Blocks(uint32_t state[static 8], const uint8_t *blocks, size_t count);

Sha256Blocks sha256_blocks_portable;

/* The CPU's own instructions, or NULL if this CPU has none (or the architecture's are not supported yet). */
Sha256Blocks *sha256_blocks_native(void);

/* The same as sha256(), by a chosen way. */
void sha256_with(Sha256Blocks *blocks, Bytes content, uint8_t ret[static LANZA_HASH_SIZE]);
