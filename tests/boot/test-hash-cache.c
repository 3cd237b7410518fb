/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/hash-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

/* Long after every ctime that tests use. */
#define LATER 2000000000

static const FileIdentity kernel = {(char *)"/nix/store/a-linux/bzImage", 1, 2, 3, 1000, 4};
static const FileIdentity initrd = {(char *)"/nix/store/b-initrd/initrd", 1, 5, 6, 1000, 0};
static const Sha256 hash = {{1, 2, 3}}, other_hash = {{4, 5, 6}};

static HashCache *new_cache(void) {
        HashCache *cache;

        g_assert_cmpint(hash_cache_new(&cache), ==, 0);
        return cache;
}

static void add(HashCache *cache, const FileIdentity *identity, const Sha256 *value) {
        g_assert_cmpint(hash_cache_add(cache, identity, value, LATER), ==, 0);
}

static bool knows(HashCache *cache, const FileIdentity *identity, const Sha256 *value) {
        Sha256 found;

        return hash_cache_find(cache, identity, &found) && sha256_equal(&found, value);
}

static int open_folder(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        return fd;
}

static HashCache *load(int folder) {
        HashCache *cache;

        g_assert_cmpint(hash_cache_load(folder, &cache), ==, 0);
        return cache;
}

static void test_find(void) {
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();

        g_assert_false(knows(cache, &kernel, &hash));
        add(cache, &kernel, &hash);
        add(cache, &initrd, &other_hash);
        g_assert_true(knows(cache, &kernel, &hash));
        g_assert_true(knows(cache, &initrd, &other_hash));
        hash_cache_forget(cache, kernel.path);
        hash_cache_forget(cache, "/nix/store/absent");
        g_assert_false(knows(cache, &kernel, &hash));
        g_assert_true(knows(cache, &initrd, &other_hash));
}

/* Whatever of its identity differs, it is another file. */
static void test_identity(void) {
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();

        add(cache, &kernel, &hash);
        for (unsigned change = 0; change < 6; change++) {
                FileIdentity changed = kernel;

                switch (change) {
                case 0:
                        changed.path = (char *)"/nix/store/a-linux/bzImag";
                        break;
                case 1:
                        changed.device++;
                        break;
                case 2:
                        changed.inode++;
                        break;
                case 3:
                        changed.size++;
                        break;
                case 4:
                        changed.changed++;
                        break;
                case 5:
                        changed.changed_nanoseconds++;
                        break;
                }
                g_assert_false(knows(cache, &changed, &hash));
                g_assert_false(file_identity_equal(&changed, &kernel));
        }
        g_assert_true(knows(cache, &kernel, &hash));
}

static void test_replace(void) {
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();
        FileIdentity newer = kernel;

        newer.changed++;
        add(cache, &kernel, &hash);
        add(cache, &newer, &other_hash);
        g_assert_false(knows(cache, &kernel, &hash));
        g_assert_true(knows(cache, &newer, &other_hash));
}

static void test_young(void) {
        static const struct {
                int64_t changed, now;
                bool remembered;
        } cases[] = {
                {1000, 1000, false},           {1000, 1001, false},      {1000, 1002, true}, {1000, 999, false},
                {1000, INT64_MAX, true},       {-5, 1000, false},        {0, 1000, true},    {INT64_MAX, 1000, false},
                {INT64_MAX, INT64_MIN, false}, {INT64_MIN, 1000, false},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(hash_cache_freep) HashCache *cache = new_cache();
                FileIdentity identity = kernel;

                identity.changed = cases[i].changed;
                g_assert_cmpint(hash_cache_add(cache, &identity, &hash, cases[i].now), ==, 0);
                g_assert_cmpint(knows(cache, &identity, &hash), ==, cases[i].remembered);
        }
}

/* A young file's old hash is not kept either. */
static void test_young_again(void) {
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();
        FileIdentity newer = kernel;

        newer.changed = LATER;
        add(cache, &kernel, &hash);
        add(cache, &newer, &other_hash);
        g_assert_false(knows(cache, &newer, &other_hash));
}

