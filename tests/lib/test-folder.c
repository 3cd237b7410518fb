/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/lib/test-folder.h"

#include <ftw.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *test_folder_make(void) {
        g_autoptr(GError) error = NULL;
        char *folder = g_dir_make_tmp("lanza-test-XXXXXX", &error);

        g_assert_no_error(error);
        return folder;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        return remove(path);
}

void test_folder_remove(char *folder) {
        nftw(folder, remove_one, /* nopenfd= */ 16, FTW_DEPTH | FTW_PHYS);
        g_free(folder);
}

void test_folder_cleanup(char **folder) {
        if (*folder)
                test_folder_remove(*folder);
}

char *test_path(const char *folder, const char *path) {
        return g_build_filename(folder, path, NULL);
}

void test_write(const char *folder, const char *path, const void *text, ssize_t size, mode_t mode) {
        g_autofree char *full = test_path(folder, path), *parent = g_path_get_dirname(full);
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
        g_file_set_contents(full, text, size, &error);
        g_assert_no_error(error);
        g_assert_cmpint(chmod(full, mode), ==, 0);
}

void test_write_bytes(const char *folder, const char *path, GBytes *bytes, mode_t mode) {
        test_write(folder, path, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), mode);
}

void test_make_folder(const char *folder, const char *path, mode_t mode) {
        g_autofree char *full = test_path(folder, path);

        g_assert_cmpint(g_mkdir_with_parents(full, 0700), ==, 0);
        g_assert_cmpint(chmod(full, mode), ==, 0);
}

GBytes *test_read(const char *folder, const char *path) {
        g_autofree char *full = test_path(folder, path);
        g_autoptr(GError) error = NULL;
        char *text = NULL;
        size_t size;

        g_file_get_contents(full, &text, &size, &error);
        g_assert_no_error(error);
        return g_bytes_new_take(text, size);
}

bool test_exists(const char *folder, const char *path) {
        g_autofree char *full = test_path(folder, path);
        struct stat st;

        return lstat(full, &st) == 0;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_below(const char *folder, const char *below, GPtrArray *names) {
        g_autofree char *full = test_path(folder, below);
        g_autoptr(GDir) dir = g_dir_open(full, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *path = *below ? g_build_filename(below, name, NULL) : g_strdup(name);
                g_autofree char *whole = test_path(folder, path);
                struct stat st;

                g_assert_cmpint(lstat(whole, &st), ==, 0);
                g_ptr_array_add(names, g_strdup_printf("%s%s", path, S_ISDIR(st.st_mode) ? "/" : ""));
                if (S_ISDIR(st.st_mode))
                        list_below(folder, path, names);
        }
}

char *test_listing(const char *folder) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

        list_below(folder, "", names);
        g_ptr_array_sort(names, compare_names);
        g_ptr_array_add(names, NULL);
        return g_strjoinv("\n", (char **)names->pdata);
}

char *test_pki_path(const char *name) {
        const char *build = g_getenv("LANZA_BUILD");

        return g_build_filename(build ? build : "build", "pki", name, NULL);
}

GBytes *test_pki(const char *name) {
        g_autofree char *folder = test_pki_path("");

        return test_read(folder, name);
}
