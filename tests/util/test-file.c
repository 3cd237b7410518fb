/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cut.h"
#include "tests/lib/test-folder.h"

static int open_folder(const char *folder) {
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        return fd;
}

static void make_link(const char *folder, const char *name, const char *target) {
        g_autofree char *path = test_path(folder, name);

        g_assert_cmpint(symlink(target, path), ==, 0);
}

static void test_beneath(void) {
        static const struct {
                const char *path;
                int result; /* 0: opens */
        } cases[] = {
                {"file", 0},          {"folder/inner", 0},     {"inside", 0},        {"folder/up", 0},
                {"../x", -EXDEV},     {"/etc/passwd", -EXDEV}, {"absolute", -EXDEV}, {"parent/x", -EXDEV},
                {"missing", -ENOENT}, {"file/x", -ENOTDIR},    {"loop", -ELOOP},     {"", -ENOENT},
        };
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int dir = open_folder(folder);

        test_write(folder, "file", "x", -1, 0600);
        test_write(folder, "folder/inner", "x", -1, 0600);
        make_link(folder, "inside", "folder/inner");
        make_link(folder, "folder/up", "../file");
        make_link(folder, "absolute", "/etc/passwd");
        make_link(folder, "parent", "..");
        make_link(folder, "loop", "loop");
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(close_fd) int fd = file_open(dir, cases[i].path, O_RDONLY, 0);
                _cleanup_(close_fd) int path_fd = file_open(dir, cases[i].path, O_PATH, 0);

                g_assert_cmpint(fd < 0 ? fd : 0, ==, cases[i].result);
                g_assert_cmpint(path_fd < 0 ? path_fd : 0, ==, cases[i].result);
        }
}

static void test_whole(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int dir = open_folder(folder);
        _cleanup_(buffer_done) Buffer whole = {}, exact = {}, empty = {}, untouched = {};
        g_autofree char *pipe = test_path(folder, "pipe");

        test_write(folder, "file", "0123456789", -1, 0600);
        test_write(folder, "empty", "", -1, 0600);
        test_make_folder(folder, "folder", 0700);
        g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);

        g_assert_cmpint(file_read(dir, "file", 100, &whole), ==, 0);
        g_assert_cmpmem(whole.data, whole.size, "0123456789", 10);
        g_assert_cmpint(file_read(dir, "file", 10, &exact), ==, 0);
        g_assert_cmpuint(exact.size, ==, 10);
        g_assert_cmpint(file_read(dir, "empty", 0, &empty), ==, 0);
        g_assert_cmpuint(empty.size, ==, 0);
        g_assert_cmpint(file_read(dir, "file", 9, &untouched), ==, -EFBIG);
        g_assert_cmpint(file_read(dir, "folder", 100, &untouched), ==, -EISDIR);
        g_assert_cmpint(file_read(dir, "pipe", 100, &untouched), ==, -EINVAL);
        g_assert_cmpint(file_read(AT_FDCWD, "/dev/zero", 100, &untouched), ==, -EINVAL);
        g_assert_cmpint(file_read(dir, "missing", 100, &untouched), ==, -ENOENT);
        g_assert_null(untouched.data);
}

/* A file of /proc claims to be empty and is not: all of it is read, up to the maximum. */
static void test_read_growing(void) {
        _cleanup_(buffer_done) Buffer buffer = {}, none = {};

        g_assert_cmpint(file_read(AT_FDCWD, "/proc/self/status", 65536, &buffer), ==, 0);
        g_assert_cmpuint(buffer.size, >, 100);
        g_assert_cmpint(file_read(AT_FDCWD, "/proc/self/status", 50, &none), ==, -EFBIG);
}

static void test_read_at(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int dir = open_folder(folder), fd = -EBADF;
        char data[4] = {};

        test_write(folder, "file", "0123456789", -1, 0600);
        fd = file_open(dir, "file", O_RDONLY, 0);
        g_assert_cmpint(file_read_at(fd, 6, data, 4), ==, 0);
        g_assert_cmpmem(data, 4, "6789", 4);
        g_assert_cmpint(file_read_at(fd, 7, data, 4), ==, -EBADMSG);
        g_assert_cmpint(file_read_at(fd, UINT64_MAX / 4, data, 4), ==, -EBADMSG);
        g_assert_cmpint(file_read_at(fd, 10, data, 0), ==, 0);
}

static void test_create(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int dir = open_folder(folder);
        g_autofree char *path = test_path(folder, "new");
        g_autoptr(GBytes) bytes = NULL;
        struct stat st;

        g_assert_cmpint(file_create(dir, "new", span_from_string("first"), 0640), ==, 0);
        g_assert_cmpint(file_create(dir, "new", span_from_string("second"), 0640), ==, -EEXIST);
        bytes = test_read(folder, "new");
        g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "first", 5);
        g_assert_cmpint(stat(path, &st), ==, 0);
        g_assert_cmphex(st.st_mode & 0777, ==, 0640);

        /* neither through a link, be it to nowhere */
        make_link(folder, "link", "elsewhere");
        g_assert_cmpint(file_create(dir, "link", span_from_string("x"), 0600), ==, -EEXIST);
        g_assert_false(test_exists(folder, "elsewhere"));
}