static void test_odd_paths(void) {
        static const char *const odd[] = {"/nix/store/a\nb", "/nix/store/\xff", "/nix/store/\x01"};
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();
        FileIdentity identity = kernel;

        for (size_t i = 0; i < ARRAY_LENGTH(odd); i++) {
                identity.path = (char *)odd[i];
                add(cache, &identity, &hash);
                g_assert_false(knows(cache, &identity, &hash));
        }
        identity.path = (char *)"/nix/store/with space and \xc3\xa9";
        add(cache, &identity, &hash);
        g_assert_true(knows(cache, &identity, &hash));
}

static void test_full(void) {
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();
        FileIdentity identity = kernel;

        for (unsigned i = 0; i < HASH_CACHE_MAX_ENTRIES; i++) {
                g_autofree char *path = g_strdup_printf("/nix/store/%u", i);

                identity.path = path;
                add(cache, &identity, &hash);
        }
        add(cache, &kernel, &hash);
        g_assert_false(knows(cache, &kernel, &hash));
        hash_cache_forget(cache, "/nix/store/0");
        add(cache, &kernel, &hash);
        g_assert_true(knows(cache, &kernel, &hash));
}

static void test_format(void) {
        static const char expected[] = "lanzad hash cache 1\n"
                                       "0102030000000000000000000000000000000000000000000000000000000000 1 2 3 1000.4 "
                                       "/nix/store/a-linux/bzImage\n"
                                       "0405060000000000000000000000000000000000000000000000000000000000 1 5 6 1000.0 "
                                       "/nix/store/b-initrd/initrd\n";
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache(), *back = NULL;
        _cleanup_(buffer_done) Buffer text = {};
        g_autofree char *checksum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, expected, -1);
        g_autofree char *whole = g_strconcat(expected, "end ", checksum, "\n", NULL);

        add(cache, &initrd, &other_hash);
        add(cache, &kernel, &hash);
        g_assert_cmpint(hash_cache_format(cache, &text), ==, 0);
        g_assert_cmpmem(text.data, text.size, whole, strlen(whole));
        g_assert_cmpint(hash_cache_parse(buffer_span(&text), &back), ==, 0);
        g_assert_true(knows(back, &kernel, &hash));
        g_assert_true(knows(back, &initrd, &other_hash));
}

/* A good file of which one byte is changed, removed or doubled, or that ends early, is not read. */
static void test_damaged(void) {
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache(), *back = NULL;
        _cleanup_(buffer_done) Buffer text = {};

        add(cache, &kernel, &hash);
        g_assert_cmpint(hash_cache_format(cache, &text), ==, 0);
        for (size_t i = 0; i < text.size; i++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        text.data[i] ^= 1 << bit;
                        g_assert_cmpint(hash_cache_parse(buffer_span(&text), &back), ==, -EBADMSG);
                        text.data[i] ^= 1 << bit;
                }
                g_autofree uint8_t *start = g_memdup2(text.data, i);
                g_assert_cmpint(hash_cache_parse((Span){start, i}, &back), ==, -EBADMSG);

                g_autofree uint8_t *longer = g_malloc(text.size + 1);
                memcpy(longer, text.data, i + 1);
                memcpy(longer + i + 1, text.data + i, text.size - i);
                g_assert_cmpint(hash_cache_parse((Span){longer, text.size + 1}, &back), ==, -EBADMSG);

                g_autofree uint8_t *shorter = g_memdup2(text.data, text.size);
                memmove(shorter + i, text.data + i + 1, text.size - i - 1);
                g_assert_cmpint(hash_cache_parse((Span){shorter, text.size - 1}, &back), ==, -EBADMSG);
        }
        g_assert_null(back);
}

