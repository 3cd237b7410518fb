/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/root.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/file.h"

/* A tree, in a folder that is outside of it. */
typedef struct Fixture {
        char *outside, *tree;
        int root;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data) {
        fixture->outside = g_dir_make_tmp("lanza-root-XXXXXX", NULL);
        fixture->tree = g_build_filename(fixture->outside, "tree", NULL);
        g_assert_cmpint(g_mkdir(fixture->tree, 0755), ==, 0);
        fixture->root = open(fixture->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(fixture->root, >=, 0);
        g_assert_cmpint(mkdirat(fixture->root, "store", 0755), ==, 0);
        g_assert_cmpint(file_create(fixture->root, "store/file", span_from_string("inside"), 0644), ==, 0);
}

static void tear_down(Fixture *fixture, gconstpointer data) {
        g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->outside);

        close(fixture->root);
        g_assert_cmpint(system(command), ==, 0);
        g_free(fixture->tree);
        g_free(fixture->outside);
}

static void assert_path(int root, const char *path, const char *expected) {
        _cleanup_(close_fd) int fd = root_open(root, path, O_RDONLY);
        _cleanup_(free_pointer) char *real = NULL;

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(root_path_of(root, fd, &real), ==, 0);
        g_assert_cmpstr(real, ==, expected);
}

static void test_absolute(Fixture *fixture, gconstpointer data) {
        g_assert_cmpint(symlinkat("/store/file", fixture->root, "absolute"), ==, 0);
        g_assert_cmpint(symlinkat("../../../../../../store/file", fixture->root, "store/climbing"), ==, 0);
        assert_path(fixture->root, "/absolute", "/store/file");
        assert_path(fixture->root, "/store/climbing", "/store/file");
        assert_path(fixture->root, "/../store/./file", "/store/file");
        assert_path(fixture->root, "/", "/");
}

static void test_slash(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_autofree char *file = g_build_filename(fixture->tree, "store/file", NULL);

        assert_path(root, file, file);
}

static void test_outside(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int outside = open(fixture->outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(close_fd) int beside = -EBADF;
        g_autofree char *twin = g_strconcat(fixture->tree, "-twin", NULL);
        _cleanup_(free_pointer) char *real = NULL;

        g_assert_cmpint(root_path_of(fixture->root, outside, &real), ==, -EXDEV);
        g_assert_cmpint(g_mkdir(twin, 0755), ==, 0);
        beside = open(twin, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(root_path_of(fixture->root, beside, &real), ==, -EXDEV);
        g_assert_null(real);
}

static void test_removed(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int fd = root_open(fixture->root, "/store/file", O_RDONLY);
        _cleanup_(free_pointer) char *real = NULL;

        g_assert_cmpint(unlinkat(fixture->root, "store/file", 0), ==, 0);
        g_assert_cmpint(root_path_of(fixture->root, fd, &real), ==, -EXDEV);
        /* Not even if a file of that odd name is there. */
        g_assert_cmpint(file_create(fixture->root, "store/file (deleted)", span_from_string("other"), 0644), ==, 0);
        g_assert_cmpint(root_path_of(fixture->root, fd, &real), ==, -EXDEV);
        g_assert_null(real);
}

static void test_loop(Fixture *fixture, gconstpointer data) {
        g_assert_cmpint(symlinkat("round", fixture->root, "about"), ==, 0);
        g_assert_cmpint(symlinkat("about", fixture->root, "round"), ==, 0);
        g_assert_cmpint(root_open(fixture->root, "/round", O_RDONLY), ==, -ELOOP);
        g_assert_cmpint(root_open(fixture->root, "/absent", O_RDONLY), ==, -ENOENT);
}

static void test_fifo(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int fd = -EBADF;

        g_assert_cmpint(mkfifoat(fixture->root, "pipe", 0600), ==, 0);
        fd = root_open(fixture->root, "/pipe", O_RDONLY);
        g_assert_cmpint(fd, >=, 0);
}

static void test_make(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int first = root_make_folder(fixture->root, "/var/cache//lanzad/", 0700);
        _cleanup_(close_fd) int second = root_make_folder(fixture->root, "/var/cache/lanzad", 0755);
        struct stat a, b;

        g_assert_cmpint(first, >=, 0);
        g_assert_cmpint(second, >=, 0);
        g_assert_cmpint(fstat(first, &a), ==, 0);
        g_assert_cmpint(fstat(second, &b), ==, 0);
        g_assert_cmpuint(a.st_ino, ==, b.st_ino);
        g_assert_cmpuint(b.st_mode & 07777, ==, 0700);
}

static unsigned mode_of(const Fixture *fixture, const char *path) {
        struct stat st;

        g_assert_cmpint(fstatat(fixture->root, path, &st, 0), ==, 0);
        return st.st_mode & 07777;
}

static void test_make_private(Fixture *fixture, gconstpointer data) {
        mode_t umask_before = umask(077);
        _cleanup_(close_fd) int private = root_make_folder(fixture->root, "/var/lib/private", 0700);
        _cleanup_(close_fd) int public = root_make_folder(fixture->root, "/srv/public/", 0755);

        umask(umask_before);
        g_assert_cmpint(private, >=, 0);
        g_assert_cmpint(public, >=, 0);
        g_assert_cmpuint(mode_of(fixture, "var"), ==, 0755);
        g_assert_cmpuint(mode_of(fixture, "var/lib"), ==, 0755);
        g_assert_cmpuint(mode_of(fixture, "var/lib/private"), ==, 0700);
        g_assert_cmpuint(mode_of(fixture, "srv/public"), ==, 0755);
}

static void test_make_by_link(Fixture *fixture, gconstpointer data) {
        _cleanup_(close_fd) int fd = -EBADF;
        g_autofree char *escaped = g_build_filename(fixture->outside, "away", NULL);
        struct stat st;

        g_assert_cmpint(symlinkat(fixture->outside, fixture->root, "var"), ==, 0);
        g_assert_cmpint(root_make_folder(fixture->root, "/var/away", 0700), ==, -ENOENT);
        g_assert_cmpint(stat(escaped, &st), <, 0);

        g_assert_cmpint(symlinkat("/store", fixture->root, "inside"), ==, 0);
        fd = root_make_folder(fixture->root, "/inside/new", 0700);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(fstatat(fixture->root, "store/new", &st, 0), ==, 0);
}

static void test_make_refuses(Fixture *fixture, gconstpointer data) {
        g_assert_cmpint(root_make_folder(fixture->root, "/store/file/sub", 0700), ==, -ENOTDIR);
        g_assert_cmpint(root_make_folder(fixture->root, "/store/file", 0700), ==, -ENOTDIR);
        g_assert_cmpint(root_make_folder(fixture->root, "/store/../new", 0700), ==, -EINVAL);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add("/util/root/" name, Fixture, NULL, set_up, function, tear_down)
        TEST("absolute-links-stay-inside", test_absolute);
        TEST("works-on-the-running-system", test_slash);
        TEST("refuses-a-path-of-what-is-outside", test_outside);
        TEST("refuses-a-path-of-what-was-removed", test_removed);
        TEST("a-loop-of-links-is-an-error", test_loop);
        TEST("a-fifo-does-not-hang", test_fifo);
        TEST("makes-missing-folders-once", test_make);
        TEST("only-the-last-folder-that-is-made-has-the-mode-asked-for", test_make_private);
        TEST("makes-folders-inside-where-links-lead-away", test_make_by_link);
        TEST("refuses-to-make-a-folder-where-a-file-stands", test_make_refuses);
        return g_test_run();
}
