/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/crypto/stream-digest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/file.h"
#include "daemon/util/thread.h"

struct StreamDigest {
        uint8_t *pieces[2];
        unsigned filling; /* which of them is the caller's to fill */
        Digest *digest;   /* the thread's while there is WORK, else the caller's */

        bool threaded;
        pthread_t thread;
        pthread_mutex_t lock; /* for all below */
        pthread_cond_t changed;
        Span work; /* empty: none */
        bool ending;
        int error;
};

int stream_digest_new(StreamDigest **ret) {
        _cleanup_(stream_digest_freep) StreamDigest *stream = calloc(1, sizeof(*stream));
        int r;

        if (!stream)
                return -ENOMEM;
        pthread_mutex_init(&stream->lock, /* attr= */ NULL);
        pthread_cond_init(&stream->changed, /* attr= */ NULL);
        for (size_t i = 0; i < ARRAY_LENGTH(stream->pieces); i++) {
                stream->pieces[i] = malloc(STREAM_PIECE_BYTES);
                if (!stream->pieces[i])
                        return -ENOMEM;
        }
        r = digest_new(DIGEST_SHA256, &stream->digest);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(stream);
        return 0;
}

static void end_thread(StreamDigest *stream) {
        if (!stream->threaded)
                return;
        pthread_mutex_lock(&stream->lock);
        stream->ending = true;
        pthread_cond_broadcast(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
        pthread_join(stream->thread, /* retval= */ NULL);
        stream->threaded = false;
}

StreamDigest *stream_digest_free(StreamDigest *stream) {
        end_thread(stream);
        for (size_t i = 0; i < ARRAY_LENGTH(stream->pieces); i++)
                free(stream->pieces[i]);
        digest_free(stream->digest);
        pthread_cond_destroy(&stream->changed);
        pthread_mutex_destroy(&stream->lock);
        free(stream);
        return NULL;
}

/* What was handed over is hashed before the thread ends. */
static void *hash_pieces(void *userdata) {
        StreamDigest *stream = userdata;

        pthread_mutex_lock(&stream->lock);
        for (;;) {
                while (stream->work.size == 0 && !stream->ending)
                        pthread_cond_wait(&stream->changed, &stream->lock);
                if (stream->work.size == 0)
                        break;
                Span work = stream->work;
                pthread_mutex_unlock(&stream->lock);
                int r = digest_update(stream->digest, work);
                pthread_mutex_lock(&stream->lock);
                if (r < 0 && stream->error == 0)
                        stream->error = r;
                stream->work = (Span){};
                pthread_cond_broadcast(&stream->changed);
        }
        pthread_mutex_unlock(&stream->lock);
        return NULL;
}

static bool start_thread(StreamDigest *stream) {
        stream->threaded = thread_start(&stream->thread, hash_pieces, stream) >= 0;
        return stream->threaded;
}

uint8_t *stream_digest_piece(StreamDigest *stream) {
        return stream->pieces[stream->filling];
}

static int hand_over(StreamDigest *stream, Span piece) {
        int r;

        pthread_mutex_lock(&stream->lock);
        while (stream->work.size > 0)
                pthread_cond_wait(&stream->changed, &stream->lock);
        r = stream->error;
        if (r == 0)
                stream->work = piece;
        pthread_cond_broadcast(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
        return r;
}

int stream_digest_add(StreamDigest *stream, size_t size) {
        Span piece = {stream->pieces[stream->filling], size};

        stream->filling = !stream->filling;
        if (size == 0)
                return 0;
        /* A small file is not worth a thread; and where there is none to be had, it takes longer and is as right. */
        if (!stream->threaded && (size < STREAM_PIECE_BYTES || !start_thread(stream)))
                return digest_update(stream->digest, piece);
        return hand_over(stream, piece);
}

int stream_digest_final(StreamDigest *stream, Sha256 *ret) {
        uint8_t bytes[DIGEST_SIZE_MAX];
        int r;

        end_thread(stream);
        if (stream->error < 0)
                return stream->error;
        r = digest_final(stream->digest, bytes);
        if (r < 0)
                return r;
        memcpy(ret->bytes, bytes, SHA256_SIZE);
        return 0;
}

int sha256_of_file(int fd, uint64_t size, Sha256 *ret) {
        _cleanup_(stream_digest_freep) StreamDigest *stream = NULL;
        int r;

        r = stream_digest_new(&stream);
        if (r < 0)
                return r;
        for (uint64_t offset = 0; offset < size;) {
                size_t length = size - offset < STREAM_PIECE_BYTES ? size - offset : STREAM_PIECE_BYTES;

                r = file_read_at(fd, offset, stream_digest_piece(stream), length);
                if (r >= 0)
                        r = stream_digest_add(stream, length);
                if (r < 0)
                        return r;
                offset += length;
        }
        return stream_digest_final(stream, ret);
}
