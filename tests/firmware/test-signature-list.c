/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/signature-list.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

static const Guid own = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);
static const Guid other = GUID_INIT(0x21222324, 0x2526, 0x2728, 9, 10, 11, 12, 13, 14, 15, 16);
static const Guid unknown = GUID_INIT(0x41424344, 0x4546, 0x4748, 9, 10, 11, 12, 13, 14, 15, 16);

static Span text(const char *string) {
        return span_from_string(string);
}

/* A digest of 32 equal bytes, in static memory. */
static Span digest(uint8_t value) {
        static uint8_t digests[256][32];

        memset(digests[value], value, sizeof(digests[value]));
        return (Span){digests[value], sizeof(digests[value])};
}

static void append(Buffer *buffer, const void *data, size_t size) {
        g_assert_cmpint(buffer_append(buffer, (Span){data, size}), ==, 0);
}

/* A list as it stands in a variable, with sizes as they are told. */
static void append_list(Buffer *buffer, const Guid *type, uint32_t list_size, uint32_t header_size,
                        uint32_t signature_size) {
        append(buffer, type->bytes, sizeof(type->bytes));
        g_assert_cmpint(buffer_append_u32(buffer, list_size), ==, 0);
        g_assert_cmpint(buffer_append_u32(buffer, header_size), ==, 0);
        g_assert_cmpint(buffer_append_u32(buffer, signature_size), ==, 0);
}

static void append_digest(Buffer *buffer, const Guid *owner, uint8_t value) {
        append(buffer, owner->bytes, sizeof(owner->bytes));
        append(buffer, digest(value).data, digest(value).size);
}

/* Three digests in one list, as dbx has them; then a list of an unknown type with a header. */
static void make_mixed(Buffer *ret) {
        append_list(ret, &signature_type_sha256, 28 + 3 * 48, 0, 48);
        append_digest(ret, &own, 1);
        append_digest(ret, &other, 2);
        append_digest(ret, &own, 3);
        append_list(ret, &unknown, 28 + 5 + 2 * 17, 5, 17);
        append(ret, "HEADE", 5);
        append(ret, own.bytes, 16);
        append(ret, "x", 1);
        append(ret, other.bytes, 16);
        append(ret, "y", 1);
}

static void assert_equal(const Buffer *found, const Buffer *expected) {
        g_assert_cmpmem(found->data, found->size, expected->data, expected->size);
}

static void test_reads_entries_in_their_order(void) {
        static const uint8_t owners[] = {1, 0x21, 1};
        _cleanup_(buffer_done) Buffer database = {};
        SignatureEntry entry;

        make_mixed(&database);
        SignatureIterator iterator = signature_iterator(buffer_span(&database));
        for (uint8_t i = 1; i <= 3; i++) {
                g_assert_cmpint(signature_iterator_next(&iterator, &entry), ==, 1);
                g_assert_true(guid_equal(&entry.type, &signature_type_sha256));
                g_assert_true(guid_equal(&entry.owner, owners[i - 1] == 1 ? &own : &other));
                g_assert_true(span_equal(entry.data, digest(i)));
        }
        for (const char *c = "xy"; *c; c++) {
                g_assert_cmpint(signature_iterator_next(&iterator, &entry), ==, 1);
                g_assert_true(guid_equal(&entry.type, &unknown));
                g_assert_cmpmem(entry.data.data, entry.data.size, c, 1);
        }
        g_assert_cmpint(signature_iterator_next(&iterator, &entry), ==, 0);
        g_assert_cmpint(signature_iterator_next(&iterator, &entry), ==, 0);
}

static void test_an_empty_database_is_good(void) {
        size_t count = 1;

        g_assert_cmpint(signature_database_check((Span){}, &count), ==, 0);
        g_assert_cmpuint(count, ==, 0);
}

static void test_a_list_without_entries_is_passed_over(void) {
        _cleanup_(buffer_done) Buffer database = {};
        SignatureEntry entry;

        append_list(&database, &signature_type_sha256, 28, 0, 48);
        append_list(&database, &signature_type_sha256, 28 + 48, 0, 48);
        append_digest(&database, &own, 7);
        SignatureIterator iterator = signature_iterator(buffer_span(&database));
        g_assert_cmpint(signature_iterator_next(&iterator, &entry), ==, 1);
        g_assert_true(span_equal(entry.data, digest(7)));
}

static void test_refuses_sizes_that_do_not_fit(void) {
        static const struct {
                uint32_t list, header, signature;
        } sizes[] = {
                {28 + 49, 0, 48}, /* past the end */
                {28 + 47, 0, 48}, /* not a multiple */
                {27, 0, 48},      /* smaller than its own header */
                {0, 0, 48},          {28 + 48, 0, 0},          {28 + 48, 0, 15},
                {28 + 48, 1, 48},    {28 + 48, 49, 1},         {28 + 48, UINT32_MAX, 48},
                {UINT32_MAX, 0, 48}, {28 + 48, 0, UINT32_MAX}, {28 + 48, UINT32_MAX - 27, 48},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                _cleanup_(buffer_done) Buffer database = {};
                SignatureList list = {};

                append_list(&database, &signature_type_sha256, sizes[i].list, sizes[i].header, sizes[i].signature);
                append_digest(&database, &own, 1);
                Span rest = buffer_span(&database);
                g_assert_cmpint(signature_list_next(&rest, &list), ==, -EBADMSG);
                g_assert_cmpuint(rest.size, ==, database.size);
                g_assert_null(list.whole.data);
                g_assert_cmpint(signature_database_check(rest, NULL), ==, -EBADMSG);
        }
}

