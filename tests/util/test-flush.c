/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/flush.h"

static void test_good(void) {
        _cleanup_(close_fd) int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(close_fd) int tmp = open(g_get_tmp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int fds[] = {root, tmp, root};
        _cleanup_(flush_done) Flush flush = {};

        flush_start(&flush, fds, G_N_ELEMENTS(fds));
        g_assert_cmpint(flush_wait(&flush), ==, 0);
        g_assert_cmpint(flush_wait(&flush), ==, 0);
}

static void test_bad(void) {
        _cleanup_(close_fd) int tmp = open(g_get_tmp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int fds[] = {tmp, -1};
        _cleanup_(flush_done) Flush flush = {};

        flush_start(&flush, fds, G_N_ELEMENTS(fds));
        g_assert_cmpint(flush_wait(&flush), ==, -EBADF);
        g_assert_cmpint(flush_wait(&flush), ==, -EBADF);
}

static void test_nothing(void) {
        _cleanup_(flush_done) Flush flush = {};

        flush_start(&flush, NULL, 0);
        g_assert_cmpint(flush_wait(&flush), ==, 0);
}

static void test_not_waited_for(void) {
        _cleanup_(close_fd) int tmp = open(g_get_tmp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (unsigned i = 0; i < 5; i++) {
                _cleanup_(flush_done) Flush flush = {};

                flush_start(&flush, &tmp, 1);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/flush/ends-when-all-file-systems-are-durable", test_good);
        g_test_add_func("/util/flush/says-that-one-could-not-be-each-time", test_bad);
        g_test_add_func("/util/flush/of-nothing-is-done-at-once", test_nothing);
        g_test_add_func("/util/flush/is-over-when-its-scope-ends", test_not_waited_for);
        return g_test_run();
}