static void test_failed_write(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int dir = open_folder(folder);
        g_autofree char *text = g_strnfill(5000, 'x'), *listing = NULL;
        void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit, small;

        test_write(folder, "old", "old", -1, 0600);
        g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
        small = (struct rlimit){.rlim_cur = 1000, .rlim_max = limit.rlim_max};
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
        int created = file_create(dir, "new", span_from_string(text), 0600);
        int replaced = file_replace(dir, "old", span_from_string(text), 0600);
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
        signal(SIGXFSZ, handler);

        g_assert_cmpint(created, ==, -EFBIG);
        g_assert_cmpint(replaced, ==, -EFBIG);
        listing = test_listing(folder);
        g_assert_cmpstr(listing, ==, "old");
}

static int replace_in_child(void *userdata) {
        _cleanup_(close_fd) int dir = open_folder(userdata);

        return file_replace(dir, "sub/file", span_from_string("new content"), 0600);
}

/* At each cut the file has its old content or the new one, and the next try succeeds. */
static void test_replace(void) {
        bool was_cut = true;

        for (int n = 0; was_cut; n++) {
                _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
                g_autoptr(GPtrArray) log = g_ptr_array_new_with_free_func(g_free);
                g_autoptr(GBytes) bytes = NULL;
                g_autofree char *text = NULL, *fault = NULL, *listing = NULL;

                test_write(folder, "sub/file", "old content", -1, 0600);
                was_cut = cut_before(replace_in_child, folder, n, log);
                bytes = test_read(folder, "sub/file");
                text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
                g_assert_true(g_str_equal(text, "new content") || (was_cut && g_str_equal(text, "old content")));
                fault = was_cut ? NULL : cut_log_check_durable(log);
                g_assert_cmpstr(fault, ==, NULL);
                g_assert_cmpint(replace_in_child(folder), ==, 0);
                listing = test_listing(folder);
                g_assert_cmpstr(listing, ==, "sub/\nsub/file");
        }
}

static void test_folders_beneath(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make(), *outside = test_folder_make();
        g_autofree char *link = test_path(folder, "away");
        _cleanup_(close_fd) int dir = open_folder(folder);

        g_assert_cmpint(symlink(outside, link), ==, 0);
        g_assert_cmpint(folder_make(dir, "away/new", 0700), ==, -EXDEV);
        g_assert_cmpint(folder_make(dir, "../new", 0700), ==, -EXDEV);
        g_assert_false(test_exists(outside, "new"));
}

static void test_folders(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int dir = open_folder(folder);
        _cleanup_(string_list_done) StringList names = {}, none = {};

        g_assert_cmpint(folder_make(dir, "a/b/c", 0700), ==, 0);
        g_assert_cmpint(folder_make(dir, "a/b/c", 0700), ==, 0);
        test_write(folder, "a/file", "", -1, 0600);
        g_assert_cmpint(folder_make(dir, "a/file", 0700), ==, -ENOTDIR);
        g_assert_cmpint(folder_make(dir, "a/file/x", 0700), ==, -ENOTDIR);
        test_write(folder, "a/.hidden", "", -1, 0600);
        test_write(folder, "a/Upper", "", -1, 0600);

        g_assert_cmpint(folder_list(dir, "a", 4, &names), ==, 0);
        g_assert_cmpuint(names.count, ==, 4);
        g_assert_cmpstr(names.items[0], ==, ".hidden");
        g_assert_cmpstr(names.items[1], ==, "Upper");
        g_assert_cmpstr(names.items[2], ==, "b");
        g_assert_cmpstr(names.items[3], ==, "file");
        g_assert_cmpint(folder_list(dir, "a", 3, &none), ==, -E2BIG);
        g_assert_cmpint(folder_list(dir, "a/file", 3, &none), ==, -ENOTDIR);
        g_assert_cmpuint(none.count, ==, 0);
        g_assert_cmpint(folder_fsync(dir, "a"), ==, 0);
        g_assert_cmpint(folder_fsync(dir, "a/file"), ==, -ENOTDIR);
}

static void test_join(void) {
        static const char *const cases[][3] = {
                {"/a", "b", "/a/b"}, {"/a/", "b", "/a/b"}, {"/a//", "/b", "/a/b"},
                {"/", "b", "/b"},    {"/", "/b", "/b"},    {"a", "b/c", "a/b/c"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
                _cleanup_(free_pointer) char *path = path_join(cases[i][0], cases[i][1]);

                g_assert_cmpstr(path, ==, cases[i][2]);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/file/opens-nothing-outside-its-folder", test_beneath);
        g_test_add_func("/util/file/reads-regular-files-up-to-a-maximum", test_whole);
        g_test_add_func("/util/file/reads-what-is-longer-than-it-says", test_read_growing);
        g_test_add_func("/util/file/reads-exactly-at-an-offset", test_read_at);
        g_test_add_func("/util/file/creates-only-what-is-not-there", test_create);
        g_test_add_func("/util/file/leaves-nothing-of-a-failed-write", test_failed_write);
        g_test_add_func("/util/file/replaces-all-or-nothing-at-every-cut", test_replace);
        g_test_add_func("/util/file/makes-and-lists-folders", test_folders);
        g_test_add_func("/util/file/makes-no-folder-where-a-link-leads-away", test_folders_beneath);
        g_test_add_func("/util/file/joins-with-one-slash", test_join);
        return g_test_run();
}
