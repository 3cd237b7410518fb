/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/signature-list.h"

#include <errno.h>
#include <string.h>

/* EFI_SIGNATURE_LIST: type, list size, header size, signature size. */
enum {
        LIST_SIZE_OFFSET = 16,
        LIST_HEADER_SIZE_OFFSET = 20,
        LIST_SIGNATURE_SIZE_OFFSET = 24,
        LIST_FIXED_SIZE = 28,
};

const Guid signature_type_x509 = GUID_INIT(0xa5c059a1, 0x94e4, 0x4aa7, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72);
const Guid signature_type_sha1 = GUID_INIT(0x826ca512, 0xcf10, 0x4ac9, 0xb1, 0x87, 0xbe, 0x01, 0x49, 0x66, 0x31, 0xbd);
const Guid signature_type_sha256 =
        GUID_INIT(0xc1c41626, 0x504c, 0x4092, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28);
const Guid signature_type_sha384 =
        GUID_INIT(0xff3e5307, 0x9fd0, 0x48c9, 0x85, 0xf1, 0x8a, 0xd5, 0x6c, 0x70, 0x1e, 0x01);
const Guid signature_type_sha512 =
        GUID_INIT(0x093e0fae, 0xa6c4, 0x4f50, 0x9f, 0x1b, 0xd4, 0x1e, 0x2b, 0x89, 0xc1, 0x9a);
const Guid signature_type_x509_sha256 =
        GUID_INIT(0x3bd2a492, 0x96c0, 0x4079, 0xb4, 0x20, 0xfc, 0xf9, 0x8e, 0xf1, 0x03, 0xed);
const Guid signature_type_x509_sha384 =
        GUID_INIT(0x7076876e, 0x80c2, 0x4ee6, 0xaa, 0xd2, 0x28, 0xb3, 0x49, 0xa6, 0x86, 0x5b);
const Guid signature_type_x509_sha512 =
        GUID_INIT(0x446dbf63, 0x2502, 0x4cda, 0xbc, 0xfa, 0x24, 0x65, 0xd2, 0xb0, 0xfe, 0x9d);
const Guid signature_owner_microsoft =
        GUID_INIT(0x77fa9abd, 0x0359, 0x4d32, 0xbd, 0x60, 0x28, 0xf4, 0xe7, 0x8f, 0x78, 0x4b);

/* Types that nothing here makes or looks for; they keep their names and sizes. */
static const Guid type_sha224 = GUID_INIT(0x0b6e5233, 0xa65c, 0x44c9, 0x94, 0x07, 0xd9, 0xab, 0x83, 0xbf, 0xc8, 0xbd);
static const Guid type_rsa2048 = GUID_INIT(0x3c5766e8, 0x269c, 0x4e34, 0xaa, 0x14, 0xed, 0x77, 0x6e, 0x85, 0xb3, 0xb6);
static const Guid type_rsa2048_sha1 =
        GUID_INIT(0x67f8444f, 0x8743, 0x48f1, 0xa3, 0x28, 0x1e, 0xaa, 0xb8, 0x73, 0x60, 0x80);
static const Guid type_rsa2048_sha256 =
        GUID_INIT(0xe2b36190, 0x879b, 0x4a3d, 0xad, 0x8d, 0xf2, 0xe7, 0xbb, 0xa3, 0x27, 0x84);

/* SIZE without the owner; 0: any. */
static const struct {
        const Guid *type;
        const char *name;
        uint32_t size;
} types[] = {
        {&signature_type_x509, "x509", 0},
        {&signature_type_sha1, "sha1", 20},
        {&type_sha224, "sha224", 28},
        {&signature_type_sha256, "sha256", 32},
        {&signature_type_sha384, "sha384", 48},
        {&signature_type_sha512, "sha512", 64},
        {&signature_type_x509_sha256, "x509-sha256", 48},
        {&signature_type_x509_sha384, "x509-sha384", 64},
        {&signature_type_x509_sha512, "x509-sha512", 80},
        {&type_rsa2048, "rsa2048", 256},
        {&type_rsa2048_sha1, "rsa2048-sha1", 256},
        {&type_rsa2048_sha256, "rsa2048-sha256", 256},
};

const char *signature_type_name(const Guid *type) {
        for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
                if (guid_equal(types[i].type, type))
                        return types[i].name;
        return NULL;
}

