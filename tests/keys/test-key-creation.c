/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Making keys: what is made, what is never touched, and what a cut at each instant leaves. Generating RSA keys takes
 * long, so this program brings its own key_pair_generate(), which hands out ready ones: the linker prefers it. */

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon/crypto/key-pair.h"
#include "daemon/keys/key-store.h"
#include "daemon/util/macro.h"
#include "tests/lib/cut.h"
#include "tests/lib/test-folder.h"

static const KeyCreation creation = {.machine = "machine", .bits = 2048, .now = 1700000000};

static GBytes *ready_keys[KEY_ROLE_COUNT], *ready_certificates[KEY_ROLE_COUNT];
static KeyPairRequest requests[KEY_ROLE_COUNT];
static char *requested_names[KEY_ROLE_COUNT];

static void load_ready_keys(void) {
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                g_autofree char *key = g_strdup_printf("%s.key", key_role_name(role));
                g_autofree char *certificate = g_strdup_printf("%s.pem", key_role_name(role));

                ready_keys[role] = test_pki(key);
                ready_certificates[role] = test_pki(certificate);
        }
}

static int append_bytes(Buffer *buffer, GBytes *bytes) {
        size_t size;
        const void *data = g_bytes_get_data(bytes, &size);

        return buffer_append(buffer, (Span){data, size});
}

int key_pair_generate(const KeyPairRequest *request, Buffer *ret_key, Buffer *ret_certificate) {
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                g_autofree char *end = g_strdup_printf(" %s", key_role_name(role));

                if (!g_str_has_suffix(request->common_name, end))
                        continue;
                g_free(requested_names[role]);
                requested_names[role] = g_strdup(request->common_name);
                requests[role] = *request;
                *ret_key = *ret_certificate = (Buffer){};
                append_bytes(ret_key, ready_keys[role]);
                return append_bytes(ret_certificate, ready_certificates[role]);
        }
        return -EINVAL;
}

static KeyStore *open_store(const char *folder) {
        KeyStoreLocation location = {.folder = folder};
        KeyStore *store;

        g_assert_cmpint(key_store_open(&location, &store, NULL), ==, 0);
        return store;
}

static void assert_signs(KeyStore *store, KeyRole role) {
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(signer_freep) Signer *signer = NULL;

        key_store_signer(store, role, &signer, &failure);
        g_assert_cmpstr(failure.message, ==, NULL);
        g_assert_nonnull(signer);
}

static void assert_mode(const char *folder, const char *path, mode_t mode) {
        g_autofree char *full = test_path(folder, path);
        struct stat st;

        g_assert_cmpint(lstat(full, &st), ==, 0);
        g_assert_cmphex(st.st_mode & 07777, ==, mode);
}

static void test_makes_everything(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "var/lib/lanzad"), *listing = NULL;
        _cleanup_(key_store_freep) KeyStore *store = open_store(path);
        _cleanup_(failure_done) Failure failure = {};
        KeyCreationPlan made = {};
        Guid owner;

        g_assert_cmpint(key_store_create(store, &creation, &made, &failure), ==, 0);
        g_assert_true(made.owner && made.roles[KEY_ROLE_PK] && made.roles[KEY_ROLE_KEK] && made.roles[KEY_ROLE_DB]);
        g_assert_cmpint(key_store_owner(store, &owner, NULL), ==, 0);
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                assert_signs(store, role);
        assert_mode(folder, "var", 0755);
        assert_mode(path, "", 0700);
        assert_mode(path, "keys", 0700);
        assert_mode(path, "keys/db", 0700);
        assert_mode(path, "keys/db/db.key", 0600);
        assert_mode(path, "keys/PK/PK.key", 0600);
        assert_mode(path, "keys/KEK/KEK.key", 0600);
        listing = test_listing(path);
        g_assert_null(strstr(listing, "new"));
        g_assert_true(key_store_ever_held_keys(store));
}