static void test_refuses_every_cut(void) {
        _cleanup_(buffer_done) Buffer database = {};
        const size_t first = 28 + 3 * 48;

        make_mixed(&database);
        for (size_t size = 1; size < database.size; size++) {
                int r = signature_database_check((Span){database.data, size}, NULL);

                g_assert_cmpint(r, ==, size == first ? 0 : -EBADMSG);
        }
}

static void test_adds_once(void) {
        _cleanup_(buffer_done) Buffer database = {}, expected = {};

        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &own, digest(1)), ==, 1);
        append_list(&expected, &signature_type_sha256, 28 + 48, 0, 48);
        append_digest(&expected, &own, 1);
        assert_equal(&database, &expected);

        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &own, digest(1)), ==, 0);
        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &other, digest(1)), ==, 0);
        assert_equal(&database, &expected);
        g_assert_cmpint(signature_database_add(&database, &signature_type_x509, &own, digest(1)), ==, 1);
}

static void test_adds_nothing_of_a_wrong_size(void) {
        _cleanup_(buffer_done) Buffer database = {};

        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &own, text("short")), ==, -EINVAL);
        g_assert_cmpint(signature_database_add(&database, &signature_type_x509_sha256, &own, digest(1)), ==, -EINVAL);
        g_assert_cmpint(signature_database_add(&database, &signature_type_x509, &own, (Span){}), ==, -EINVAL);
        g_assert_cmpuint(database.size, ==, 0);
}

static void test_adds_nothing_to_a_malformed_database(void) {
        _cleanup_(buffer_done) Buffer database = {};

        g_assert_cmpint(buffer_append_string(&database, "this is no list"), ==, 0);
        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &own, digest(1)), ==, -EBADMSG);
        g_assert_cmpint(signature_database_merge(&database, (Span){}), ==, -EBADMSG);
        g_assert_cmpint(signature_database_remove(&database, &unknown, digest(1)), ==, -EBADMSG);
        g_assert_cmpuint(database.size, ==, 15);
}

static void test_finds_by_type_owner_and_data(void) {
        _cleanup_(buffer_done) Buffer database = {};

        make_mixed(&database);
        Span span = buffer_span(&database);
        g_assert_cmpint(signature_database_contains(span, &signature_type_sha256, NULL, digest(2)), ==, 1);
        g_assert_cmpint(signature_database_contains(span, &signature_type_sha256, &other, digest(2)), ==, 1);
        g_assert_cmpint(signature_database_contains(span, &signature_type_sha256, &own, digest(2)), ==, 0);
        g_assert_cmpint(signature_database_contains(span, &signature_type_sha1, NULL, digest(2)), ==, 0);
        g_assert_cmpint(signature_database_contains(span, &signature_type_sha256, NULL, digest(9)), ==, 0);
        span.size--;
        g_assert_cmpint(signature_database_contains(span, &signature_type_sha256, NULL, digest(1)), ==, -EBADMSG);
}

static void test_merging_keeps_foreign_lists_byte_by_byte(void) {
        _cleanup_(buffer_done) Buffer database = {}, mixed = {}, expected = {};

        g_assert_cmpint(signature_database_add(&database, &signature_type_x509, &own, text("certificate")), ==, 1);
        make_mixed(&mixed);
        append(&expected, database.data, database.size);
        append(&expected, mixed.data, mixed.size);
        g_assert_cmpint(signature_database_merge(&database, buffer_span(&mixed)), ==, 5);
        assert_equal(&database, &expected);
        g_assert_cmpint(signature_database_merge(&database, buffer_span(&mixed)), ==, 0);
        assert_equal(&database, &expected);
}

static void test_merging_adds_what_is_missing(void) {
        _cleanup_(buffer_done) Buffer database = {}, mixed = {}, expected = {};

        /* The second digest is there, under another owner; and the unknown entry "x". */
        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &own, digest(2)), ==, 1);
        g_assert_cmpint(signature_database_add(&database, &unknown, &own, text("x")), ==, 1);
        make_mixed(&mixed);
        append(&expected, database.data, database.size);
        append_list(&expected, &signature_type_sha256, 28 + 2 * 48, 0, 48);
        append_digest(&expected, &own, 1);
        append_digest(&expected, &own, 3);
        append_list(&expected, &unknown, 28 + 5 + 17, 5, 17);
        append(&expected, "HEADE", 5);
        append(&expected, other.bytes, 16);
        append(&expected, "y", 1);
        g_assert_cmpint(signature_database_merge(&database, buffer_span(&mixed)), ==, 3);
        assert_equal(&database, &expected);
}

