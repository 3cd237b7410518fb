/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading the key store.
 *
 * Whoever can change these files decides what the machine boots, and whoever can read the keys can sign: so the owner
 * and the mode of what is opened are checked each time, on the descriptor that is then read. A bundle made by another
 * tool has folders that all may look into; that alone gives nothing away and is only warned about. */

#include "daemon/keys/key-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/keys/key-store-private.h"
#include "daemon/util/buffer.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

enum { PEM_SIZE_MAX = 64 * 1024 };

static const char *const role_names[KEY_ROLE_COUNT] = {
        [KEY_ROLE_PK] = "PK",
        [KEY_ROLE_KEK] = "KEK",
        [KEY_ROLE_DB] = "db",
};

const char *key_role_name(KeyRole role) {
        return role_names[role];
}

void key_file_name(KeyRole role, KeyFile file, char ret[static KEY_FILE_NAME_SIZE]) {
        snprintf(ret, KEY_FILE_NAME_SIZE, "keys/%s/%s.%s", role_names[role], role_names[role],
                 file == KEY_FILE_KEY ? "key" : "pem");
}

/* The file's full path, for messages. Owned. */
char *key_file_path(const KeyStore *store, KeyRole role, KeyFile file) {
        char name[KEY_FILE_NAME_SIZE];

        if (store->files[role][file])
                return strdup(store->files[role][file]);
        key_file_name(role, file, name);
        return path_join(store->folder, name);
}

int key_store_files(const KeyStore *store, StringList *ret) {
        _cleanup_(free_pointer) char *owner = path_join(store->folder, "GUID");
        int r = owner ? string_list_add(ret, owner) : -ENOMEM;

        for (KeyRole role = 0; r >= 0 && role < KEY_ROLE_COUNT; role++)
                for (KeyFile file = 0; r >= 0 && file < KEY_FILE_COUNT; file++) {
                        _cleanup_(free_pointer) char *path = key_file_path(store, role, file);

                        r = path ? string_list_add(ret, path) : -ENOMEM;
                }
        return r;
}

static int copy_location(KeyStore *store, const KeyStoreLocation *location) {
        store->in_tree = location->tree != NULL;
        store->tree_length = location->tree ? strlen(location->tree) : 0;
        store->tree_fd = location->tree_fd;
        store->folder = strdup(location->folder);
        if (!store->folder)
                return -ENOMEM;
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                const char *configured[KEY_FILE_COUNT] = {
                        [KEY_FILE_KEY] = location->key_files[role],
                        [KEY_FILE_CERTIFICATE] = location->certificate_files[role],
                };

                for (KeyFile file = 0; file < KEY_FILE_COUNT; file++) {
                        if (!configured[file] || !*configured[file])
                                continue;
                        store->files[role][file] = strdup(configured[file]);
                        if (!store->files[role][file])
                                return -ENOMEM;
                }
        }
        return 0;
}

/* Refuses what others own, or may access in a way that FORBIDDEN (mode bits) names; PROPER is the mode to give it. */
static int check_access(int fd, const char *path, mode_t forbidden, mode_t proper, Failure *failure) {
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return failure_set_errno(failure, -errno, "Cannot examine %s", path);
        if (st.st_uid != 0 && st.st_uid != geteuid()) {
                r = failure_set(failure, CONDITION_BAD_KEYS,
                                "%s belongs to the user with the number %u, who can change it", path,
                                (unsigned)st.st_uid);
                failure_set_hint(failure, "If you trust its content: chown %u:%u '%s'", (unsigned)geteuid(),
                                 (unsigned)getegid(), path);
                return r;
        }
        if (st.st_mode & forbidden) {
                r = failure_set(failure, CONDITION_BAD_KEYS, "Others may %s %s (its mode is %04o)",
                                st.st_mode & forbidden & 022 ? "write to" : "read", path, (unsigned)st.st_mode & 07777);
                failure_set_hint(failure, "chmod %04o '%s'", (unsigned)proper, path);
                return r;
        }
        return 0;
}

/* What is found that way, no other run finds better: it is not trouble in reading. */
static bool is_bad_place(int error) {
        static const int errors[] = {ELOOP, ENOTDIR, EXDEV, ENXIO, ENAMETOOLONG, EISDIR, EINVAL, EFBIG};

        for (size_t i = 0; i < ARRAY_LENGTH(errors); i++)
                if (error == -errors[i])
                        return true;
        return false;
}

int key_store_report(int error, const char *path, Failure *failure) {
        int r;

        if (!is_bad_place(error))
                return failure_set_errno(failure, error, "Cannot read %s", path);
        if (error != -EXDEV)
                return failure_set(failure, CONDITION_BAD_KEYS, "Cannot read %s: %s", path, file_error_text(error));
        r = failure_set(failure, CONDITION_BAD_KEYS, "%s leads out of the key store by a symbolic link", path);
        failure_set_hint(failure, "Put the file there, or name it in the section [Keys] of the configuration.");
        return r;
}

