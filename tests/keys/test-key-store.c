/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading a key store: what opens, what is refused and with which words. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/keys/key-store.h"
#include "daemon/util/file.h"
#include "daemon/util/macro.h"
#include "tests/keys/key-stores.h"
#include "tests/lib/test-folder.h"

static const int64_t now = 1800000000; /* 2027 */

static void test_nothing_there(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "store");
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(path);
        _cleanup_(failure_done) Failure owner = {}, signer_failure = {};
        _cleanup_(string_list_done) StringList warnings = {};
        KeyCreationPlan plan = {};
        Signer *signer;
        Guid guid;

        g_assert_cmpint(key_store_fd(store), ==, -EBADF);
        g_assert_cmpint(key_store_owner(store, &guid, &owner), <, 0);
        g_assert_cmpint(owner.condition, ==, CONDITION_NO_KEYS);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &signer_failure), <, 0);
        g_assert_cmpint(signer_failure.condition, ==, CONDITION_NO_KEYS);
        g_assert_cmpint(key_store_warnings(store, now, &warnings), ==, 0);
        g_assert_cmpuint(warnings.count, ==, 0);
        g_assert_cmpint(key_store_plan_creation(store, &plan, NULL), ==, 0);
        g_assert_true(plan.owner && plan.roles[KEY_ROLE_PK] && plan.roles[KEY_ROLE_KEK] && plan.roles[KEY_ROLE_DB]);
        g_assert_cmpint(key_store_remember(store, NULL), ==, 0);
        g_assert_false(key_store_ever_held_keys(store));
        g_assert_false(test_exists(folder, "store"));
}

static void test_opens_bundle(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        _cleanup_(key_store_freep) KeyStore *store = NULL;
        _cleanup_(string_list_done) StringList warnings = {};
        char text[GUID_TEXT_SIZE];
        Guid guid;

        test_make_folder(folder, "keys/db", 0755);
        test_make_folder(folder, "", 0755);
        store = open_key_store(folder);
        g_assert_cmpint(key_store_owner(store, &guid, NULL), ==, 0);
        guid_format(&guid, text);
        g_assert_cmpstr(text, ==, "77fa9abd-0359-4d32-bd60-28f4e78f784b");
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                _cleanup_(signer_freep) Signer *signer = NULL;
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
                g_autofree char *name = g_strdup_printf("Test %s", key_role_name(role));

                g_assert_cmpint(key_store_signer(store, role, &signer, NULL), ==, 0);
                g_assert_cmpint(key_store_certificate(store, role, &certificate, NULL), ==, 0);
                g_assert_true(certificate_equal(certificate, signer_certificate(signer)));
                g_assert_cmpstr(certificate_common_name(certificate), ==, name);
        }
        g_assert_cmpint(key_store_warnings(store, now, &warnings), ==, 0);
        g_assert_cmpuint(warnings.count, ==, 2);
        g_assert_nonnull(strstr(warnings.items[0], "chmod 0700"));
        g_assert_nonnull(strstr(warnings.items[1], "keys/db"));
}

/* How to spoil a good bundle, and what is then said of db. */
typedef struct Fault {
        const char *name;
        const char *path;       /* of the file or folder that is spoilt */
        const char *pki;        /* gets the content of this test key, */
        const char *text;       /* or this text, */
        mode_t mode;            /* and, if not 0, this mode */
        bool remove, directory; /* is removed; is replaced by a folder */
        const char *message, *hint;
} Fault;

#define KEY "keys/db/db.key"
#define CERTIFICATE "keys/db/db.pem"