static void test_merging_something_malformed_changes_nothing(void) {
        _cleanup_(buffer_done) Buffer database = {}, mixed = {};

        g_assert_cmpint(signature_database_add(&database, &unknown, &own, text("entry")), ==, 1);
        size_t size = database.size;
        make_mixed(&mixed);
        mixed.size--;
        g_assert_cmpint(signature_database_merge(&database, buffer_span(&mixed)), ==, -EBADMSG);
        g_assert_cmpuint(database.size, ==, size);
}

static void test_a_difference_can_tell_owners_apart(void) {
        _cleanup_(buffer_done) Buffer present = {}, addition = {}, difference = {}, nothing = {};

        g_assert_cmpint(signature_database_add(&present, &signature_type_sha256, &own, digest(1)), ==, 1);
        g_assert_cmpint(signature_database_add(&addition, &signature_type_sha256, &other, digest(1)), ==, 1);
        g_assert_cmpint(signature_database_difference(buffer_span(&addition), buffer_span(&present), true, &difference),
                        ==, 0);
        assert_equal(&difference, &addition);
        g_assert_cmpint(signature_database_difference(buffer_span(&addition), buffer_span(&present), false, &nothing),
                        ==, 0);
        g_assert_cmpuint(nothing.size, ==, 0);
}

static void test_removes_an_entry_and_keeps_its_list(void) {
        _cleanup_(buffer_done) Buffer database = {}, expected = {}, mixed = {};

        make_mixed(&database);
        make_mixed(&mixed);
        append_list(&expected, &signature_type_sha256, 28 + 2 * 48, 0, 48);
        append_digest(&expected, &own, 1);
        append_digest(&expected, &own, 3);
        append(&expected, mixed.data + 28 + 3 * 48, mixed.size - 28 - 3 * 48);
        g_assert_cmpint(signature_database_remove(&database, &signature_type_sha256, digest(2)), ==, 1);
        assert_equal(&database, &expected);
        g_assert_cmpint(signature_database_remove(&database, &signature_type_sha256, digest(2)), ==, 0);
        assert_equal(&database, &expected);
}

static void test_removes_a_list_that_becomes_empty(void) {
        _cleanup_(buffer_done) Buffer database = {};

        g_assert_cmpint(signature_database_add(&database, &signature_type_sha256, &own, digest(1)), ==, 1);
        g_assert_cmpint(signature_database_remove(&database, &signature_type_sha256, digest(1)), ==, 1);
        g_assert_cmpuint(database.size, ==, 0);
}

static void test_types_have_names_and_sizes(void) {
        uint32_t size = 1;

        g_assert_cmpstr(signature_type_name(&signature_type_x509), ==, "x509");
        g_assert_cmpstr(signature_type_name(&signature_type_x509_sha384), ==, "x509-sha384");
        g_assert_null(signature_type_name(&unknown));
        g_assert_cmpint(signature_type_data_size(&signature_type_x509, &size), ==, 0);
        g_assert_cmpuint(size, ==, 0);
        g_assert_cmpint(signature_type_data_size(&signature_type_x509_sha512, &size), ==, 0);
        g_assert_cmpuint(size, ==, 80);
        g_assert_cmpint(signature_type_data_size(&unknown, &size), ==, -ENOENT);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/firmware/signature-list/" name, function)
        TEST("reads-entries-in-their-order", test_reads_entries_in_their_order);
        TEST("an-empty-database-is-good", test_an_empty_database_is_good);
        TEST("a-list-without-entries-is-passed-over", test_a_list_without_entries_is_passed_over);
        TEST("refuses-sizes-that-do-not-fit", test_refuses_sizes_that_do_not_fit);
        TEST("refuses-every-cut", test_refuses_every_cut);
        TEST("adds-once", test_adds_once);
        TEST("adds-nothing-of-a-wrong-size", test_adds_nothing_of_a_wrong_size);
        TEST("adds-nothing-to-a-malformed-database", test_adds_nothing_to_a_malformed_database);
        TEST("finds-by-type-owner-and-data", test_finds_by_type_owner_and_data);
        TEST("merging-keeps-foreign-lists-byte-by-byte", test_merging_keeps_foreign_lists_byte_by_byte);
        TEST("merging-adds-what-is-missing", test_merging_adds_what_is_missing);
        TEST("merging-something-malformed-changes-nothing", test_merging_something_malformed_changes_nothing);
        TEST("a-difference-can-tell-owners-apart", test_a_difference_can_tell_owners_apart);
        TEST("removes-an-entry-and-keeps-its-list", test_removes_an_entry_and_keeps_its_list);
        TEST("removes-a-list-that-becomes-empty", test_removes_a_list_that_becomes_empty);
        TEST("types-have-names-and-sizes", test_types_have_names_and_sizes);
        return g_test_run();
}
