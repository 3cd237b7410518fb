/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the store's own files share. */

#include "daemon/keys/key-store.h"
#include "daemon/util/buffer.h"

typedef enum KeyFile {
        KEY_FILE_KEY,
        KEY_FILE_CERTIFICATE,
        KEY_FILE_COUNT,
} KeyFile;

struct KeyStore {
        int fd;             /* -EBADF: there is no folder */
        bool in_tree;       /* the paths below begin with that of a tree, and are resolved inside it */
        size_t tree_length; /* of its path */
        int tree_fd;        /* borrowed */
        char *folder;
        char *files[KEY_ROLE_COUNT][KEY_FILE_COUNT]; /* NULL: the store's own */
};

/* The name of an own file below the store: "keys/db/db.key". */
enum { KEY_FILE_NAME_SIZE = sizeof("keys/KEK/KEK.pem") };
void key_file_name(KeyRole role, KeyFile file, char ret[static KEY_FILE_NAME_SIZE]);

bool key_role_is_configured(const KeyStore *store, KeyRole role);

/* Why PATH, or NAME in the store's folder, could not be opened or read: BadKeys if something else stands in its place.
 * Returns a negative errno. */
int key_store_report(int error, const char *path, Failure *failure);
int key_store_report_member(const KeyStore *store, int error, const char *name, Failure *failure);

/* 1 if the file exists, 0 if not, else a negative errno. */
int key_file_exists(const KeyStore *store, KeyRole role, KeyFile file);

/* The path to show of a role's file. Owned; NULL if memory is short. */
char *key_file_path(const KeyStore *store, KeyRole role, KeyFile file);

/* Reads one file of ROLE, after a look at who else may. RET is empty before. */
int key_file_read(const KeyStore *store, KeyRole role, KeyFile file, Buffer *ret, Failure *failure);

/* What ERROR of certificate_from_pem() means. Returns a negative errno. */
int key_report_bad_certificate(const KeyStore *store, KeyRole role, int error, Failure *failure);

/* The PEM of ROLE's certificate, not parsed. RET is empty before. Fails as key_store_certificate() does. */
int key_store_read_certificate(const KeyStore *store, KeyRole role, Buffer *ret, Failure *failure);

/* 1 if ROLE has both files, 0 if it has none; BadKeys if it has half of them, or a configured one is missing. */
int key_role_is_complete(const KeyStore *store, KeyRole role, Failure *failure);

/* The contents of the store's file "timestamp": seconds since 1970 in decimal digits, and at most one line feed.
 * Returns -EBADMSG for anything else, and for a time after the year 9999. */
int key_timestamp_parse(Span text, int64_t *ret);
