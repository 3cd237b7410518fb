/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: firmware */

/* A database that is taken for a good one can be rebuilt byte by byte, found in, and emptied. */

#include <stdlib.h>

#include "daemon/firmware/signature-list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
        if (!condition)
                abort();
}

static bool lies_within(Span inner, Span outer) {
        return inner.size == 0 || (inner.data >= outer.data && inner.data + inner.size <= outer.data + outer.size);
}

static void check_malformed(Span input) {
        Buffer database = {};

        expect(signature_database_merge(&database, input) < 0);
        expect(database.size == 0);
        expect(signature_database_contains(input, &signature_type_x509, /* owner= */ NULL, input) < 0);
}

static size_t check_entries(Span input) {
        SignatureIterator iterator = signature_iterator(input);
        SignatureEntry entry;
        size_t count = 0;

        while (signature_iterator_next(&iterator, &entry) > 0) {
                expect(lies_within(entry.data, input));
                if (count < 4)
                        expect(signature_database_contains(input, &entry.type, &entry.owner, entry.data) == 1);
                count++;
        }
        return count;
}

static void check_removal(Span input) {
        SignatureIterator iterator = signature_iterator(input);
        _cleanup_(buffer_done) Buffer database = {};
        SignatureEntry entry;
        size_t before, after;

        expect(buffer_append(&database, input) == 0);
        if (signature_iterator_next(&iterator, &entry) <= 0)
                return;
        expect(signature_database_check(input, &before) == 0);
        ssize_t removed = signature_database_remove(&database, &entry.type, entry.data);
        expect(removed >= 1);
        expect(signature_database_check(buffer_span(&database), &after) == 0);
        expect(before == after + removed);
        expect(signature_database_contains(buffer_span(&database), &entry.type, NULL, entry.data) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer rebuilt = {}, nothing = {};
        Span input = {data, size};
        size_t count, left;

        if (size > 1 << 14)
                return 0;
        if (signature_database_check(input, &count) < 0) {
                check_malformed(input);
                return 0;
        }
        expect(check_entries(input) == count);
        expect(signature_database_merge(&rebuilt, input) == (ssize_t)count);
        expect(span_equal(buffer_span(&rebuilt), input));
        expect(signature_database_merge(&rebuilt, input) == 0);
        expect(signature_database_difference(input, input, /* owners_matter= */ true, &nothing) == 0);
        expect(signature_database_check(buffer_span(&nothing), &left) == 0 && left == 0);
        check_removal(input);
        return 0;
}