static const Fault faults[] = {
        {"no-key", KEY, .remove = true, .message = "key of db is missing", .hint = "backup"},
        {"no-certificate", CERTIFICATE, .remove = true, .message = "certificate of db is missing", .hint = "backup"},
        {"key-that-a-group-may-read", KEY, .mode = 0640, .message = "Others may read", .hint = "chmod 0600"},
        {"key-that-all-may-read", KEY, .mode = 0604, .message = "(its mode is 0604)", .hint = "chmod 0600"},
        {"key-that-others-may-write", KEY, .mode = 0620, .message = "Others may write", .hint = "chmod 0600"},
        {"certificate-that-others-may-write", CERTIFICATE, .mode = 0666, .message = "write to", .hint = "chmod 0644"},
        {"folder-that-others-may-write", "keys/db", .mode = 0770, .message = "keys/db", .hint = "chmod 0700"},
        {"upper-folder-that-others-may-write", "keys", .mode = 0777, .message = "keys", .hint = "chmod 0700"},
        {"another-key", KEY, "foreign-db.key", .message = "does not belong to the certificate"},
        {"another-certificate", CERTIFICATE, "foreign-db.pem", .message = "does not belong to the certificate"},
        {"encrypted-key", KEY, "db-encrypted.key", .message = "encrypted", .hint = "openssl pkey"},
        {"encrypted-traditional-key", KEY, "db-encrypted-traditional.key", .message = "encrypted"},
        {"damaged-key", KEY, "db-damaged.key", .message = "no signature that it makes is good", .hint = "create-keys"},
        {"empty-key", KEY, .text = "", .message = "no private key", .hint = "backup"},
        {"empty-certificate", CERTIFICATE, .text = "", .message = "no certificate"},
        {"garbage-as-key", KEY, .text = "AAAA\n", .message = "no private key in PEM form", .hint = "create-keys"},
        {"truncated-key", KEY, .text = "-----BEGIN PRIVATE KEY-----\nAAAA\n",
         .message = "cannot be read: it is damaged", .hint = "create-keys"},
        {"key-whose-content-is-none", KEY,
         .text = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
         .message = "cannot be read: it is damaged", .hint = "create-keys"},
        {"truncated-encrypted-key", KEY, .text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n",
         .message = "cannot be read: it is damaged", .hint = "create-keys"},
        {"garbage-as-certificate", CERTIFICATE, .text = "\x30\x82", .message = "no certificate"},
        {"key-as-certificate", CERTIFICATE, "db.key", .message = "no certificate"},
        {"key-of-a-tpm", KEY, .text = "-----BEGIN TSS2 PRIVATE KEY-----\nMIIB\n-----END TSS2 PRIVATE KEY-----\n",
         .message = "only a TPM can use", .hint = "Directory="},
        {"key-of-a-token", KEY, .text = "{\"algorithm\": 3, \"slot\": \"signature\"}",
         .message = "only a token can use", .hint = "Directory="},
        {"certificate-as-key", KEY, "db.pem", .message = "no private key"},
        {"two-certificates", CERTIFICATE, "chain.pem", .message = "or more than one"},
        {"der-certificate", CERTIFICATE, "db.der", .message = "PEM"},
        {"folder-as-key", KEY, .directory = true, .mode = 0700, .message = "no regular file"},
};

static void spoil(const char *folder, const Fault *fault) {
        g_autofree char *full = test_path(folder, fault->path);
        g_autoptr(GBytes) bytes = fault->pki ? test_pki(fault->pki) : NULL;

        if (fault->remove || fault->directory)
                g_assert_cmpint(g_unlink(full), ==, 0);
        if (bytes)
                test_write_bytes(folder, fault->path, bytes, 0600);
        if (fault->text)
                test_write(folder, fault->path, fault->text, -1, 0600);
        if (fault->directory)
                test_make_folder(folder, fault->path, fault->mode);
        if (fault->mode)
                g_assert_cmpint(chmod(full, fault->mode), ==, 0);
}

static void test_fault(gconstpointer data) {
        const Fault *fault = data;
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        g_autofree char *path = test_path(folder, fault->path);
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(signer_freep) Signer *other = NULL;
        Signer *signer = (void *)-1;

        spoil(folder, fault);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &failure), ==, -EKEYREJECTED);
        g_assert_true(signer == (void *)-1);
        assert_bad_keys(&failure, path, fault->message, fault->hint);
        g_assert_true(key_store_ever_held_keys(store));
        if (!g_str_equal(fault->path, "keys"))
                g_assert_cmpint(key_store_signer(store, KEY_ROLE_PK, &other, NULL), ==, 0);
}