static int check_folder(const KeyStore *store, const char *name, Failure *failure) {
        _cleanup_(free_pointer) char *path = path_join(store->folder, name);
        _cleanup_(close_fd) int fd = file_open(store->fd, name, O_PATH | O_DIRECTORY, 0);

        if (!path)
                return -ENOMEM;
        if (fd < 0)
                return key_store_report(fd, path, failure);
        return check_access(fd, path, 022, 0700, failure);
}

/* Opens a PATH of the configuration. */
static int open_path(const KeyStore *store, const char *path, int flags) {
        return store->in_tree ? root_open(store->tree_fd, path + store->tree_length, flags)
                              : file_open(AT_FDCWD, path, flags, 0);
}

static int open_folder(KeyStore *store, Failure *failure) {
        _cleanup_(close_fd) int fd = open_path(store, store->folder, O_RDONLY | O_DIRECTORY);
        int r;

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return key_store_report(fd, store->folder, failure);
        r = check_access(fd, store->folder, 022, 0700, failure);
        if (r < 0)
                return r;
        store->fd = TAKE_FD(fd);
        return 0;
}

int key_store_open(const KeyStoreLocation *location, KeyStore **ret, Failure *failure) {
        _cleanup_(key_store_freep) KeyStore *store = calloc(1, sizeof(*store));
        int r;

        if (!store)
                return -ENOMEM;
        store->fd = -EBADF;
        r = copy_location(store, location);
        if (r < 0)
                return r;
        r = open_folder(store, failure);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(store);
        return 0;
}

KeyStore *key_store_free(KeyStore *store) {
        if (!store)
                return NULL;
        close_fd(&store->fd);
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                for (KeyFile file = 0; file < KEY_FILE_COUNT; file++)
                        free(store->files[role][file]);
        free(store->folder);
        free(store);
        return NULL;
}

int key_store_fd(const KeyStore *store) {
        return store->fd;
}

/* Makes PATH with MODE and, before it, those above it (0755), each durable before the next. */
static int make_folders(const char *path, mode_t mode) {
        _cleanup_(free_pointer) char *parent = strdup(path);
        char *slash = parent ? strrchr(parent, '/') : NULL;
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        if (!parent)
                return -ENOMEM;
        if (slash)
                slash[slash == parent] = 0;
        if (mkdir(path, mode) < 0) {
                if (errno == EEXIST)
                        return 0;
                if (errno != ENOENT || !slash || slash == parent)
                        return -errno;
                r = make_folders(parent, 0755);
                if (r < 0)
                        return r;
                if (mkdir(path, mode) < 0)
                        return -errno;
        }
        /* The mode that was asked for, whatever the umask. */
        fd = file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        if (fchmod(fd, mode) < 0)
                return -errno;
        return folder_fsync(AT_FDCWD, slash ? parent : ".");
}

static int make_store_folder(const KeyStore *store) {
        _cleanup_(close_fd) int fd = -EBADF;

        if (!store->in_tree)
                return make_folders(store->folder, 0700);
        fd = root_make_folder(store->tree_fd, store->folder + store->tree_length, 0700);
        return fd < 0 ? fd : 0;
}

/* Those above it were made: the folder itself, or one of them, stands there as a link. */
static int report_dangling(const KeyStore *store, Failure *failure) {
        int r = failure_set(failure, CONDITION_BAD_KEYS,
                            "The key store %s cannot be made: a symbolic link on its path leads to nothing",
                            store->folder);

        failure_set_hint(failure, "Mount or make what the link leads to, or remove it.");
        return r;
}

int key_store_make_folder(KeyStore *store, Failure *failure) {
        int r;

        if (store->fd >= 0)
                return 0;
        r = make_store_folder(store);
        if (r == -ENOENT)
                return report_dangling(store, failure);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot make the key store %s", store->folder);
        r = open_folder(store, failure);
        if (r < 0)
                return r;
        return store->fd < 0 ? report_dangling(store, failure) : 0;
}

int key_store_report_member(const KeyStore *store, int error, const char *name, Failure *failure) {
        _cleanup_(free_pointer) char *path = path_join(store->folder, name);

        return path ? key_store_report(error, path, failure) : -ENOMEM;
}

