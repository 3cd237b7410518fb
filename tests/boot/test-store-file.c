/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/encode.h"
#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

typedef struct Fixture {
        char *folder;
        int root;
        HashCache *cache;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data) {
        fixture->folder = test_folder_make();
        fixture->root = open(fixture->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(fixture->root, >=, 0);
        g_assert_cmpint(hash_cache_new(&fixture->cache), ==, 0);
        test_write(fixture->folder, "nix/store/a-linux-6.1/bzImage", "kernel", -1, 0644);
}

static void tear_down(Fixture *fixture, gconstpointer data) {
        hash_cache_free(fixture->cache);
        close(fixture->root);
        test_folder_remove(fixture->folder);
}

static void open_file(Fixture *fixture, const char *path, StoreFile *file) {
        g_assert_cmpint(store_file_open(fixture->root, path, STORE_FILE_MAX_BYTES, file, NULL), ==, 0);
}

static char *hash_file(Fixture *fixture, const char *path) {
        _cleanup_(store_file_done) StoreFile file = {};
        Sha256 hash;

        open_file(fixture, path, &file);
        g_assert_cmpint(store_file_hash(&file, fixture->cache, &hash, NULL), ==, 0);
        return hex_encode((Span){hash.bytes, SHA256_SIZE});
}

static void test_open(Fixture *fixture, gconstpointer data) {
        const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
        _cleanup_(store_file_done) StoreFile file = {};
        struct stat st;

        g_assert_cmpint(utimensat(fixture->root, "nix/store/a-linux-6.1/bzImage", times, 0), ==, 0);
        g_assert_cmpint(symlinkat("/nix/store/a-linux-6.1/bzImage", fixture->root, "kernel"), ==, 0);
        open_file(fixture, "/kernel", &file);
        g_assert_cmpstr(file.identity.path, ==, "/nix/store/a-linux-6.1/bzImage");
        g_assert_cmpuint(file.identity.size, ==, 6);
        g_assert_cmpint(fstat(file.fd, &st), ==, 0);
        g_assert_cmpuint(file.identity.inode, ==, st.st_ino);
        g_assert_cmpint(file.identity.changed, ==, st.st_ctim.tv_sec);
        g_assert_cmpint(file.identity.changed_nanoseconds, ==, st.st_ctim.tv_nsec);
        g_assert_cmpint(store_file_unchanged(&file), ==, 0);
}

static void test_refused(Fixture *fixture, gconstpointer data) {
        static const struct {
                const char *path;
                const char *message;
        } cases[] = {
                {"/nix/store/absent", "Cannot open /nix/store/absent: No such file or directory"},
                {"/nix/store", "/nix/store is a folder"},
                {"/empty", "/empty is empty"},
                {"/fifo", "/fifo is no regular file"},
                {"/loop", "Cannot open /loop: Too many levels of symbolic links"},
                {"/seven", "/seven has 7 bytes, more than the 6 allowed"},
        };

        test_write(fixture->folder, "empty", "", 0, 0644);
        test_write(fixture->folder, "seven", "7 bytes", 7, 0644);
        g_assert_cmpint(mkfifoat(fixture->root, "fifo", 0644), ==, 0);
        g_assert_cmpint(symlinkat("loop", fixture->root, "loop"), ==, 0);
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(failure_done) Failure failure = {};
                StoreFile file = {};

                g_assert_cmpint(store_file_open(fixture->root, cases[i].path, 6, &file, &failure), <, 0);
                g_assert_cmpint(failure.condition, ==, CONDITION_BAD_BOOTSPEC);
                g_assert_cmpstr(failure.message, ==, cases[i].message);
                g_assert_null(file.identity.path);
        }
}

/* Sizes around the piece in which files are read. */
static void test_sizes(Fixture *fixture, gconstpointer data) {
        static const size_t sizes[] = {1, 63, 64, 1048575, 1048576, 1048577, 3145728, 3145729};

        for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
                g_autofree uint8_t *bytes = g_malloc(sizes[i]);

                for (size_t k = 0; k < sizes[i]; k++)
                        bytes[k] = k * 7 + (k >> 11);
                test_write(fixture->folder, "file", bytes, sizes[i], 0644);
                g_autofree char *expected = g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, sizes[i]);
                g_autofree char *hash = hash_file(fixture, "/file");
                g_assert_cmpstr(hash, ==, expected);
        }
}

/* Puts an entry with a wrong hash into the cache, as if the file had been hashed long after it was made: what comes
 * back tells whether the cache was asked. */
static void plant(Fixture *fixture, const char *path) {
        static const Sha256 wrong = {};
        _cleanup_(store_file_done) StoreFile file = {};

        open_file(fixture, path, &file);
        g_assert_cmpint(hash_cache_add(fixture->cache, &file.identity, &wrong, INT64_MAX), ==, 0);
}

static bool came_from_cache(const char *hash) {
        return strspn(hash, "0") == 2 * SHA256_SIZE;
}

static void test_cached(Fixture *fixture, gconstpointer data) {
        plant(fixture, "/nix/store/a-linux-6.1/bzImage");
        g_autofree char *hash = hash_file(fixture, "/nix/store/a-linux-6.1/bzImage");
        g_assert_true(came_from_cache(hash));
}