static void test_asks_for_proper_certificates(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
        KeyCreation large = creation;

        large.bits = 4096;
        g_assert_cmpint(key_store_create(store, &large, NULL, NULL), ==, 0);
        g_assert_cmpuint(requests[KEY_ROLE_PK].bits, ==, 2048);
        g_assert_cmpuint(requests[KEY_ROLE_KEK].bits, ==, 2048);
        g_assert_cmpuint(requests[KEY_ROLE_DB].bits, ==, 4096);
        g_assert_cmpuint(requests[KEY_ROLE_DB].years, ==, 10);
        g_assert_cmpint(requests[KEY_ROLE_DB].not_before, ==, creation.now);
        g_assert_cmpstr(requested_names[KEY_ROLE_PK], ==, "machine PK");
        g_assert_cmpstr(requested_names[KEY_ROLE_DB], ==, "machine db");
}

static void test_common_names(void) {
        static const struct {
                const char *machine, *name;
        } cases[] = {
                {NULL, "lanza db"},
                {"", "lanza db"},
                {"host.example", "host.example db"},
                {"DO NOT TRUST - Test", "lanza db"},
                {"my do not ship box", "lanza db"},
                {"bell\a", "lanza db"},
                {"\xff", "lanza db"},
                {"größe", "größe db"},
                /* 60 bytes are left of the 64; the last character that fits only in part goes */
                {"0123456789012345678901234567890123456789012345678901234567890123456789",
                 "012345678901234567890123456789012345678901234567890123456789 db"},
                {"01234567890123456789012345678901234567890123456789012345678ß9",
                 "01234567890123456789012345678901234567890123456789012345678 db"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
                KeyCreation request = creation;

                request.machine = cases[i].machine;
                g_assert_cmpint(key_store_create(store, &request, NULL, NULL), ==, 0);
                g_assert_cmpstr(requested_names[KEY_ROLE_DB], ==, cases[i].name);
        }
}

static void test_keeps_what_is_there(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
        _cleanup_(failure_done) Failure failure = {};
        g_autoptr(GBytes) key = test_pki("foreign-KEK.key"), certificate = test_pki("foreign-KEK.pem"), after = NULL;
        KeyCreationPlan made = {};

        test_write(folder, "GUID", "77fa9abd-0359-4d32-bd60-28f4e78f784b\n", -1, 0600);
        test_write_bytes(folder, "keys/KEK/KEK.key", key, 0600);
        test_write_bytes(folder, "keys/KEK/KEK.pem", certificate, 0644);
        test_make_folder(folder, "keys/db", 0700);
        g_assert_cmpint(key_store_create(store, &creation, &made, &failure), ==, 0);
        g_assert_true(!made.owner && made.roles[KEY_ROLE_PK] && !made.roles[KEY_ROLE_KEK] && made.roles[KEY_ROLE_DB]);
        after = test_read(folder, "keys/KEK/KEK.key");
        g_assert_true(g_bytes_equal(key, after));
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                assert_signs(store, role);
        g_assert_false(test_exists(folder, ".new"));

        g_assert_cmpint(key_store_create(store, &creation, NULL, &failure), <, 0);
        g_assert_cmpint(failure.condition, ==, CONDITION_KEYS_EXIST);
}

/* Half a pair, or something else in its place, stops everything, and nothing changes. */
static void test_never_replaces(void) {
        static const char *const obstacles[] = {"keys/db/db.key", "keys/PK/PK.pem", "keys/KEK/note", "keys"};

        for (size_t i = 0; i < ARRAY_LENGTH(obstacles); i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
                _cleanup_(failure_done) Failure failure = {};
                g_autofree char *before = NULL, *after = NULL;

                test_write(folder, obstacles[i], "mine", -1, 0600);
                before = test_listing(folder);
                g_assert_cmpint(key_store_create(store, &creation, NULL, &failure), <, 0);
                if (strchr(obstacles[i], '/'))
                        g_assert_cmpint(failure.condition, ==, CONDITION_BAD_KEYS);
                g_assert_nonnull(strstr(failure.message, folder));
                after = test_listing(folder);
                g_assert_cmpstr(before, ==, after);
        }
}

static void test_configured_roles_are_not_made(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autoptr(GBytes) key = test_pki("PK.key"), certificate = test_pki("PK.pem");
        g_autofree char *key_path = test_path(folder, "safe/PK.key");
        g_autofree char *certificate_path = test_path(folder, "safe/PK.pem"), *store_path = test_path(folder, "store");
        KeyStoreLocation location = {
                .folder = store_path,
                .key_files[KEY_ROLE_PK] = key_path,
                .certificate_files[KEY_ROLE_PK] = certificate_path,
        };
        _cleanup_(key_store_freep) KeyStore *store = NULL;
        _cleanup_(failure_done) Failure failure = {};
        KeyCreationPlan made = {};

        g_assert_cmpint(key_store_open(&location, &store, NULL), ==, 0);
        g_assert_cmpint(key_store_create(store, &creation, NULL, &failure), <, 0);
        g_assert_cmpint(failure.condition, ==, CONDITION_BAD_KEYS);
        g_assert_nonnull(strstr(failure.message, key_path));
        g_assert_false(test_exists(folder, "store"));

        test_write_bytes(folder, "safe/PK.key", key, 0600);
        test_write_bytes(folder, "safe/PK.pem", certificate, 0644);
        g_assert_cmpint(key_store_create(store, &creation, &made, NULL), ==, 0);
        g_assert_false(made.roles[KEY_ROLE_PK]);
        g_assert_false(test_exists(folder, "store/keys/PK"));
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                assert_signs(store, role);
}

static void test_failed_write(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
        _cleanup_(failure_done) Failure failure = {};
        g_autofree char *listing = NULL;
        struct rlimit limit, small;
        void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

        g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
        small = (struct rlimit){.rlim_cur = 1000, .rlim_max = limit.rlim_max};
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
        int r = key_store_create(store, &creation, NULL, &failure);
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
        signal(SIGXFSZ, handler);

        g_assert_cmpint(r, ==, -EFBIG);
        g_assert_nonnull(strstr(failure.message, folder));
        listing = test_listing(folder);
        g_assert_cmpstr(listing, ==, "GUID");
        g_assert_cmpint(key_store_create(store, &creation, NULL, NULL), ==, 0);
}

/* Begins from what PREPARE makes of an empty folder, and makes keys in it. */
typedef struct Scene {
        const char *name;
        bool has_guid, has_kek, has_empty_folder, has_remains;
} Scene;

static const Scene scenes[] = {
        {.name = "nothing"},
        {.name = "a store with KEK", .has_guid = true, .has_kek = true},
        {.name = "a store with an empty folder", .has_kek = true, .has_empty_folder = true},
        {.name = "remains of a run", .has_guid = true, .has_remains = true},
};

static void prepare(const char *folder, const Scene *scene) {
        if (scene->has_guid)
                test_write(folder, "store/GUID", "77fa9abd-0359-4d32-bd60-28f4e78f784b", -1, 0600);
        if (scene->has_kek) {
                test_write_bytes(folder, "store/keys/KEK/KEK.key", ready_keys[KEY_ROLE_KEK], 0600);
                test_write_bytes(folder, "store/keys/KEK/KEK.pem", ready_certificates[KEY_ROLE_KEK], 0644);
        }
        if (scene->has_empty_folder)
                test_make_folder(folder, "store/keys/PK", 0700);
        if (scene->has_remains)
                test_write(folder, "store/.new/PK/PK.key", "half", -1, 0600);
}

static int create_in_child(void *userdata) {
        _cleanup_(key_store_freep) KeyStore *store = open_store(userdata);

        return key_store_create(store, &creation, NULL, NULL);
}

/* Nothing, or the GUID, or the GUID and complete pairs. */
static void assert_nothing_half_made(KeyStore *store, const Scene *scene) {
        bool has_owner;
        Guid guid;

        has_owner = key_store_owner(store, &guid, NULL) == 0;
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                _cleanup_(failure_done) Failure failure = {};
                _cleanup_(signer_freep) Signer *signer = NULL;

                if (key_store_signer(store, role, &signer, &failure) < 0)
                        g_assert_cmpint(failure.condition, ==, CONDITION_NO_KEYS);
                else
                        g_assert_true(has_owner || (scene->has_kek && role == KEY_ROLE_KEK));
        }
}