int key_store_owner(const KeyStore *store, Guid *ret, Failure *failure) {
        _cleanup_(buffer_done) Buffer text = {};
        Span span;
        int r;

        r = store->fd < 0 ? -ENOENT : file_read(store->fd, "GUID", 1024, &text);
        if (r == -ENOENT)
                return failure_set(failure, CONDITION_NO_KEYS, "The key store %s has no GUID", store->folder);
        if (r < 0)
                return key_store_report_member(store, r, "GUID", failure);

        span = buffer_span(&text);
        while (span.size > 0 && strchr(" \t\r\n", span.data[span.size - 1]))
                span.size--;
        if (guid_parse(span, ret) < 0)
                return failure_set(failure, CONDITION_BAD_KEYS, "%s/GUID does not hold a GUID", store->folder);
        return 0;
}

bool key_role_is_configured(const KeyStore *store, KeyRole role) {
        return store->files[role][KEY_FILE_KEY] || store->files[role][KEY_FILE_CERTIFICATE];
}

static int open_key_file(const KeyStore *store, KeyRole role, KeyFile file, int flags) {
        char name[KEY_FILE_NAME_SIZE];

        if (store->files[role][file])
                return open_path(store, store->files[role][file], flags);
        if (store->fd < 0)
                return -ENOENT;
        key_file_name(role, file, name);
        return file_open(store->fd, name, flags, 0);
}

int key_file_exists(const KeyStore *store, KeyRole role, KeyFile file) {
        _cleanup_(close_fd) int fd = open_key_file(store, role, file, O_PATH);

        if (fd == -ENOENT)
                return 0;
        return fd < 0 ? fd : 1;
}

static const char *kind_of(KeyFile file) {
        return file == KEY_FILE_KEY ? "key" : "certificate";
}

static int report_missing(const KeyStore *store, KeyRole role, KeyFile file, Failure *failure) {
        _cleanup_(free_pointer) char *path = key_file_path(store, role, file);
        int r;

        if (!path)
                return -ENOMEM;
        if (store->files[role][file]) {
                r = failure_set(failure, CONDITION_BAD_KEYS,
                                "The %s %s, which the configuration names for %s, does not exist", kind_of(file), path,
                                role_names[role]);
                failure_set_hint(failure,
                                 "Put the file there, or take it out of the section [Keys] of the configuration.");
                return r;
        }
        r = failure_set(failure, CONDITION_BAD_KEYS, "The %s of %s is missing: there is no %s", kind_of(file),
                        role_names[role], path);
        failure_set_hint(failure, "Restore the file from a backup. If it is lost, move the other half away and make a "
                                  "new pair with 'lanzactl create-keys'.");
        return r;
}

int key_role_is_complete(const KeyStore *store, KeyRole role, Failure *failure) {
        int exists[KEY_FILE_COUNT];

        for (KeyFile file = 0; file < KEY_FILE_COUNT; file++) {
                _cleanup_(free_pointer) char *path = key_file_path(store, role, file);

                if (!path)
                        return -ENOMEM;
                exists[file] = key_file_exists(store, role, file);
                if (exists[file] < 0)
                        return key_store_report(exists[file], path, failure);
        }
        if (exists[KEY_FILE_KEY] && exists[KEY_FILE_CERTIFICATE])
                return 1;
        if (!exists[KEY_FILE_KEY] && !exists[KEY_FILE_CERTIFICATE] && !key_role_is_configured(store, role))
                return 0;
        return report_missing(store, role, exists[KEY_FILE_KEY] ? KEY_FILE_CERTIFICATE : KEY_FILE_KEY, failure);
}

int key_file_read(const KeyStore *store, KeyRole role, KeyFile file, Buffer *ret, Failure *failure) {
        _cleanup_(free_pointer) char *path = key_file_path(store, role, file);
        _cleanup_(close_fd) int fd = open_key_file(store, role, file, O_RDONLY);
        int r;

        if (!path)
                return -ENOMEM;
        if (fd < 0)
                return key_store_report(fd, path, failure);
        r = file == KEY_FILE_KEY ? check_access(fd, path, 077, 0600, failure)
                                 : check_access(fd, path, 022, 0644, failure);
        if (r < 0)
                return r;
        r = file_read_fd(fd, PEM_SIZE_MAX, ret);
        if (r == -EISDIR || r == -EINVAL)
                return failure_set(failure, CONDITION_BAD_KEYS, "%s is no regular file", path);
        if (r == -EFBIG)
                return failure_set(failure, CONDITION_BAD_KEYS, "%s is larger than any %s", path, kind_of(file));
        return r < 0 ? key_store_report(r, path, failure) : 0;
}

/* That nobody else can put other files in place of ROLE's own ones. */
static int check_folders(const KeyStore *store, KeyRole role, Failure *failure) {
        char name[KEY_FILE_NAME_SIZE];
        int r;

        r = check_folder(store, "keys", failure);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "keys/%s", role_names[role]);
        return check_folder(store, name, failure);
}

