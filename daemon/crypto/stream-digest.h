/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The SHA-256 of a file that passes by in pieces, computed by a thread of its own: while it hashes one piece, the
 * caller reads the next or writes this one. Hashing costs about as much as reading and writing. */

#include <stdint.h>

#include "daemon/crypto/digest.h"

enum { STREAM_PIECE_BYTES = 1024 * 1024 };

typedef struct StreamDigest StreamDigest;

/* Holds two pieces. -ENOMEM. */
int stream_digest_new(StreamDigest **ret);
StreamDigest *stream_digest_free(StreamDigest *stream); /* returns NULL */
DEFINE_POINTER_CLEANUP(StreamDigest *, stream_digest_free)

/* Where the next STREAM_PIECE_BYTES, or fewer, are to be put. Borrowed, until stream_digest_add() was called for the
 * piece after it. */
uint8_t *stream_digest_piece(StreamDigest *stream);

/* Hashes the first SIZE bytes of the piece. They may be read meanwhile, and not be written to. */
int stream_digest_add(StreamDigest *stream, size_t size);

/* Waits for what is being hashed, and ends the digest: it can only be freed then. */
int stream_digest_final(StreamDigest *stream, Sha256 *ret);

/* SHA-256 of the first SIZE bytes of a file, read in pieces. -EBADMSG if it ends before. */
int sha256_of_file(int fd, uint64_t size, Sha256 *ret);