/* The last line is right, but what it vouches for is not. */
static void test_bad_lines(void) {
        static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
        static const char *const bad[] = {
                "%s 1 2 3 4.5 relative\n",
                "%s 1 2 3 4.5 \n",
                "%s 1 2 3 4.5\n",
                "%s 01 2 3 4.5 /a\n",
                "%s 1 2 3 4.05 /a\n",
                "%s 1 2 3 4.1000000000 /a\n",
                "%s -1 2 3 4.5 /a\n",
                "%s +1 2 3 4.5 /a\n",
                "%s  1 2 3 4.5 /a\n",
                "%s 1 2 3 4,5 /a\n",
                "%s 1 2 3 4 /a\n",
                "%s 18446744073709551616 2 3 4.5 /a\n",
                "%s 1 2 3 9223372036854775808.5 /a\n",
                "%s 1 2 3 4.5 /a\xff\n",
                "%s 1 2 3 4.5 /a\r\n",
                "%s0 1 2 3 4.5 /a\n",
                "x%s 1 2 3 4.5 /a\n",
                "\n",
                "%s\n",
                "%s 1 2 3 4.5 /b\n%s 1 2 3 4.5 /a\n",
                "%s 1 2 3 4.5 /a\n%s 1 2 3 4.5 /a\n",
                "A%s 1 2 3 4.5 /a\n",
        };
        HashCache *back = NULL;

        for (size_t i = 0; i <= ARRAY_LENGTH(bad); i++) {
                const char *line = i < ARRAY_LENGTH(bad) ? bad[i] : "%s 1 2 3 4.5 /a\n"; /* the last one is good */
                g_auto(GStrv) parts = g_strsplit(line, "%s", -1);
                g_autofree char *lines = g_strjoinv(zeros, parts);
                g_autofree char *body = g_strconcat("lanzad hash cache 1\n", lines, NULL);
                g_autofree char *checksum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body, -1);
                g_autofree char *whole = g_strconcat(body, "end ", checksum, "\n", NULL);

                g_assert_cmpint(hash_cache_parse(span_from_string(whole), &back), ==,
                                i < ARRAY_LENGTH(bad) ? -EBADMSG : 0);
        }
        hash_cache_free(back);
}

static void test_save(void) {
        _cleanup_(test_folder_cleanup) char *path = test_folder_make();
        _cleanup_(close_fd) int folder = open_folder(path);
        struct stat st;

        {
                _cleanup_(hash_cache_freep) HashCache *cache = load(folder);

                g_assert_cmpint(hash_cache_save(cache, folder), ==, 0);
                g_assert_false(test_exists(path, HASH_CACHE_FILE));
                add(cache, &kernel, &hash);
                add(cache, &initrd, &other_hash);
                g_assert_cmpint(hash_cache_save(cache, folder), ==, 0);
        }
        g_assert_cmpint(fstatat(folder, HASH_CACHE_FILE, &st, 0), ==, 0);
        g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
        {
                _cleanup_(hash_cache_freep) HashCache *cache = load(folder);

                g_assert_true(knows(cache, &kernel, &hash));
                g_assert_true(knows(cache, &initrd, &other_hash));
                /* Nothing changed: nothing is written. */
                g_assert_cmpint(unlinkat(folder, HASH_CACHE_FILE, 0), ==, 0);
                g_assert_cmpint(hash_cache_save(cache, folder), ==, 0);
                g_assert_false(test_exists(path, HASH_CACHE_FILE));
        }
}

static void test_unused(void) {
        _cleanup_(test_folder_cleanup) char *path = test_folder_make();
        _cleanup_(close_fd) int folder = open_folder(path);
        _cleanup_(hash_cache_freep) HashCache *first = load(folder), *second = NULL, *third = NULL;

        add(first, &kernel, &hash);
        add(first, &initrd, &other_hash);
        g_assert_cmpint(hash_cache_save(first, folder), ==, 0);
        second = load(folder);
        g_assert_true(knows(second, &kernel, &hash));
        g_assert_cmpint(hash_cache_save(second, folder), ==, 0);
        third = load(folder);
        g_assert_true(knows(third, &kernel, &hash));
        g_assert_false(knows(third, &initrd, &other_hash));
}

