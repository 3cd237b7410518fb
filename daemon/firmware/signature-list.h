/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Signature databases: what PK, KEK, db and dbx hold, a sequence of EFI_SIGNATURE_LIST, each with entries of one type
 * and one size (UEFI specification, 32.4.1). A database is plain bytes (Span, Buffer): whatever a function here does
 * not have to change stays as it is, byte by byte, types that it does not know too. An empty database is a good one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/util/buffer.h"
#include "daemon/util/guid.h"
#include "daemon/util/span.h"

extern const Guid signature_type_x509;        /* DER certificate */
extern const Guid signature_type_sha256;      /* image digest, 32 bytes */
extern const Guid signature_type_x509_sha256; /* digest of a certificate's TBS part, and a time: 48 bytes */
extern const Guid signature_type_x509_sha384;
extern const Guid signature_type_x509_sha512;
extern const Guid signature_type_sha1;
extern const Guid signature_type_sha384;
extern const Guid signature_type_sha512;

/* The owner that Microsoft gives its own entries. */
extern const Guid signature_owner_microsoft;

/* A short name as used in results ("x509", "sha256", "x509-sha256", …), or NULL for a type without one. */
const char *signature_type_name(const Guid *type);

/* The size that a type's data have, without the owner; 0 where each entry has its own. -ENOENT for a type that the
 * specification does not know. */
int signature_type_data_size(const Guid *type, uint32_t *ret);

/* One EFI_SIGNATURE_LIST; spans point into the database. */
typedef struct SignatureList {
        Guid type;
        Span whole;              /* with its header */
        Span header;             /* SignatureHeader: empty for all known types */
        Span signatures;         /* COUNT entries of SIGNATURE_SIZE bytes */
        uint32_t signature_size; /* with the owner: at least 16 */
        size_t count;
} SignatureList;

/* One entry, EFI_SIGNATURE_DATA; DATA points into the database. */
typedef struct SignatureEntry {
        Guid type;
        Guid owner;
        Span data;
} SignatureEntry;

/* Takes the first list off *REST. Returns 1; 0 if *REST is empty; -EBADMSG for a size that does not fit its
 * surroundings or its entries. Whether the entries are of the size that the type prescribes is left to who uses them.
 */
int signature_list_next(Span *rest, SignatureList *ret);

/* Goes through all entries of a database:
 *
 *         SignatureIterator iterator = signature_iterator(database);
 *         while ((r = signature_iterator_next(&iterator, &entry)) > 0)
 */
typedef struct SignatureIterator {
        Span rest;
        SignatureList list;
        size_t index;
} SignatureIterator;

SignatureIterator signature_iterator(Span database);

/* Returns 1 and an entry, 0 at the end, -EBADMSG as signature_list_next() does. */
int signature_iterator_next(SignatureIterator *iterator, SignatureEntry *ret);

/* Returns 0, or -EBADMSG if the database is malformed anywhere. RET_COUNT (may be NULL): its entries. */
int signature_database_check(Span database, size_t *ret_count);

/* Returns 1 if there is an entry with this type and data, of any owner (OWNER NULL) or of this one; 0; or -EBADMSG. */
int signature_database_contains(Span database, const Guid *type, const Guid *owner, Span data);

/* Appends a list with this one entry, unless the database contains it (of any owner). Returns 1 if it was added, 0 if
 * it was there; -EBADMSG for a malformed database, -EINVAL for data of a wrong size for the type, -ENOMEM; then nothing
 * changed. */
int signature_database_add(Buffer *database, const Guid *type, const Guid *owner, Span data);

/* Appends the lists of OTHER without the entries that the database contained before (of any owner); a list of which
 * nothing is left is dropped, one of which everything is left stays as it is. Returns how many entries were added, or
 * -EBADMSG, -ENOMEM; then nothing changed. */
ssize_t signature_database_merge(Buffer *database, Span other);

/* The lists of OTHER without the entries that DATABASE contains: of any owner, or (OWNERS_MATTER) of the same owner, as
 * edk2 compares when it appends. The caller owns *RET. -EBADMSG, -ENOMEM. */
int signature_database_difference(Span other, Span database, bool owners_matter, Buffer *ret);

/* Removes every entry with this type and data, of any owner; a list that becomes empty goes too. Returns how many
 * entries went; -EBADMSG, -ENOMEM; then nothing changed. */
ssize_t signature_database_remove(Buffer *database, const Guid *type, Span data);
