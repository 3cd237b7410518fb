/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Making keys so that a cut at any instant leaves nothing half-made under a final name.
 *
 * Everything new is made in the folder .new inside the store, made durable there, and moved into place by one rename:
 * of the whole folder as long as there is no keys/, else of each role's folder. rename(2) puts a folder only where
 * nothing or an empty folder is, so nothing is ever overwritten. What an interrupted run left in .new was never in use
 * and goes first. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/crypto/key-pair.h"
#include "daemon/keys/key-store-private.h"
#include "daemon/util/file.h"
#include "daemon/util/utf8.h"

#define TEMPORARY ".new"

enum { YEARS = 10, FOLDER_ENTRIES_MAX = 1024 };

static int plan_owner(const KeyStore *store, bool *ret, Failure *failure) {
        _cleanup_(failure_done) Failure reason = {};
        Guid guid;
        int r;

        r = key_store_owner(store, &guid, &reason);
        if (r < 0 && reason.condition != CONDITION_NO_KEYS)
                return key_store_owner(store, &guid, failure);
        *ret = r < 0;
        return 0;
}

/* That a role's folder without a pair is empty, or not there: only then can the new one take its place. */
static int check_room(const KeyStore *store, KeyRole role, Failure *failure) {
        _cleanup_(string_list_done) StringList names = {};
        char folder[KEY_FILE_NAME_SIZE];
        int r;

        if (store->fd < 0)
                return 0;
        snprintf(folder, sizeof(folder), "keys/%s", key_role_name(role));
        r = folder_list(store->fd, folder, FOLDER_ENTRIES_MAX, &names);
        if (r == -ENOENT || (r >= 0 && names.count == 0))
                return 0;
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the folder %s/%s", store->folder, folder);
        r = failure_set(failure, CONDITION_BAD_KEYS, "%s/%s holds no key pair, but something else ('%s')",
                        store->folder, folder, names.items[0]);
        failure_set_hint(failure, "Move it away: mv '%s/%s' '%s/%s.old'", store->folder, folder, store->folder, folder);
        return r;
}

static int plan_role(const KeyStore *store, KeyRole role, bool *ret, Failure *failure) {
        int r;

        r = key_role_is_complete(store, role, failure);
        if (r < 0)
                return r;
        if (r == 0) {
                r = check_room(store, role, failure);
                if (r < 0)
                        return r;
                *ret = true;
        }
        return 0;
}

static bool plan_has_roles(const KeyCreationPlan *plan) {
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                if (plan->roles[role])
                        return true;
        return false;
}

int key_store_plan_creation(const KeyStore *store, KeyCreationPlan *ret, Failure *failure) {
        KeyCreationPlan plan = {};
        int r;

        r = plan_owner(store, &plan.owner, failure);
        if (r < 0)
                return r;
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                r = plan_role(store, role, &plan.roles[role], failure);
                if (r < 0)
                        return r;
        }
        if (!plan.owner && !plan_has_roles(&plan))
                return failure_set(failure, CONDITION_KEYS_EXIST, "The key store %s has all its keys", store->folder);
        *ret = plan;
        return 0;
}

/* Text that can stand in a certificate. Those words mark vendors' test keys, and programs warn of them. */
static bool is_usable_name(const char *machine) {
        if (!machine || !*machine || utf8_check(span_from_string(machine)) < 0 ||
            span_find_control(span_from_string(machine), /* tab_allowed= */ false))
                return false;
        return !strcasestr(machine, "DO NOT TRUST") && !strcasestr(machine, "DO NOT SHIP");
}

void key_store_name_certificate(const char *machine, KeyRole role, char ret[static KEY_NAME_MAX + 1]) {
        const char *name = is_usable_name(machine) ? machine : "lanza";
        size_t room = KEY_NAME_MAX - strlen(" KEK"), length = strlen(name);

        if (length > room)
                for (length = room; ((unsigned char)name[length] & 0xc0) == 0x80;)
                        length--;
        snprintf(ret, KEY_NAME_MAX + 1, "%.*s %s", (int)length, name, key_role_name(role));
}