static void finish_after_cut(const char *path, const Scene *scene) {
        _cleanup_(key_store_freep) KeyStore *store = open_store(path);
        _cleanup_(failure_done) Failure failure = {};
        g_autofree char *listing = NULL;

        assert_nothing_half_made(store, scene);
        if (key_store_create(store, &creation, NULL, &failure) < 0)
                g_assert_cmpint(failure.condition, ==, CONDITION_KEYS_EXIST);
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                assert_signs(store, role);
        g_assert_cmpint(key_store_remember(store, NULL), ==, 0);
        listing = test_listing(path);
        g_assert_null(strstr(listing, ".new/"));
}

static void test_cuts(void) {
        for (size_t i = 0; i < ARRAY_LENGTH(scenes); i++) {
                bool was_cut = true;
                int n = 0;

                for (; was_cut; n++) {
                        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                        g_autofree char *path = test_path(folder, "store");

                        prepare(folder, &scenes[i]);
                        was_cut = cut_before(create_in_child, path, n, NULL);
                        finish_after_cut(path, &scenes[i]);
                }
                g_test_message("%s: %i cuts", scenes[i].name, n - 1);
                g_assert_cmpint(n, >, 20);
        }
}

static void test_durable(void) {
        for (size_t i = 0; i < ARRAY_LENGTH(scenes); i++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                g_autoptr(GPtrArray) log = g_ptr_array_new_with_free_func(g_free);
                g_autofree char *path = test_path(folder, "store"), *fault = NULL;

                prepare(folder, &scenes[i]);
                g_assert_false(cut_before(create_in_child, path, CUT_NEVER, log));
                fault = cut_log_check_durable(log);
                g_assert_cmpstr(fault, ==, NULL);
        }
}

