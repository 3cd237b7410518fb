/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: boot */

/* The input as the cache file, and as what stands before its last line, which is then made right. What is read is
 * written as it was. */

#include <stdlib.h>
#include <string.h>

#include "daemon/boot/hash-cache.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(Span text) {
        _cleanup_(hash_cache_freep) HashCache *cache = NULL;
        _cleanup_(buffer_done) Buffer again = {};

        if (hash_cache_parse(text, &cache) < 0)
                return;
        if (hash_cache_format(cache, &again) < 0 || !span_equal(buffer_span(&again), text))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(free_pointer) char *hex = NULL;
        _cleanup_(buffer_done) Buffer whole = {};
        Sha256 hash;

        check((Span){data, size});
        if (size == 0)
                return 0;
        if (sha256_of((Span){data, size}, &hash) < 0)
                abort();
        hex = hex_encode((Span){hash.bytes, SHA256_SIZE});
        if (!hex || buffer_append(&whole, (Span){data, size}) < 0 || buffer_append_format(&whole, "end %s\n", hex) < 0)
                abort();
        check(buffer_span(&whole));
        return 0;
}