/* That ROLE is complete, and the folders of its own files are ours. */
static int check_role(const KeyStore *store, KeyRole role, Failure *failure) {
        int r;

        r = key_role_is_complete(store, role, failure);
        if (r < 0)
                return r;
        if (r == 0)
                return failure_set(failure, CONDITION_NO_KEYS, "The key store %s has no key for %s", store->folder,
                                   role_names[role]);
        if (store->files[role][KEY_FILE_KEY] && store->files[role][KEY_FILE_CERTIFICATE])
                return 0;
        return check_folders(store, role, failure);
}

int key_store_check_private(const KeyStore *store, KeyRole role, Failure *failure) {
        _cleanup_(free_pointer) char *path = key_file_path(store, role, KEY_FILE_KEY);
        _cleanup_(close_fd) int fd = open_key_file(store, role, KEY_FILE_KEY, O_PATH);
        uint64_t size;
        int r;

        if (!path)
                return -ENOMEM;
        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return key_store_report(fd, path, failure);
        if (file_size_fd(fd, &size) < 0)
                return failure_set(failure, CONDITION_BAD_KEYS, "%s is no regular file", path);
        r = check_access(fd, path, 077, 0600, failure);
        if (r < 0 || store->files[role][KEY_FILE_KEY])
                return r < 0 ? r : 1;
        r = check_folders(store, role, failure);
        return r < 0 ? r : 1;
}

int key_report_bad_certificate(const KeyStore *store, KeyRole role, int error, Failure *failure) {
        _cleanup_(free_pointer) char *path = key_file_path(store, role, KEY_FILE_CERTIFICATE);

        if (error == -ENOMEM || !path)
                return -ENOMEM;
        return failure_set(failure, CONDITION_BAD_KEYS, "%s holds no certificate in PEM form, or more than one", path);
}

int key_store_read_certificate(const KeyStore *store, KeyRole role, Buffer *ret, Failure *failure) {
        int r;

        r = check_role(store, role, failure);
        return r < 0 ? r : key_file_read(store, role, KEY_FILE_CERTIFICATE, ret, failure);
}

int key_store_certificate(const KeyStore *store, KeyRole role, Certificate **ret, Failure *failure) {
        _cleanup_(buffer_done) Buffer pem = {};
        int r;

        r = key_store_read_certificate(store, role, &pem, failure);
        if (r < 0)
                return r;
        r = certificate_from_pem(buffer_span(&pem), ret);
        return r < 0 ? key_report_bad_certificate(store, role, r, failure) : 0;
}

static int warn_of_folder(const KeyStore *store, const char *name, StringList *warnings) {
        _cleanup_(free_pointer) char *path = *name ? path_join(store->folder, name) : strdup(store->folder);
        struct stat st;

        if (!path)
                return -ENOMEM;
        if (fstatat(store->fd, name, &st, AT_EMPTY_PATH) < 0 || !(st.st_mode & 055))
                return 0;
        return string_list_add_format(warnings, "Others may look into the folder %s; mend it with: chmod 0700 '%s'",
                                      path, path);
}

int key_store_warn_of_time(const KeyStore *store, KeyRole role, int64_t now, StringList *warnings) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        _cleanup_(free_pointer) char *path = key_file_path(store, role, KEY_FILE_CERTIFICATE);
        char date[sizeof("2000-01-01")] = "?";
        struct tm tm;
        time_t when;
        bool expired;

        if (!path)
                return -ENOMEM;
        if (key_store_certificate(store, role, &certificate, NULL) < 0)
                return 0; /* not a warning: whoever needs it hears why it can't be used */
        expired = certificate_not_after(certificate) < now;
        if (!expired && certificate_not_before(certificate) <= now)
                return 0;

        when = expired ? certificate_not_after(certificate) : certificate_not_before(certificate);
        if (gmtime_r(&when, &tm))
                strftime(date, sizeof(date), "%Y-%m-%d", &tm);
        return string_list_add_format(warnings,
                                      "The certificate %s %s %s. Firmware does not look at this, other programs may.",
                                      path, expired ? "expired on" : "is not valid before", date);
}

int key_store_warnings(const KeyStore *store, int64_t now, StringList *ret) {
        static const char *const folders[] = {"", "keys", "keys/PK", "keys/KEK", "keys/db"};
        int r;

        for (size_t i = 0; store->fd >= 0 && i < ARRAY_LENGTH(folders); i++) {
                r = warn_of_folder(store, folders[i], ret);
                if (r < 0)
                        return r;
        }
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                r = key_store_warn_of_time(store, role, now, ret);
                if (r < 0)
                        return r;
        }
        return 0;
}