static int stamp_in_child(void *userdata) {
        _cleanup_(key_store_freep) KeyStore *store = open_store(userdata);
        int64_t timestamp;

        return key_store_next_timestamp(store, 2000, &timestamp, NULL);
}

/* Wherever recording a timestamp is cut, the next one is newer than the last that any caller saw. */
static void test_cut_timestamp(void) {
        bool was_cut = true;

        for (int n = 0; was_cut; n++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                g_autoptr(GPtrArray) log = g_ptr_array_new_with_free_func(g_free);
                _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
                g_autofree char *fault = NULL;
                int64_t first, next;

                g_assert_cmpint(key_store_next_timestamp(store, 1000, &first, NULL), ==, 0);
                was_cut = cut_before(stamp_in_child, folder, n, log);
                g_assert_cmpint(key_store_next_timestamp(store, 0, &next, NULL), ==, 0);
                g_assert_cmpint(next, >, was_cut ? first : 2000);
                fault = was_cut ? NULL : cut_log_check_durable(log);
                g_assert_cmpstr(fault, ==, NULL);
        }
}

/* --- Calls that fail ------------------------------------------------------------------------------------------ */

/* The linker lets whoever calls fsync() call __wrap_fsync(), and so on (tests/build.mk). */
int __real_fsync(int fd);
int __real_fchmod(int fd, mode_t mode);
int __real_fstat(int fd, struct stat *st);
int __real_fstatat(int dir, const char *path, struct stat *st, int flags);
int __real_mkdirat(int dir, const char *path, mode_t mode);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
ssize_t __real_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstatat(int dir, const char *path, struct stat *st, int flags);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static unsigned calls, failing_call; /* the one that fails, counted from 1; 0: none */

static int fails(void) {
        if (++calls != failing_call)
                return 0;
        errno = EIO;
        return -1;
}

int __wrap_fsync(int fd) {
        return fails() ?: __real_fsync(fd);
}

int __wrap_fchmod(int fd, mode_t mode) {
        return fails() ?: __real_fchmod(fd, mode);
}

int __wrap_fstat(int fd, struct stat *st) {
        return fails() ?: __real_fstat(fd, st);
}

int __wrap_fstatat(int dir, const char *path, struct stat *st, int flags) {
        return fails() ?: __real_fstatat(dir, path, st, flags);
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode) {
        return fails() ?: __real_mkdirat(dir, path, mode);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to) {
        return fails() ?: __real_renameat(from_dir, from, to_dir, to);
}

ssize_t __wrap_write(int fd, const void *data, size_t size) {
        return fails() ?: __real_write(fd, data, size);
}

static void begin_failing(unsigned number) {
        calls = 0;
        failing_call = number;
}

/* Whether there was such a call. */
static bool end_failing(void) {
        bool failed = failing_call > 0 && calls >= failing_call;

        failing_call = 0;
        return failed;
}