/* The words of the hint, carried out. */
static void test_lost_key(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        g_autofree char *from = test_path(folder, "keys/db"), *to = g_strconcat(from, ".old", NULL);
        g_autofree char *move = g_strdup_printf("mv '%s' '%s'", from, to), *key = test_path(folder, KEY);
        KeyStoreLocation configured = {.folder = folder, .key_files[KEY_ROLE_DB] = key};
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder), *other = NULL;
        _cleanup_(failure_done) Failure failure = {}, named = {};
        KeyCreationPlan plan;
        Signer *signer;

        test_write(folder, KEY, "garbage", -1, 0600);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &failure), <, 0);
        assert_bad_keys(&failure, key, "no private key", move);
        g_assert_cmpint(key_store_plan_creation(store, &plan, NULL), <, 0);
        g_assert_cmpint(g_rename(from, to), ==, 0);
        g_assert_cmpint(key_store_plan_creation(store, &plan, NULL), ==, 0);
        g_assert_true(plan.roles[KEY_ROLE_DB] && !plan.roles[KEY_ROLE_PK] && !plan.roles[KEY_ROLE_KEK]);

        /* create-keys makes none where the configuration names one */
        g_assert_cmpint(g_rename(to, from), ==, 0);
        g_assert_cmpint(key_store_open(&configured, &other, NULL), ==, 0);
        g_assert_cmpint(key_store_signer(other, KEY_ROLE_DB, &signer, &named), <, 0);
        assert_bad_keys(&named, key, "no private key", "name another key and its certificate in the section [Keys]");
}

/* Keys that are good as such, and that firmware need not understand. */
static void test_unsuitable_keys(void) {
        static const char *const names[] = {"db-1024", "db-ec"};

        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
                g_autofree char *key = g_strdup_printf("%s.key", names[i]), *pem = g_strdup_printf("%s.pem", names[i]);
                g_autoptr(GBytes) key_bytes = test_pki(key), pem_bytes = test_pki(pem);
                _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
                _cleanup_(failure_done) Failure failure = {};
                Signer *signer;

                test_write_bytes(folder, KEY, key_bytes, 0600);
                test_write_bytes(folder, CERTIFICATE, pem_bytes, 0600);
                g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &failure), <, 0);
                assert_bad_keys(&failure, KEY, "RSA key of 2048 to 4096 bits", NULL);
        }
}

static void test_store_others_may_write(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        KeyStoreLocation location = {.folder = folder};
        _cleanup_(failure_done) Failure failure = {};
        KeyStore *store;

        g_assert_cmpint(chmod(folder, 0775), ==, 0);
        g_assert_cmpint(key_store_open(&location, &store, &failure), <, 0);
        assert_bad_keys(&failure, folder, "write to", "chmod 0700");
}

/* Only root can give a file away; for others every file is their own or root's, and there is nothing to refuse. */
static void test_foreign_owner(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        g_autofree char *key = test_path(folder, KEY);
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(signer_freep) Signer *signer = NULL;
        bool is_root = geteuid() == 0;

        if (is_root)
                g_assert_cmpint(chown(key, 12345, 12345), ==, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &failure), ==, is_root ? -EKEYREJECTED : 0);
        if (is_root)
                assert_bad_keys(&failure, key, "12345", "chown");
}

/* Opening never waits, and never leaves the store. */
static void test_special_files(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle(), *elsewhere = make_key_bundle();
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        g_autofree char *key = test_path(folder, KEY), *target = test_path(elsewhere, KEY);
        _cleanup_(failure_done) Failure pipe = {}, link = {};
        g_autofree char *large = g_strnfill(128 * 1024, 'A');
        _cleanup_(failure_done) Failure size = {};
        Signer *signer;

        g_assert_cmpint(g_unlink(key), ==, 0);
        g_assert_cmpint(mkfifo(key, 0600), ==, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &pipe), <, 0);
        assert_bad_keys(&pipe, key, "no regular file", NULL);

        g_assert_cmpint(g_unlink(key), ==, 0);
        g_assert_cmpint(symlink(target, key), ==, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &link), <, 0);
        assert_bad_keys(&link, key, "leads out of the key store", "[Keys]");

        g_assert_cmpint(g_unlink(key), ==, 0);
        test_write(folder, KEY, large, -1, 0600);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &size), <, 0);
        assert_bad_keys(&size, key, "larger", NULL);
}

