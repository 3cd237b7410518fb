/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Key stores for tests, and what is said of bad ones. */

#include <glib.h>
#include <string.h>

#include "daemon/keys/key-store.h"
#include "tests/lib/test-folder.h"

/* A store as sbctl leaves it: folders that all may look into, keys that nobody may write. */
static inline char *make_key_bundle(void) {
        char *folder = test_folder_make();

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                const char *name = key_role_name(role);
                g_autofree char *key = g_strdup_printf("%s.key", name), *certificate = g_strdup_printf("%s.pem", name);
                g_autofree char *key_path = g_strdup_printf("keys/%s/%s", name, key);
                g_autofree char *certificate_path = g_strdup_printf("keys/%s/%s", name, certificate);
                g_autoptr(GBytes) key_bytes = test_pki(key), certificate_bytes = test_pki(certificate);

                test_write_bytes(folder, key_path, key_bytes, 0400);
                test_write_bytes(folder, certificate_path, certificate_bytes, 0400);
        }
        test_write(folder, "GUID", "77fa9abd-0359-4d32-bd60-28f4e78f784b", -1, 0600);
        return folder;
}

static inline KeyStore *open_key_store(const char *folder) {
        KeyStoreLocation location = {.folder = folder};
        _cleanup_(failure_done) Failure failure = {};
        KeyStore *store = NULL;

        key_store_open(&location, &store, &failure);
        g_assert_cmpstr(failure.message, ==, NULL);
        return store;
}

static inline void assert_bad_keys(const Failure *failure, const char *path, const char *message, const char *hint) {
        g_assert_nonnull(failure->message);
        g_assert_cmpint(failure->condition, ==, CONDITION_BAD_KEYS);
        if (!strstr(failure->message, message) || !strstr(failure->message, path))
                g_error("'%s' does not say '%s' of %s", failure->message, message, path);
        if (hint && !strstr(failure_hint(failure), hint))
                g_error("'%s' does not say '%s'", failure_hint(failure), hint);
}
