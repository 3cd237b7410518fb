/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The key store: a folder with the owner's GUID, one key pair for each of PK, KEK and db, the last timestamp that
 * signed an update of a firmware variable, and the certificates that were ever in use here.
 *
 *      GUID                                    owner of what we enroll, as text
 *      keys/{PK,KEK,db}/{PK,KEK,db}.{key,pem}  the layout of sbctl and of lanzaboote's pkiBundle, which opens as it is
 *      timestamp                               seconds since 1970
 *      held/FINGERPRINT.der                    certificates that the store holds or once held
 *
 * An object of this type remembers where things are, not what is in them: every function looks at the disk anew.
 * Whoever calls a function that writes holds an exclusive flock(2) on key_store_fd(). */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/signer.h"
#include "daemon/util/failure.h"
#include "daemon/util/guid.h"
#include "daemon/util/macro.h"
#include "daemon/util/string-list.h"

typedef enum KeyRole {
        KEY_ROLE_PK,
        KEY_ROLE_KEK,
        KEY_ROLE_DB,
        KEY_ROLE_COUNT,
} KeyRole;

/* "PK", "KEK", "db": the variable's name, too. */
const char *key_role_name(KeyRole role);

/* Where everything is: paths of the trusted configuration. A file that is NULL or "" is the store's own, each by
 * itself. With a TREE all of them begin with its path, and are resolved inside it (util/root.h): no link leads to the
 * keys of another system. */
typedef struct KeyStoreLocation {
        const char *tree;   /* "" for "/"; NULL: paths are the running system's, relative ones too */
        int tree_fd;        /* its root folder; borrowed, must outlive the store. Only with TREE */
        const char *folder; /* /var/lib/lanzad */
        const char *key_files[KEY_ROLE_COUNT];
        const char *certificate_files[KEY_ROLE_COUNT];
} KeyStoreLocation;

typedef struct KeyStore KeyStore;

/* Opens the store's folder; that there is none is no error. BadKeys if it is not ours or others may write to it. */
int key_store_open(const KeyStoreLocation *location, KeyStore **ret, Failure *failure);
KeyStore *key_store_free(KeyStore *store);
DEFINE_POINTER_CLEANUP(KeyStore *, key_store_free)

/* The folder, to be locked with flock(2); borrowed. -EBADF as long as there is no folder. */
int key_store_fd(const KeyStore *store);

/* Makes the folder (0700) and those above it (0755) durably and opens it; nothing if it is open already. */
int key_store_make_folder(KeyStore *store, Failure *failure);

/* The owner of what we enroll. NoKeys if the store has no GUID, BadKeys if its text is none. */
int key_store_owner(const KeyStore *store, Guid *ret, Failure *failure);

/* The certificate of ROLE; the caller owns one reference. NoKeys if neither key nor certificate exist. BadKeys, with
 * the file and what mends it, if one of the two is missing, is no regular file, or can't be read as what it should be.
 * This does not read the key. */
int key_store_certificate(const KeyStore *store, KeyRole role, Certificate **ret, Failure *failure);

/* The signer of ROLE. As above, and BadKeys if the key and the certificate do not belong together, the key is
 * encrypted, shorter than 2048 bits or no RSA key, is not owned by root or the caller, or others may read it. */
int key_store_signer(const KeyStore *store, KeyRole role, Signer **ret, Failure *failure);

/* The same in two parts, for who makes signatures in between: the second costs as much as one, and nothing where one
 * was made. Only the second tells a key whose private half is damaged: nothing is written before it. */
int key_store_read_signer(const KeyStore *store, KeyRole role, Signer **ret, Failure *failure);
int key_store_try_signer(const KeyStore *store, KeyRole role, Signer *signer, Failure *failure);

/* Whether the private key of ROLE is nobody else's: owned by root or the caller, read by nobody else, and no folder of
 * the store's own above it can be written to by others. Looks at owners and modes, and reads no key. Returns 1 if so, 0
 * if there is no such file; BadKeys, with the file and what mends it, if others have access. */
int key_store_check_private(const KeyStore *store, KeyRole role, Failure *failure);

/* The paths of all files that make up the store, there or not: the owner's GUID, certificates and keys. -ENOMEM. */
int key_store_files(const KeyStore *store, StringList *ret);

/* What is not as it should be and yet usable, a sentence each: certificates that have expired or are not valid yet at
 * NOW (firmware does not look), folders that others may look into. */
int key_store_warnings(const KeyStore *store, int64_t now, StringList *ret);

/* Only the one on the time of ROLE's certificate, if there is one. */
int key_store_warn_of_time(const KeyStore *store, KeyRole role, int64_t now, StringList *warnings);

/* What key_store_create() would make. */
typedef struct KeyCreationPlan {
        bool owner; /* GUID */
        bool roles[KEY_ROLE_COUNT];
} KeyCreationPlan;

/* Roles with a configured file are not the store's to make. KeysExist if nothing is missing, BadKeys if half a pair is
 * there: that is never replaced. */
int key_store_plan_creation(const KeyStore *store, KeyCreationPlan *ret, Failure *failure);

/* The common name of the certificate that a machine of that name (NULL: none is known) gets for ROLE: "MACHINE PK",
 * shortened. */
enum { KEY_NAME_MAX = 64 };
void key_store_name_certificate(const char *machine, KeyRole role, char ret[static KEY_NAME_MAX + 1]);

typedef struct KeyCreation {
        const char *machine; /* in the certificates' common names */
        unsigned bits;       /* of db's key, 2048 or 4096; PK and KEK always have 2048, which firmware must accept */
        int64_t now;         /* the certificates' beginning, seconds since 1970; they last ten years */
} KeyCreation;

/* Makes what is missing, the folder included, and nothing else; *RET (may be NULL) tells what. All of it is durable
 * when this returns 0. After a kill or a power cut at any instant there is nothing, or the GUID, or complete pairs, and
 * the next call makes the rest. Fails as key_store_plan_creation(). */
int key_store_create(KeyStore *store, const KeyCreation *creation, KeyCreationPlan *ret, Failure *failure);

/* A timestamp for an authenticated update: NOW or one second after the last one, whichever is later (firmware refuses
 * any that is not newer). It is recorded durably before this returns. Seconds since 1970. */
int key_store_next_timestamp(KeyStore *store, int64_t now, int64_t *ret, Failure *failure);

/* Records the certificates that are in use (configured ones too) among those that the store held. Writes only where one
 * is missing there; roles without a certificate, or with an unreadable one, are passed over. Whoever signs with the
 * store calls this first. */
int key_store_remember(KeyStore *store, Failure *failure);

/* 1 if CERTIFICATE is in use here or was once, else 0. Errors of reading count as no (whoever deletes by this answer
 * keeps a file too many, not too few), but -ENOMEM is one. */
int key_store_has_held(const KeyStore *store, const Certificate *certificate);

/* Whether keys ever were in this store, readable or not: any key, half a pair, a configured file, or the memory of a
 * certificate. Errors of reading count as yes: nothing unsigned is made where keys may have been. */
bool key_store_ever_held_keys(const KeyStore *store);