static void test_hostile(void) {
        _cleanup_(test_folder_cleanup) char *path = test_folder_make();
        _cleanup_(close_fd) int folder = open_folder(path);
        g_autofree char *file = test_path(path, HASH_CACHE_FILE), *moved = test_path(path, "moved");
        _cleanup_(hash_cache_freep) HashCache *cache = new_cache();
        bool expected = true;

        add(cache, &kernel, &hash);
        g_assert_cmpint(hash_cache_save(cache, folder), ==, 0);
        for (unsigned step = 0; step < 9; step++, expected = !expected) {
                _cleanup_(hash_cache_freep) HashCache *loaded = NULL;

                switch (step) {
                case 0: /* as it was written */
                        break;
                case 1: /* others may write to it */
                        g_assert_cmpint(chmod(file, 0620), ==, 0);
                        break;
                case 2:
                        g_assert_cmpint(chmod(file, 0600), ==, 0);
                        break;
                case 3: /* belongs to somebody else */
                        g_assert_cmpint(chown(file, 65534, 0), ==, 0);
                        break;
                case 4:
                        g_assert_cmpint(chown(file, 0, 0), ==, 0);
                        break;
                case 5: /* others may replace it */
                        g_assert_cmpint(chmod(path, 0777), ==, 0);
                        break;
                case 6:
                        g_assert_cmpint(chmod(path, 0700), ==, 0);
                        break;
                case 7: /* a link to a good one */
                        g_assert_cmpint(rename(file, moved), ==, 0);
                        g_assert_cmpint(symlink("moved", file), ==, 0);
                        break;
                case 8:
                        g_assert_cmpint(rename(moved, file), ==, 0);
                        break;
                }
                loaded = load(folder);
                g_assert_cmpint(knows(loaded, &kernel, &hash), ==, expected);
        }
}

/* What stands in the way of reading is no failure: the cache is just empty. */
static void test_useless(void) {
        for (unsigned kind = 0; kind < 4; kind++) {
                _cleanup_(test_folder_cleanup) char *path = test_folder_make();
                _cleanup_(close_fd) int folder = open_folder(path);
                g_autofree char *huge = g_malloc0(HASH_CACHE_MAX_BYTES + 1);
                _cleanup_(hash_cache_freep) HashCache *cache = NULL, *again = NULL;

                if (kind == 0)
                        test_write(path, HASH_CACHE_FILE, "lanzad hash cache 2\n", -1, 0600);
                if (kind == 1)
                        test_write(path, HASH_CACHE_FILE, huge, HASH_CACHE_MAX_BYTES + 1, 0600);
                if (kind == 2)
                        g_assert_cmpint(mkfifoat(folder, HASH_CACHE_FILE, 0600), ==, 0);
                if (kind == 3)
                        test_write(path, HASH_CACHE_FILE, "", 0, 0600);
                cache = load(folder);
                g_assert_false(knows(cache, &kernel, &hash));
                add(cache, &kernel, &hash);
                g_assert_cmpint(hash_cache_save(cache, folder), ==, 0);
                again = load(folder);
                g_assert_true(knows(again, &kernel, &hash));
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/boot/hash-cache/knows-what-was-added-and-not-forgotten", test_find);
        g_test_add_func("/boot/hash-cache/a-file-is-known-by-all-of-its-identity", test_identity);
        g_test_add_func("/boot/hash-cache/keeps-one-hash-a-path", test_replace);
        g_test_add_func("/boot/hash-cache/does-not-trust-a-young-ctime", test_young);
        g_test_add_func("/boot/hash-cache/does-not-trust-a-ctime-that-became-young", test_young_again);
        g_test_add_func("/boot/hash-cache/does-not-remember-odd-paths", test_odd_paths);
        g_test_add_func("/boot/hash-cache/is-bounded", test_full);
        g_test_add_func("/boot/hash-cache/has-one-text-form", test_format);
        g_test_add_func("/boot/hash-cache/a-damaged-file-is-not-read", test_damaged);
        g_test_add_func("/boot/hash-cache/a-bad-line-is-not-read", test_bad_lines);
        g_test_add_func("/boot/hash-cache/is-written-only-when-it-changed", test_save);
        g_test_add_func("/boot/hash-cache/drops-what-nobody-asked-for", test_unused);
        g_test_add_func("/boot/hash-cache/believes-nothing-that-others-could-write", test_hostile);
        g_test_add_func("/boot/hash-cache/a-useless-file-is-an-empty-cache", test_useless);
        return g_test_run();
}