static void test_young(Fixture *fixture, gconstpointer data) {
        g_autofree char *first = hash_file(fixture, "/nix/store/a-linux-6.1/bzImage");
        _cleanup_(buffer_done) Buffer text = {};

        g_assert_cmpint(hash_cache_format(fixture->cache, &text), ==, 0);
        g_assert_cmpint(span_find(buffer_span(&text), span_from_string("bzImage"), 0, &(size_t){0}), ==, -ENOENT);
}

/* A file of the running system, made long before this test. */
static void test_settled(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int slash = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(store_file_done) StoreFile file = {};
        _cleanup_(buffer_done) Buffer text = {};
        g_autofree char *content = NULL;
        size_t size, offset;
        Sha256 hash;

        g_assert_true(g_file_get_contents("/etc/os-release", &content, &size, NULL));
        g_autofree char *expected = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (uint8_t *)content, size);
        g_assert_cmpint(store_file_open(slash, "/etc/os-release", STORE_FILE_MAX_BYTES, &file, NULL), ==, 0);
        g_assert_cmpint(store_file_hash(&file, fixture->cache, &hash, NULL), ==, 0);
        g_assert_cmpint(hash_cache_format(fixture->cache, &text), ==, 0);
        g_assert_cmpint(span_find(buffer_span(&text), span_from_string(expected), 0, &offset), ==, 0);
        g_assert_cmpint(span_find(buffer_span(&text), span_from_string(file.identity.path), 0, &offset), ==, 0);
}

/* As after a store collection: another file in the same place, of the same inode, size and mtime. Overwriting it in
 * place is the surest way to get the inode back. */
static void test_replaced(Fixture *fixture, gconstpointer data) {
        const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
        g_autofree char *path = test_path(fixture->folder, "nix/store/a-linux-6.1/bzImage");
        struct stat before, after;

        g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
        g_assert_cmpint(stat(path, &before), ==, 0);
        plant(fixture, "/nix/store/a-linux-6.1/bzImage");

        /* Until the file system's clock ticks. */
        do {
                _cleanup_(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

                g_assert_cmpint(pwrite(fd, "KERNEL", 6, 0), ==, 6);
                g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
                g_assert_cmpint(stat(path, &after), ==, 0);
        } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim)) == 0);
        g_assert_cmpuint(before.st_ino, ==, after.st_ino);
        g_assert_cmpint(before.st_size, ==, after.st_size);
        g_assert_cmpint(before.st_mtim.tv_sec, ==, after.st_mtim.tv_sec);

        g_autofree char *hash = hash_file(fixture, "/nix/store/a-linux-6.1/bzImage");
        g_autofree char *expected = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "KERNEL", -1);
        g_assert_cmpstr(hash, ==, expected);
}

static void test_changes(Fixture *fixture, gconstpointer data) {
        _cleanup_(store_file_done) StoreFile file = {}, shorter = {};
        g_autofree char *path = test_path(fixture->folder, "nix/store/a-linux-6.1/bzImage");
        _cleanup_(failure_done) Failure failure = {};
        Sha256 hash;

        open_file(fixture, "/nix/store/a-linux-6.1/bzImage", &file);
        do
                test_write(fixture->folder, "nix/store/a-linux-6.1/bzImage", "KERNEL", 6, 0644);
        while (store_file_unchanged(&file) == 0);
        g_assert_cmpint(store_file_unchanged(&file), ==, -ESTALE);
        g_assert_cmpint(store_file_hash(&file, fixture->cache, &hash, &failure), ==, -ESTALE);
        g_assert_cmpstr(failure.message, ==,
                        "/nix/store/a-linux-6.1/bzImage changed while it was read: Stale file handle");

        open_file(fixture, "/nix/store/a-linux-6.1/bzImage", &shorter);
        g_assert_cmpint(truncate(path, 2), ==, 0);
        g_assert_cmpint(store_file_hash(&shorter, fixture->cache, &hash, NULL), ==, -ESTALE);
}

/* A large file is read in pieces: hashing it must not need memory of its size. */
static void test_memory(Fixture *fixture, gconstpointer data) {
        const uint64_t size = UINT64_C(300) * 1024 * 1024;
        _cleanup_(store_file_done) StoreFile file = {};
        g_autofree char *path = test_path(fixture->folder, "large");
        struct rusage before, after;
        Sha256 hash;

        test_write(fixture->folder, "large", "x", 1, 0644);
        g_assert_cmpint(truncate(path, size), ==, 0);
        open_file(fixture, "/large", &file);
        g_assert_cmpint(getrusage(RUSAGE_SELF, &before), ==, 0);
        g_assert_cmpint(store_file_hash(&file, NULL, &hash, NULL), ==, 0);
        g_assert_cmpint(getrusage(RUSAGE_SELF, &after), ==, 0);
        g_assert_cmpint(after.ru_maxrss - before.ru_maxrss, <, 16 * 1024);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add("/boot/store-file/" name, Fixture, NULL, set_up, function, tear_down)
        TEST("is-known-by-its-real-path", test_open);
        TEST("refuses-what-is-no-whole-file", test_refused);
        TEST("hashes-any-size", test_sizes);
        TEST("asks-the-cache", test_cached);
        TEST("a-young-file-is-not-cached", test_young);
        TEST("an-older-file-is-cached", test_settled);
        TEST("a-file-replaced-in-place-is-hashed-anew", test_replaced);
        TEST("a-file-that-changes-meanwhile-is-refused", test_changes);
        TEST("a-large-file-needs-little-memory", test_memory);
        return g_test_run();
}
