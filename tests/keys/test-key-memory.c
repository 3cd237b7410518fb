/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a key store remembers: the last time that it signed for, and the certificates that it once held. */

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/keys/key-store.h"
#include "daemon/util/macro.h"
#include "tests/keys/key-stores.h"
#include "tests/lib/test-folder.h"

static void test_timestamps(void) {
        static const struct {
                int64_t now, expected;
        } steps[] = {
                {1000, 1000}, {1000, 1001}, {1001, 1002}, {5000, 5000}, {10, 5001}, {-7, 5002}, {5003, 5003},
        };
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();

        for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
                _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
                int64_t timestamp;

                g_assert_cmpint(key_store_next_timestamp(store, steps[i].now, &timestamp, NULL), ==, 0);
                g_assert_cmpint(timestamp, ==, steps[i].expected);
        }
}

static void test_bad_timestamps(void) {
        static const char *const texts[] = {"", "\n", "yesterday", "12 ", "-5", "99999999999999999999999", "1.5"};

        for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
                _cleanup_(failure_done) Failure failure = {};
                int64_t timestamp = 42;

                test_write(folder, "timestamp", texts[i], -1, 0600);
                g_assert_cmpint(key_store_next_timestamp(store, 1000, &timestamp, &failure), <, 0);
                assert_bad_keys(&failure, "/timestamp", "seconds since 1970", "Delete it");
                g_assert_cmpint(timestamp, ==, 42);
        }
}

static void test_last_timestamp(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        _cleanup_(failure_done) Failure failure = {};
        int64_t timestamp;

        test_write(folder, "timestamp", "253402300798\n", -1, 0600);
        g_assert_cmpint(key_store_next_timestamp(store, 1000, &timestamp, NULL), ==, 0);
        g_assert_cmpint(timestamp, ==, INT64_C(253402300799));
        g_assert_cmpint(key_store_next_timestamp(store, 1000, &timestamp, &failure), <, 0);
        g_assert_nonnull(strstr(failure.message, "9999"));
}

static Certificate *load_certificate(const char *name) {
        g_autoptr(GBytes) der = test_pki(name);
        Certificate *certificate;
        size_t size;
        const void *data = g_bytes_get_data(der, &size);

        g_assert_cmpint(certificate_from_der((Span){data, size}, &certificate), ==, 0);
        return certificate;
}

static void test_remembers(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        _cleanup_(certificate_unrefp) Certificate *db = load_certificate("db.der");
        _cleanup_(certificate_unrefp) Certificate *foreign = load_certificate("foreign-db.der");
        g_autofree char *keys = test_path(folder, "keys"), *gone = test_path(folder, "gone");
        g_autofree char *held = test_path(folder, "held"), *listing = NULL;
        g_auto(GStrv) names = NULL;
        struct stat before, after;

        /* what is there counts, recorded or not */
        g_assert_cmpint(key_store_has_held(store, db), ==, 1);
        g_assert_cmpint(key_store_has_held(store, foreign), ==, 0);
        g_assert_cmpint(key_store_remember(store, NULL), ==, 0);
        listing = test_listing(held);
        names = g_strsplit(listing, "\n", 0);
        g_assert_cmpuint(g_strv_length(names), ==, 3);

        /* a second time writes nothing */
        g_assert_cmpint(stat(held, &before), ==, 0);
        g_assert_cmpint(key_store_remember(store, NULL), ==, 0);
        g_assert_cmpint(stat(held, &after), ==, 0);
        g_assert_cmpint(memcmp(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim)), ==, 0);

        /* keys that are gone are not forgotten */
        g_assert_cmpint(rename(keys, gone), ==, 0);
        g_assert_cmpint(key_store_has_held(store, db), ==, 1);
        g_assert_cmpint(key_store_has_held(store, foreign), ==, 0);
        g_assert_true(key_store_ever_held_keys(store));
}

static void test_ever_held(void) {
        static const char *const evidence[] = {"keys/db/db.pem", "keys/PK/PK.key", "held/anything", "held"};
        _cleanup_(test_folder_cleanup) char *empty = test_folder_make();
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(empty), *configured = NULL;
        KeyStoreLocation location = {.folder = empty, .key_files[KEY_ROLE_DB] = "/nonexistent"};

        test_write(empty, "GUID", "half", -1, 0600);
        test_write(empty, "keys/db/README", "", -1, 0600);
        test_make_folder(empty, "held", 0700);
        g_assert_false(key_store_ever_held_keys(store));
        g_assert_cmpint(key_store_open(&location, &configured, NULL), ==, 0);
        g_assert_true(key_store_ever_held_keys(configured));

        for (size_t i = 0; i < ARRAY_LENGTH(evidence); i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                _cleanup_(key_store_freep) KeyStore *other = open_key_store(folder);

                test_write(folder, evidence[i], "", -1, 0600);
                g_assert_true(key_store_ever_held_keys(other));
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/keys/timestamp/grows-whatever-the-clock-does", test_timestamps);
        g_test_add_func("/keys/timestamp/is-not-guessed-from-a-damaged-record", test_bad_timestamps);
        g_test_add_func("/keys/timestamp/ends-with-the-year-9999", test_last_timestamp);
        g_test_add_func("/keys/memory/keeps-certificates-whose-keys-are-gone", test_remembers);
        g_test_add_func("/keys/memory/tells-a-store-that-never-held-keys", test_ever_held);
        return g_test_run();
}