int signature_type_data_size(const Guid *type, uint32_t *ret) {
        for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
                if (guid_equal(types[i].type, type)) {
                        *ret = types[i].size;
                        return 0;
                }
        return -ENOENT;
}

static Guid guid_at(Span span) {
        Guid guid;

        memcpy(guid.bytes, span.data, sizeof(guid.bytes));
        return guid;
}

int signature_list_next(Span *rest, SignatureList *ret) {
        SignatureList list = {};
        uint32_t list_size, header_size;
        Span after;
        int r;

        if (rest->size == 0)
                return 0;
        if (rest->size < LIST_FIXED_SIZE)
                return -EBADMSG;

        list.type = guid_at(*rest);
        (void)span_u32(*rest, LIST_SIZE_OFFSET, &list_size);
        (void)span_u32(*rest, LIST_HEADER_SIZE_OFFSET, &header_size);
        (void)span_u32(*rest, LIST_SIGNATURE_SIZE_OFFSET, &list.signature_size);

        r = span_slice(*rest, 0, list_size, &list.whole);
        if (r < 0)
                return r;
        r = span_slice(list.whole, LIST_FIXED_SIZE, header_size, &list.header);
        if (r < 0)
                return r;
        uint64_t entries_offset = (uint64_t)LIST_FIXED_SIZE + header_size;
        r = span_slice(list.whole, entries_offset, list_size - entries_offset, &list.signatures);
        if (r < 0)
                return r;
        if (list.signature_size < GUID_SIZE || list.signatures.size % list.signature_size != 0)
                return -EBADMSG;
        list.count = list.signatures.size / list.signature_size;

        r = span_slice(*rest, list_size, rest->size - list_size, &after);
        if (r < 0)
                return r;
        *rest = after;
        *ret = list;
        return 1;
}

static SignatureEntry list_entry(const SignatureList *list, size_t index) {
        Span bytes = {list->signatures.data + index * list->signature_size, list->signature_size};

        return (SignatureEntry){
                .type = list->type,
                .owner = guid_at(bytes),
                .data = {bytes.data + GUID_SIZE, bytes.size - GUID_SIZE},
        };
}

SignatureIterator signature_iterator(Span database) {
        return (SignatureIterator){.rest = database};
}

int signature_iterator_next(SignatureIterator *iterator, SignatureEntry *ret) {
        while (iterator->index >= iterator->list.count) {
                int r = signature_list_next(&iterator->rest, &iterator->list);
                if (r <= 0)
                        return r;
                iterator->index = 0;
        }
        *ret = list_entry(&iterator->list, iterator->index++);
        return 1;
}

int signature_database_check(Span database, size_t *ret_count) {
        SignatureList list;
        size_t count = 0;
        int r;

        while ((r = signature_list_next(&database, &list)) > 0)
                count += list.count;
        if (r < 0)
                return r;
        if (ret_count)
                *ret_count = count;
        return 0;
}

static bool entry_is(const SignatureEntry *entry, const Guid *type, Span data) {
        return guid_equal(&entry->type, type) && span_equal(entry->data, data);
}

int signature_database_contains(Span database, const Guid *type, const Guid *owner, Span data) {
        SignatureIterator iterator = signature_iterator(database);
        SignatureEntry entry;
        bool found = false;
        int r;

        /* To the end even where it is found: a malformed database is one whatever is asked. */
        while ((r = signature_iterator_next(&iterator, &entry)) > 0)
                if (entry_is(&entry, type, data) && (!owner || guid_equal(&entry.owner, owner)))
                        found = true;
        return r < 0 ? r : found;
}

static int append_list_header(Buffer *database, const Guid *type, Span header, uint32_t signature_size, size_t count) {
        uint64_t list_size = LIST_FIXED_SIZE + (uint64_t)header.size + (uint64_t)signature_size * count;
        int r;

        if (list_size > UINT32_MAX)
                return -EINVAL;
        r = buffer_append(database, (Span){type->bytes, sizeof(type->bytes)});
        if (r < 0)
                return r;
        r = buffer_append_u32(database, list_size);
        if (r < 0)
                return r;
        r = buffer_append_u32(database, header.size);
        if (r < 0)
                return r;
        r = buffer_append_u32(database, signature_size);
        if (r < 0)
                return r;
        return buffer_append(database, header);
}

static int append_entry(Buffer *database, const Guid *owner, Span data) {
        int r = buffer_append(database, (Span){owner->bytes, sizeof(owner->bytes)});
        if (r < 0)
                return r;
        return buffer_append(database, data);
}