static void test_configured_files(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle(), *safe = test_folder_make();
        g_autofree char *key = test_path(safe, "anywhere.key"), *link = test_path(safe, "link");
        g_autoptr(GBytes) foreign_key = test_pki("db-4096.key"), foreign_certificate = test_pki("db-4096.pem");
        KeyStoreLocation location = {.folder = folder, .key_files[KEY_ROLE_DB] = link};
        _cleanup_(key_store_freep) KeyStore *store = NULL;
        _cleanup_(failure_done) Failure missing = {}, readable = {};
        _cleanup_(signer_freep) Signer *signer = NULL, *other = NULL;

        /* each by itself: the key is configured, the certificate is the store's; and symlinks are the owner's choice */
        g_assert_cmpint(symlink(key, link), ==, 0);
        g_assert_cmpint(key_store_open(&location, &store, NULL), ==, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &missing), <, 0);
        assert_bad_keys(&missing, link, "which the configuration names for db", "[Keys]");

        test_write_bytes(safe, "anywhere.key", foreign_key, 0644);
        test_write_bytes(folder, CERTIFICATE, foreign_certificate, 0644);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, &readable), <, 0);
        assert_bad_keys(&readable, link, "read", "chmod 0600");

        g_assert_cmpint(chmod(key, 0600), ==, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, NULL), ==, 0);
        g_assert_cmpstr(certificate_common_name(signer_certificate(signer)), ==, "Test db 4096");
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_PK, &other, NULL), ==, 0);
}

/* A tree whose links mean its own files, although the running system has files of these names too. */
static void test_tree(void) {
        _cleanup_(test_folder_cleanup) char *tree = test_folder_make(), *outside = make_key_bundle();
        g_autofree char *folder = test_path(tree, "var/lib/lanzad"), *persistent = test_path(tree, outside);
        g_autofree char *key = test_path(tree, "db.key"), *key_outside = test_path(outside, KEY);
        g_autoptr(GBytes) foreign = test_pki("db-4096.key"), foreign_certificate = test_pki("db-4096.pem");
        _cleanup_(close_fd) int root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        KeyStoreLocation location = {.tree = tree, .tree_fd = root, .folder = folder, .key_files[KEY_ROLE_DB] = key};
        _cleanup_(key_store_freep) KeyStore *store = NULL, *moved = NULL;
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(signer_freep) Signer *signer = NULL;

        test_make_folder(tree, "var/lib", 0755);
        g_assert_cmpint(symlink(outside, folder), ==, 0);
        g_assert_cmpint(symlink(key_outside, key), ==, 0);
        g_assert_cmpint(key_store_open(&location, &store, &failure), ==, 0);
        g_assert_cmpint(key_store_fd(store), ==, -EBADF);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, NULL), <, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_PK, &signer, NULL), <, 0);

        test_make_folder(tree, outside, 0700);
        test_write_bytes(persistent, KEY, foreign, 0600);
        test_write_bytes(persistent, CERTIFICATE, foreign_certificate, 0600);
        g_assert_cmpint(key_store_open(&location, &moved, NULL), ==, 0);
        g_assert_cmpint(key_store_signer(moved, KEY_ROLE_DB, &signer, NULL), ==, 0);
        g_assert_cmpstr(certificate_common_name(signer_certificate(signer)), ==, "Test db 4096");
}

