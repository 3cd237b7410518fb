/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may use a private key, told from owners and modes alone. */

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/keys/key-store.h"
#include "tests/lib/test-folder.h"

/* What stands in the files does not matter. */
static char *make_folder(void) {
        char *folder = test_folder_make();

        test_write(folder, "keys/db/db.key", "no key", -1, 0600);
        test_write(folder, "elsewhere/db.key", "no key", -1, 0600);
        return folder;
}

static KeyStore *open_store(const char *folder, const char *key_file) {
        KeyStoreLocation location = {.folder = folder, .key_files[KEY_ROLE_DB] = key_file};
        KeyStore *store = NULL;

        g_assert_cmpint(key_store_open(&location, &store, NULL), ==, 0);
        return store;
}

static void test_own_files(void) {
        static const struct {
                const char *path;
                mode_t mode;
                const char *message, *hint;
        } cases[] = {
                {"keys/db/db.key", 0440, "Others may read", "chmod 0600"},
                {"keys/db/db.key", 0404, "Others may read", "chmod 0600"},
                {"keys/db/db.key", 0602, "Others may write to", "chmod 0600"},
                {"keys/db", 0777, "Others may write to", "chmod 0700"},
                {"keys", 0770, "Others may write to", "chmod 0700"},
        };
        _cleanup_(test_folder_cleanup) char *folder = make_folder();
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder, NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *path = test_path(folder, cases[i].path);
                _cleanup_(failure_done) Failure failure = {};
                GStatBuf before;

                g_assert_cmpint(g_stat(path, &before), ==, 0);
                g_assert_cmpint(key_store_check_private(store, KEY_ROLE_DB, NULL), ==, 1);
                g_assert_cmpint(g_chmod(path, cases[i].mode), ==, 0);
                g_assert_cmpint(key_store_check_private(store, KEY_ROLE_DB, &failure), <, 0);
                g_assert_cmpint(failure.condition, ==, CONDITION_BAD_KEYS);
                g_assert_nonnull(strstr(failure.message, cases[i].message));
                g_assert_nonnull(strstr(failure_hint(&failure), cases[i].hint));
                g_assert_cmpint(g_chmod(path, before.st_mode & 07777), ==, 0);
        }
}

/* The folders above it are the administrator's business. */
static void test_configured_file(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_folder();
        g_autofree char *path = test_path(folder, "elsewhere/db.key"), *keys = test_path(folder, "keys");
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder, path);
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(g_chmod(keys, 0777), ==, 0);
        g_assert_cmpint(key_store_check_private(store, KEY_ROLE_DB, NULL), ==, 1);
        g_assert_cmpint(g_chmod(path, 0644), ==, 0);
        g_assert_cmpint(key_store_check_private(store, KEY_ROLE_DB, &failure), <, 0);
        g_assert_nonnull(strstr(failure.message, path));
}

static void test_missing(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_folder();
        g_autofree char *absent = test_path(folder, "absent");
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder, NULL), *none = open_store(absent, absent);

        g_assert_cmpint(key_store_check_private(store, KEY_ROLE_PK, NULL), ==, 0);
        g_assert_cmpint(key_store_check_private(none, KEY_ROLE_PK, NULL), ==, 0);
        g_assert_cmpint(key_store_check_private(none, KEY_ROLE_DB, NULL), ==, 0);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/keys/privacy/files-and-folders-that-others-may-use-are-named", test_own_files);
        g_test_add_func("/keys/privacy/a-configured-file-counts-by-itself", test_configured_file);
        g_test_add_func("/keys/privacy/what-is-missing-is-no-finding", test_missing);
        return g_test_run();
}