static void assert_says_why(int r, const Failure *failure) {
        g_assert_cmpint(r, <, 0);
        g_assert_nonnull(failure->message);
        g_assert_nonnull(strstr(failure->message, "Input/output error"));
}

/* Each line of BEFORE that tells of a file of a role's is one of AFTER. */
static void assert_nothing_lost(const char *before, const char *after) {
        g_auto(GStrv) old = g_strsplit(before, "\n", -1), new = g_strsplit(after, "\n", -1);

        for (size_t i = 0; old[i]; i++)
                if (strstr(old[i], "keys/") || strstr(old[i], "GUID ") || strstr(old[i], "held/"))
                        g_assert_true(g_strv_contains((const char *const *)new, old[i]));
}

/* Makes what PATH lacks, with one call that fails; then again. Returns whether there was such a call. */
static bool create_with_failure(const char *path, unsigned number) {
        _cleanup_(key_store_freep) KeyStore *store = open_store(path), *again = NULL;
        _cleanup_(failure_done) Failure failure = {}, second = {};
        g_autofree char *between = NULL, *after = NULL;
        bool failed;
        int r;

        begin_failing(number);
        r = key_store_create(store, &creation, NULL, &failure);
        failed = end_failing();
        if (failed)
                assert_says_why(r, &failure);
        else
                g_assert_cmpint(r, ==, 0);
        between = test_listing(path);
        again = open_store(path);
        r = key_store_create(again, &creation, NULL, &second);
        if (r < 0)
                g_assert_cmpint(second.condition, ==, CONDITION_KEYS_EXIST);
        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                assert_signs(again, role);
        after = test_listing(path);
        g_assert_null(strstr(after, "new"));
        assert_nothing_lost(between, after);
        return failed;
}

static void test_failing_calls(void) {
        unsigned count = 0;
        bool failed = true;

        while (failed) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();

                failed = create_with_failure(folder, ++count);
        }
        g_test_message("%u calls", count - 1);
        g_assert_cmpuint(count, >, 30);
}

/* A time that was handed out is never handed out again, whatever became of recording the next one. */
static void test_timestamp_failing_calls(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(key_store_freep) KeyStore *store = open_store(folder);
        int64_t last, next;
        bool failed = true;

        g_assert_cmpint(key_store_next_timestamp(store, 1000, &last, NULL), ==, 0);
        for (unsigned number = 1; failed; number++) {
                _cleanup_(failure_done) Failure failure = {};
                int r;

                begin_failing(number);
                r = key_store_next_timestamp(store, 1000, &next, &failure);
                failed = end_failing();
                if (failed)
                        assert_says_why(r, &failure);
                else
                        g_assert_cmpint(r, ==, 0);
                g_assert_cmpint(key_store_next_timestamp(store, 1000, &next, NULL), ==, 0);
                g_assert_cmpint(next, >, last);
                last = next;
        }
        g_assert_cmpint(last, >, 1000 + 5);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        load_ready_keys();
        g_test_add_func("/keys/creation/makes-owner-and-three-pairs-for-root-only", test_makes_everything);
        g_test_add_func("/keys/creation/asks-for-what-firmware-must-accept", test_asks_for_proper_certificates);
        g_test_add_func("/keys/creation/names-machine-and-role-and-never-a-test-key", test_common_names);
        g_test_add_func("/keys/creation/keeps-what-is-there", test_keeps_what_is_there);
        g_test_add_func("/keys/creation/never-replaces-half-a-pair", test_never_replaces);
        g_test_add_func("/keys/creation/leaves-configured-roles-alone", test_configured_roles_are_not_made);
        g_test_add_func("/keys/creation/cleans-up-when-a-write-fails", test_failed_write);
        g_test_add_func("/keys/creation/whatever-call-fails-is-told-and-the-next-run-finishes", test_failing_calls);
        g_test_add_func("/keys/creation/a-cut-leaves-whole-pairs-and-the-next-run-finishes", test_cuts);
        g_test_add_func("/keys/creation/is-durable-before-it-is-visible", test_durable);
        g_test_add_func("/keys/timestamp/whatever-call-fails-none-comes-twice", test_timestamp_failing_calls);
        g_test_add_func("/keys/timestamp/a-cut-never-brings-an-old-one-back", test_cut_timestamp);
        return g_test_run();
}