static void test_expired(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        g_autoptr(GBytes) key = test_pki("db-expired.key"), certificate = test_pki("db-expired.pem");
        _cleanup_(string_list_done) StringList warnings = {}, early = {};
        _cleanup_(key_store_freep) KeyStore *store = NULL;
        _cleanup_(signer_freep) Signer *signer = NULL;

        test_make_folder(folder, "keys", 0700);
        test_write_bytes(folder, KEY, key, 0600);
        test_write_bytes(folder, CERTIFICATE, certificate, 0644);
        store = open_key_store(folder);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, NULL), ==, 0);
        g_assert_cmpint(key_store_warnings(store, now, &warnings), ==, 0);
        g_assert_cmpuint(warnings.count, ==, 1);
        g_assert_nonnull(strstr(warnings.items[0], CERTIFICATE));
        g_assert_nonnull(strstr(warnings.items[0], "expired on 2002-01-01"));
        /* in the year 2000 none of them is valid yet */
        g_assert_cmpint(key_store_warnings(store, 950000000, &early), ==, 0);
        g_assert_cmpuint(early.count, ==, 3);
        g_assert_nonnull(strstr(early.items[2], "not valid before 2001-01-01"));
}

static void test_owner(void) {
        static const struct {
                const char *text;
                int result;
        } cases[] = {
                {"77FA9ABD-0359-4D32-BD60-28F4E78F784B\n", 0},
                {"77fa9abd-0359-4d32-bd60-28f4e78f784b \r\n", 0},
                {"", -EKEYREJECTED},
                {"77fa9abd-0359-4d32-bd60-28f4e78f784", -EKEYREJECTED},
                {"77fa9abd-0359-4d32-bd60-28f4e78f784b77", -EKEYREJECTED},
                {"77fa9abd00359-4d32-bd60-28f4e78f784b", -EKEYREJECTED},
                {"77fa9abd-0359-4d32-bd60-28f4e78f784g", -EKEYREJECTED},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
                _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
                _cleanup_(failure_done) Failure failure = {};
                KeyCreationPlan plan;
                Guid guid;

                test_write(folder, "GUID", cases[i].text, -1, 0600);
                g_assert_cmpint(key_store_owner(store, &guid, &failure), ==, cases[i].result);
                if (cases[i].result < 0)
                        assert_bad_keys(&failure, "/GUID", "does not hold a GUID", NULL);
                /* in neither case is it made anew */
                g_assert_cmpint(key_store_plan_creation(store, &plan, NULL), <, 0);
        }
}

/* One pair made for real, and judged by the openssl program. */
static void test_real_keys(void) {
        static const KeyCreation creation = {.machine = "host.example", .bits = 2048, .now = 1700000000};
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        g_autofree char *key = test_path(folder, KEY), *certificate = test_path(folder, CERTIFICATE), *output = NULL;
        const char *arguments[] = {"openssl",  "x509",    "-in",    certificate, "-noout",           "-subject",
                                   "-nameopt", "rfc2253", "-dates", "-ext",      "basicConstraints", NULL};
        _cleanup_(signer_freep) Signer *signer = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(g_unlink(key), ==, 0);
        g_assert_cmpint(g_unlink(certificate), ==, 0);
        g_assert_cmpint(key_store_create(store, &creation, NULL, NULL), ==, 0);
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, NULL), ==, 0);
        g_assert_cmpstr(certificate_common_name(signer_certificate(signer)), ==, "host.example db");
        g_assert_cmpuint(certificate_key_bits(signer_certificate(signer)), ==, 2048);

        g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, NULL, &error);
        g_assert_no_error(error);
        g_assert_nonnull(strstr(output, "CN=host.example db"));
        g_assert_nonnull(strstr(output, "notBefore=Nov 14 22:13:20 2023 GMT"));
        g_assert_nonnull(strstr(output, "notAfter=Nov 14"));
        g_assert_nonnull(strstr(output, "2033 GMT"));
        g_assert_nonnull(strstr(output, "CA:TRUE"));
}

