/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/twins.h"
#include "tests/esp/esp-fixture.h"

static const char folder[] = "EFI/nixos";

static void put(Volume *volume, const char *name, const char *text) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        volume_write(volume, path, text);
}

static void assert_twin(Volume *volume, const char *leftover, const char *name) {
        _cleanup_(inventory_done) Inventory inventory = {};
        g_autofree char *path = g_build_filename(folder, leftover, NULL);
        g_autofree char *twin = name ? g_build_filename(folder, name, NULL) : NULL;
        bool found = false;

        g_assert_cmpint(fake_inventory(volume->fd, &inventory), ==, 0);
        for (size_t i = 0; i < inventory.leftover_count; i++)
                if (strcmp(inventory.leftovers[i].path, path) == 0) {
                        g_assert_cmpstr(inventory.leftovers[i].twin, ==, twin);
                        found = true;
                }
        g_assert_true(found);
}

static void test_bytes(Volume *volume, gconstpointer unused) {
        put(volume, "LANZ0001.TMP", "same");
        put(volume, "LANZ0002.TMP", "other bytes");
        put(volume, "LANZ0003.TMP", "");
        put(volume, "LANZ0004.TMP", "same");
        put(volume, "kernel", "othar bytes");
        put(volume, "larger", "same and more");
        put(volume, "empty", "");
        assert_twin(volume, "LANZ0001.TMP", NULL);
        put(volume, "real", "same");
        assert_twin(volume, "LANZ0001.TMP", "real");
        assert_twin(volume, "LANZ0002.TMP", NULL);
        assert_twin(volume, "LANZ0003.TMP", NULL);
        assert_twin(volume, "LANZ0004.TMP", "real");
}

/* Nobody knows whether it is one file. */
static void test_unreadable(Volume *volume, gconstpointer unused) {
        char leftover_path[] = "EFI/nixos/LANZ0001.TMP", name[] = "file", *names[] = {name};
        const StringList list = {.items = names, .count = 1};
        EspLeftover leftover = {.path = leftover_path, .size = 8};
        g_autofree char *path = g_build_filename(volume->path, folder, NULL);
        _cleanup_(close_fd) int fd = -EBADF;

        put(volume, "LANZ0001.TMP", "it ends");
        put(volume, "file", "whatever");
        fd = file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(twins_find(fd, folder, &list, &leftover, 1), ==, 0);
        g_assert_cmpstr(leftover.twin, ==, "EFI/nixos/file");
        free(leftover.twin);

        leftover = (EspLeftover){.path = leftover_path, .size = 7};
        g_assert_cmpint(twins_find(fd, folder, &list, &leftover, 1), ==, 0);
        g_assert_null(leftover.twin);
}

static uint64_t bytes_read(void) {
        g_autofree char *text = NULL;
        uint64_t count = 0;

        g_assert_true(g_file_get_contents("/proc/self/io", &text, NULL, NULL));
        g_assert_true(g_str_has_prefix(text, "rchar: "));
        count = g_ascii_strtoull(text + strlen("rchar: "), NULL, 10);
        return count;
}

/* As many as somebody likes to leave. They differ at their ends. */
static void test_many(Volume *volume, gconstpointer unused) {
        enum { FILES = 300, SIZE = 4096 };
        _cleanup_(inventory_done) Inventory inventory = {};
        uint64_t before;

        for (unsigned i = 0; i < 2 * FILES; i++) {
                g_autofree char *fill = g_strnfill(SIZE, 'x'), *name = NULL;

                g_snprintf(fill + SIZE - 8, 8, "%07u", i);
                name = i < FILES ? g_strdup_printf("LANZ%04X.TMP", i) : g_strdup_printf("file-%u", i);
                put(volume, name, fill);
        }
        before = bytes_read();
        g_assert_cmpint(fake_inventory(volume->fd, &inventory), ==, 0);
        g_assert_cmpuint(bytes_read() - before, <, 3 * FILES * SIZE);
        g_assert_cmpuint(inventory.leftover_count, ==, FILES);
        for (size_t i = 0; i < FILES; i++)
                g_assert_null(inventory.leftovers[i].twin);
}

#define TEST(name, function) g_test_add("/esp/twins/" name, Volume, NULL, volume_open, function, volume_close)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("are-files-with-the-same-bytes-that-are-not-left-over", test_bytes);
        TEST("may-be-what-cannot-be-read", test_unreadable);
        TEST("each-file-is-read-once", test_many);
        return g_test_run();
}
