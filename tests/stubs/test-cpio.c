/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/cpio.h"

#include <glib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"

#define _cleanup_(function) __attribute__((cleanup(function)))

static void append(GByteArray *archive, const CpioFile *files, size_t count) {
        size_t start = archive->len, size = cpio_size(".extra", files, count);

        g_byte_array_set_size(archive, (guint)(start + size + 1));
        memset(archive->data + start, 0xaa, size + 1);
        cpio_write(".extra", files, count, archive->data + start);
        g_assert_cmpuint(archive->data[start + size], ==, 0xaa);
        g_byte_array_set_size(archive, (guint)(start + size));
}

/* Has GNU cpio unpack ARCHIVE in a new folder. */
static char *unpack(const GByteArray *archive) {
        char *folder = test_folder_make();

        test_write(folder, "archive", archive->data, archive->len, 0600);
        g_free(test_run_good("sh", "-euc", "cd \"$1\"; cpio --quiet -im <archive; rm archive", "sh", folder, NULL));
        return folder;
}

static void assert_content(const char *folder, const char *path, Bytes expected) {
        g_autoptr(GBytes) found = test_read(folder, path);

        g_assert_cmpmem(g_bytes_get_data(found, NULL), g_bytes_get_size(found), expected.data, expected.size);
}

static void assert_mode(const char *folder, const char *path, mode_t mode) {
        g_autofree char *full = test_path(folder, path);
        struct stat st;

        g_assert_cmpint(lstat(full, &st), ==, 0);
        g_assert_cmpuint(st.st_mode, ==, mode);
        g_assert_true(S_ISDIR(mode) || st.st_mtime == 0);
}

static void test_unpacked(void) {
        for (size_t size = 0; size < 9; size++) {
                const Bytes content = {(const uint8_t *)"\0\1\2\3\4\5\6\7", size};
                const CpioFile files[] = {{"file", content}, {"second", bytes_from_string("text")}, {"3", content}};
                g_autoptr(GByteArray) archive = g_byte_array_new();
                append(archive, files, G_N_ELEMENTS(files));
                _cleanup_(test_folder_cleanup) char *folder = unpack(archive);
                g_autofree char *listing = test_listing(folder);

                g_assert_cmpstr(listing, ==, ".extra/\n.extra/3\n.extra/file\n.extra/second");
                for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                        g_autofree char *path = g_build_filename(".extra", files[i].name, NULL);
                        assert_content(folder, path, files[i].content);
                        assert_mode(folder, path, S_IFREG | 0444);
                }
                assert_mode(folder, ".extra", S_IFDIR | 0555);
                g_assert_cmpuint(archive->len % 4, ==, 0);
        }
}

/* The first member, byte for byte, as the form is described: what Linux reads, which is stricter than cpio. */
static void test_header(void) {
        static const char header[] = "070701"
                                     "00000001" /* inode */
                                     "0000416d" /* mode */
                                     "00000000" /* owner */
                                     "00000000" /* group */
                                     "00000001" /* links */
                                     "00000000" /* time */
                                     "00000000" /* size */
                                     "00000000"
                                     "00000000"
                                     "00000000"
                                     "00000000" /* devices */
                                     "00000007" /* size of the name */
                                     "00000000" /* checksum */
                                     ".extra\0\0\0";
        g_autoptr(GByteArray) archive = g_byte_array_new();

        append(archive, NULL, 0);
        g_assert_cmpuint(archive->len, ==, sizeof header + 124);
        g_assert_cmpmem(archive->data, sizeof header, header, sizeof header);
        g_assert_cmpmem(archive->data + archive->len - 14, 14, "TRAILER!!!\0\0\0", 14);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/cpio/is-unpacked-by-others", test_unpacked);
        g_test_add_func("/stubs/cpio/is-what-linux-reads", test_header);
        return g_test_run();
}