/* Whether NEEDLE, every byte of which is XORed with MASK (so that it does not find itself), is in our memory. */
static bool memory_contains(const uint8_t *needle, size_t size, uint8_t mask) {
        g_autoptr(GBytes) maps = test_read("/proc/self", "maps");
        g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(maps, NULL), "\n", 0);
        _cleanup_(close_fd) int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        static uint8_t chunk[64 * 1024];

        for (char **line = lines; *line; line++) {
                unsigned long from, to;
                char mode[5];

                if (sscanf(*line, "%lx-%lx %4s", &from, &to, mode) != 3 || !g_str_has_prefix(mode, "rw"))
                        continue;
                if (to - from > 1UL << 30) /* the sanitizer's shadow: no content of ours, and terabytes */
                        continue;
                for (unsigned long at = from; at < to; at += sizeof(chunk) - 64) {
                        ssize_t n = pread(fd, chunk, MIN(sizeof(chunk), to - at), at);

                        if (n <= 0 || (at <= (uintptr_t)chunk + sizeof(chunk) && at + n >= (uintptr_t)chunk))
                                break;
                        for (ssize_t i = 0; i + (ssize_t)size <= n; i++) {
                                size_t k = 0;

                                while (k < size && chunk[i + k] == (needle[k] ^ mask))
                                        k++;
                                if (k == size)
                                        return true;
                        }
                        memset(chunk, 0, sizeof(chunk));
                }
        }
        return false;
}

/* The text of the key that is read must be nowhere in memory afterwards. The file is made by another process, so that
 * nothing but the store ever brings it here. */
static void test_wiped(void) {
        _cleanup_(test_folder_cleanup) char *folder = make_key_bundle();
        g_autofree char *key = test_path(folder, KEY);
        g_autofree char *certificate = test_path(folder, CERTIFICATE);
        const char *make[] = {"openssl",   "req",     "-x509", "-newkey", "rsa:2048",  "-nodes", "-subj",
                              "/CN=wiped", "-keyout", key,     "-out",    certificate, NULL};
        _cleanup_(key_store_freep) KeyStore *store = open_key_store(folder);
        _cleanup_(close_fd) int fd = -EBADF;
        uint8_t needle[48];
        g_autoptr(GError) error = NULL;
        int status;

        g_assert_cmpint(g_unlink(key), ==, 0);
        g_spawn_sync(NULL, (char **)make, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL,
                     NULL, &status, &error);
        g_assert_no_error(error);
        g_assert_cmpint(status, ==, 0);
        g_assert_cmpint(chmod(key, 0600), ==, 0);
        fd = open(key, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(pread(fd, needle, sizeof(needle), 200), ==, sizeof(needle));
        g_assert_true(memory_contains(needle, sizeof(needle), 0)); /* the search finds what is there: the needle */
        for (size_t i = 0; i < sizeof(needle); i++)
                needle[i] ^= 0x5a;

        Signer *signer;
        g_assert_cmpint(key_store_signer(store, KEY_ROLE_DB, &signer, NULL), ==, 0);
        g_assert_false(memory_contains(needle, sizeof(needle), 0x5a));
        signer_free(signer);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/keys/store/that-is-not-there-holds-nothing-and-is-not-made", test_nothing_there);
        g_test_add_func("/keys/store/opens-the-layout-of-other-tools", test_opens_bundle);
        for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
                g_autofree char *name = g_strdup_printf("/keys/store/refuses/%s", faults[i].name);

                g_test_add_data_func(name, &faults[i], test_fault);
        }
        g_test_add_func("/keys/store/a-lost-key-is-replaced-as-its-hint-says", test_lost_key);
        g_test_add_func("/keys/store/refuses/keys-that-firmware-need-not-accept", test_unsuitable_keys);
        g_test_add_func("/keys/store/refuses/a-store-that-others-may-write", test_store_others_may_write);
        g_test_add_func("/keys/store/refuses/a-key-of-another-user", test_foreign_owner);
        g_test_add_func("/keys/store/refuses/what-is-no-file-of-the-store", test_special_files);
        g_test_add_func("/keys/store/takes-each-configured-file-by-itself", test_configured_files);
        g_test_add_func("/keys/store/links-of-a-tree-lead-to-its-own-files", test_tree);
        g_test_add_func("/keys/store/warns-of-expired-certificates-and-uses-them", test_expired);
        g_test_add_func("/keys/store/reads-the-owner-in-any-usual-form", test_owner);
        g_test_add_func("/keys/store/makes-keys-that-openssl-reads-as-promised", test_real_keys);
        g_test_add_func("/keys/store/leaves-no-private-key-in-memory", test_wiped);
        return g_test_run();
}