/* Removes FOLDER, below the store, and the files in it. */
static int remove_folder_of_files(const KeyStore *store, const char *folder) {
        _cleanup_(string_list_done) StringList files = {};
        int r;

        r = folder_list(store->fd, folder, FOLDER_ENTRIES_MAX, &files);
        if (r < 0)
                return r;
        for (size_t i = 0; i < files.count; i++) {
                _cleanup_(free_pointer) char *file = path_join(folder, files.items[i]);

                if (!file)
                        return -ENOMEM;
                if (unlinkat(store->fd, file, 0) < 0)
                        return -errno;
        }
        return unlinkat(store->fd, folder, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int remove_temporary(const KeyStore *store) {
        _cleanup_(string_list_done) StringList folders = {};
        int r;

        r = folder_list(store->fd, TEMPORARY, FOLDER_ENTRIES_MAX, &folders);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < folders.count; i++) {
                _cleanup_(free_pointer) char *folder = path_join(TEMPORARY, folders.items[i]);

                if (!folder)
                        return -ENOMEM;
                r = remove_folder_of_files(store, folder);
                if (r < 0)
                        return r;
        }
        return unlinkat(store->fd, TEMPORARY, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* A pair that can sign, in memory. */
static int generate(const KeyCreation *creation, KeyRole role, Buffer *key, Buffer *certificate) {
        _cleanup_(signer_freep) Signer *signer = NULL;
        char name[KEY_NAME_MAX + 1];
        KeyPairRequest request = {
                .bits = role == KEY_ROLE_DB ? creation->bits : 2048,
                .common_name = name,
                .not_before = creation->now,
                .years = YEARS,
        };
        int r;

        key_store_name_certificate(creation->machine, role, name);
        r = key_pair_generate(&request, key, certificate);
        if (r < 0)
                return r;
        return signer_new_from_pem(buffer_span(key), buffer_span(certificate), &signer);
}

/* Makes .new/ROLE with its two files, durable. */
static int make_pair(const KeyStore *store, const KeyCreation *creation, KeyRole role) {
        _cleanup_(buffer_wipe) Buffer key = {};
        _cleanup_(buffer_done) Buffer certificate = {};
        const char *name = key_role_name(role);
        char folder[32], key_file[64], certificate_file[64];
        int r;

        snprintf(folder, sizeof(folder), TEMPORARY "/%s", name);
        snprintf(key_file, sizeof(key_file), "%s/%s.key", folder, name);
        snprintf(certificate_file, sizeof(certificate_file), "%s/%s.pem", folder, name);

        r = generate(creation, role, &key, &certificate);
        if (r < 0)
                return r;
        if (mkdirat(store->fd, folder, 0700) < 0)
                return -errno;
        r = file_create(store->fd, key_file, buffer_span(&key), 0600);
        if (r < 0)
                return r;
        r = file_create(store->fd, certificate_file, buffer_span(&certificate), 0644);
        if (r < 0)
                return r;
        return folder_fsync(store->fd, folder);
}

/* Moves each new role into the keys/ that is there. */
static int move_roles(const KeyStore *store, const KeyCreationPlan *plan) {
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                char from[32], to[32];

                if (!plan->roles[role])
                        continue;
                snprintf(from, sizeof(from), TEMPORARY "/%s", key_role_name(role));
                snprintf(to, sizeof(to), "keys/%s", key_role_name(role));
                if (renameat(store->fd, from, store->fd, to) < 0)
                        return -errno;
        }
        r = folder_fsync(store->fd, "keys");
        if (r < 0)
                return r;
        return unlinkat(store->fd, TEMPORARY, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Moves what .new holds into place, durably. */
static int move_into_place(const KeyStore *store, const KeyCreationPlan *plan) {
        struct stat st;
        int r;

        r = folder_fsync(store->fd, TEMPORARY);
        if (r < 0)
                return r;
        if (fstatat(store->fd, "keys", &st, AT_SYMLINK_NOFOLLOW) >= 0)
                r = move_roles(store, plan);
        else if (errno != ENOENT || renameat(store->fd, TEMPORARY, store->fd, "keys") < 0)
                r = -errno;
        return r < 0 ? r : folder_fsync(store->fd, ".");
}

static int make_owner(const KeyStore *store) {
        char text[GUID_TEXT_SIZE];
        Guid guid;
        int r;

        r = guid_random(&guid);
        if (r < 0)
                return r;
        guid_format(&guid, text);
        return file_replace(store->fd, "GUID", span_from_string(text), 0600);
}

static int make_roles(const KeyStore *store, const KeyCreation *creation, const KeyCreationPlan *plan) {
        int r;

        if (mkdirat(store->fd, TEMPORARY, 0700) < 0)
                return -errno;
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                r = plan->roles[role] ? make_pair(store, creation, role) : 0;
                if (r < 0)
                        return r;
        }
        return move_into_place(store, plan);
}

int key_store_create(KeyStore *store, const KeyCreation *creation, KeyCreationPlan *ret, Failure *failure) {
        KeyCreationPlan plan;
        int r;

        r = store->fd >= 0 ? remove_temporary(store) : 0;
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot remove %s/" TEMPORARY, store->folder);
        r = key_store_plan_creation(store, &plan, failure);
        if (r < 0)
                return r;
        r = key_store_make_folder(store, failure);
        if (r < 0)
                return r;
        r = plan.owner ? make_owner(store) : 0;
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot write the GUID of the key store %s", store->folder);
        r = plan_has_roles(&plan) ? make_roles(store, creation, &plan) : 0;
        if (r < 0) {
                remove_temporary(store);
                return failure_set_errno(failure, r, "Cannot make the keys in %s", store->folder);
        }
        r = key_store_remember(store, failure);
        if (r < 0)
                return r;
        if (ret)
                *ret = plan;
        return 0;
}