int signature_database_add(Buffer *database, const Guid *type, const Guid *owner, Span data) {
        uint32_t prescribed;
        size_t size = database->size;
        int r;

        if (data.size == 0 || data.size > UINT32_MAX - LIST_FIXED_SIZE - GUID_SIZE)
                return -EINVAL;
        if (signature_type_data_size(type, &prescribed) >= 0 && prescribed != 0 && data.size != prescribed)
                return -EINVAL;
        r = signature_database_contains(buffer_span(database), type, /* owner= */ NULL, data);
        if (r < 0)
                return r;
        if (r > 0)
                return 0;

        r = append_list_header(database, type, (Span){}, GUID_SIZE + data.size, 1);
        if (r >= 0)
                r = append_entry(database, owner, data);
        if (r < 0) {
                database->size = size;
                return r;
        }
        return 1;
}

/* Which entries of a list stay, when it is rewritten. */
typedef bool (*EntryFilter)(const SignatureEntry *entry, const void *userdata);

/* Appends LIST with those entries that stay. Returns how many went. */
static ssize_t append_filtered(Buffer *database, const SignatureList *list, EntryFilter stays, const void *userdata) {
        size_t staying = 0;
        int r;

        for (size_t i = 0; i < list->count; i++) {
                SignatureEntry entry = list_entry(list, i);

                staying += stays(&entry, userdata);
        }
        if (staying == list->count) {
                r = buffer_append(database, list->whole);
                return r < 0 ? r : 0;
        }
        if (staying == 0)
                return list->count;

        r = append_list_header(database, &list->type, list->header, list->signature_size, staying);
        if (r < 0)
                return r;
        for (size_t i = 0; i < list->count; i++) {
                SignatureEntry entry = list_entry(list, i);

                if (!stays(&entry, userdata))
                        continue;
                r = append_entry(database, &entry.owner, entry.data);
                if (r < 0)
                        return r;
        }
        return list->count - staying;
}

typedef struct Exclusion {
        Span database;
        bool owners_matter;
} Exclusion;

static bool is_not_in(const SignatureEntry *entry, const void *userdata) {
        const Exclusion *exclusion = userdata;
        const Guid *owner = exclusion->owners_matter ? &entry->owner : NULL;

        return signature_database_contains(exclusion->database, &entry->type, owner, entry->data) == 0;
}

int signature_database_difference(Span other, Span database, bool owners_matter, Buffer *ret) {
        Exclusion exclusion = {.database = database, .owners_matter = owners_matter};
        _cleanup_(buffer_done) Buffer difference = {};
        SignatureList list;
        int r;

        r = signature_database_check(database, /* ret_count= */ NULL);
        if (r < 0)
                return r;
        while ((r = signature_list_next(&other, &list)) > 0) {
                ssize_t gone = append_filtered(&difference, &list, is_not_in, &exclusion);
                if (gone < 0)
                        return gone;
        }
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(difference);
        return 0;
}

ssize_t signature_database_merge(Buffer *database, Span other) {
        _cleanup_(buffer_done) Buffer fresh = {};
        size_t count;
        int r;

        r = signature_database_difference(other, buffer_span(database), /* owners_matter= */ false, &fresh);
        if (r < 0)
                return r;
        r = signature_database_check(buffer_span(&fresh), &count);
        if (r < 0)
                return r;
        r = buffer_append(database, buffer_span(&fresh));
        return r < 0 ? r : (ssize_t)count;
}

static bool is_not(const SignatureEntry *entry, const void *other) {
        const SignatureEntry *unwanted = other;

        return !entry_is(entry, &unwanted->type, unwanted->data);
}

ssize_t signature_database_remove(Buffer *database, const Guid *type, Span data) {
        SignatureEntry unwanted = {.type = *type, .data = data};
        _cleanup_(buffer_done) Buffer remaining = {};
        Span rest = buffer_span(database);
        SignatureList list;
        ssize_t removed = 0;
        int r;

        while ((r = signature_list_next(&rest, &list)) > 0) {
                ssize_t gone = append_filtered(&remaining, &list, is_not, &unwanted);
                if (gone < 0)
                        return gone;
                removed += gone;
        }
        if (r < 0)
                return r;
        if (removed > 0) {
                buffer_done(database);
                *database = TAKE_STRUCT(remaining);
        }
        return removed;
}
