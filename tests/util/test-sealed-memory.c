/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory that can be trusted to stay as it is, and everything that only looks like it. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/sealed-memory.h"
#include "tests/lib/test-folder.h"

enum { ALL = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, MAXIMUM = 1024 };

static int make_memory(const char *text, int seals) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
        g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
        return fd;
}

static void assert_refused(int fd, int error, const char *words) {
        SealedMemory *memory = NULL;

        g_assert_cmpint(sealed_memory_take(fd, MAXIMUM, &memory), ==, error);
        g_assert_null(memory);
        if (words)
                g_assert_nonnull(strstr(sealed_memory_problem(error), words));
}

static void assert_holds(const SealedMemory *memory, const char *text) {
        _cleanup_(buffer_done) Buffer content = {};

        g_assert_cmpuint(memory->size, ==, strlen(text));
        g_assert_cmpint(sealed_memory_read(memory, &content), ==, 0);
        g_assert_cmpmem(content.data, content.size, text, strlen(text));
}

static void test_take(void) {
        _cleanup_(sealed_memory_freep) SealedMemory *memory = NULL, *again = NULL, *empty = NULL;
        _cleanup_(close_fd) int fd = make_memory("text", ALL), none = make_memory("", ALL);

        g_assert_cmpint(sealed_memory_take(fd, 4, &memory), ==, 0);
        g_assert_cmpint(sealed_memory_take(fd, MAXIMUM, &again), ==, 0);
        g_assert_cmpint(lseek(fd, 2, SEEK_SET), ==, 2); /* the position is the other's to move */
        close_fd(&fd);
        assert_holds(memory, "text");
        assert_holds(again, "text");
        g_assert_cmpint(sealed_memory_take(none, 0, &empty), ==, 0);
        assert_holds(empty, "");
}

static void test_make(void) {
        _cleanup_(sealed_memory_freep) SealedMemory *made = NULL, *taken = NULL;

        g_assert_cmpint(sealed_memory_make("test", span_from_string("text"), &made), ==, 0);
        assert_holds(made, "text");
        g_assert_cmpint(sealed_memory_take(made->fd, MAXIMUM, &taken), ==, 0);
        g_assert_cmpint(pwrite(made->fd, "x", 1, 0), ==, -1);
        g_assert_cmpint(ftruncate(made->fd, 1), ==, -1);
        g_assert_cmpint(ftruncate(made->fd, 100), ==, -1);
        g_assert_true(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, made->fd, 0) == MAP_FAILED);
        assert_holds(taken, "text");
}

static void test_same(void) {
        _cleanup_(sealed_memory_freep) SealedMemory *a = NULL, *again = NULL, *b = NULL;

        g_assert_cmpint(sealed_memory_make("test", span_from_string("text"), &a), ==, 0);
        g_assert_cmpint(sealed_memory_make("test", span_from_string("text"), &b), ==, 0);
        g_assert_cmpint(sealed_memory_take(a->fd, MAXIMUM, &again), ==, 0);
        g_assert_true(sealed_memory_same(a, again));
        g_assert_false(sealed_memory_same(a, b));
        g_assert_false(sealed_memory_same(a, NULL));
        g_assert_true(sealed_memory_same(NULL, NULL));
}

static void test_seals(void) {
        static const int missing[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, ALL};

        for (size_t i = 0; i < G_N_ELEMENTS(missing); i++) {
                _cleanup_(close_fd) int fd = make_memory("text", ALL & ~missing[i]);

                assert_refused(fd, -EPERM, "not sealed");
        }
        /* Who has mapped it before may write on with this one. */
        _cleanup_(close_fd) int future = make_memory("text", F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | 0x10);
        assert_refused(future, -EPERM, "not sealed");
}

static void test_no_memory(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *file = g_build_filename(folder, "file", NULL);
        int pipe_fds[2], sockets[2];

        test_write(folder, "file", "text", -1, 0600);
        _cleanup_(close_fd) int plain = open(file, O_RDWR | O_CLOEXEC), path = open(file, O_PATH | O_CLOEXEC);
        _cleanup_(close_fd) int directory = open(folder, O_RDONLY | O_CLOEXEC);
        _cleanup_(close_fd) int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(pipe2(pipe_fds, O_CLOEXEC), ==, 0);
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), ==, 0);

        const int fds[] = {path, directory, zero, pipe_fds[0], pipe_fds[1], sockets[0], -1};
        for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
                assert_refused(fds[i], -EMEDIUMTYPE, "no memory");
        /* Where files live in memory they have seals, too, though never these. */
        SealedMemory *none = NULL;
        g_assert_cmpint(sealed_memory_take(plain, MAXIMUM, &none), <, 0);
        for (size_t i = 0; i < 2; i++) {
                close_fd(&pipe_fds[i]);
                close_fd(&sockets[i]);
        }
}

static void test_large(void) {
        _cleanup_(close_fd) int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        g_assert_cmpint(ftruncate(fd, INT64_C(4) << 30), ==, 0);
        assert_refused(fd, -EPERM, NULL);
        g_assert_cmpint(fcntl(fd, F_ADD_SEALS, ALL), ==, 0);
        assert_refused(fd, -EFBIG, "too large");
}

static void test_write_only(void) {
        _cleanup_(close_fd) int fd = make_memory("text", 0);
        g_autofree char *link = g_strdup_printf("/proc/self/fd/%i", fd);
        _cleanup_(close_fd) int other = open(link, O_WRONLY | O_CLOEXEC);

        g_assert_cmpint(fcntl(fd, F_ADD_SEALS, ALL), ==, 0);
        assert_refused(other, -EACCES, "writing only");
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/sealed-memory/is-taken-whatever-its-position-and-empty-too", test_take);
        g_test_add_func("/util/sealed-memory/cannot-be-changed-once-made", test_make);
        g_test_add_func("/util/sealed-memory/is-the-same-by-itself-and-not-by-its-bytes", test_same);
        g_test_add_func("/util/sealed-memory/has-every-seal", test_seals);
        g_test_add_func("/util/sealed-memory/is-no-file-pipe-socket-or-device", test_no_memory);
        g_test_add_func("/util/sealed-memory/is-not-larger-than-allowed", test_large);
        g_test_add_func("/util/sealed-memory/can-be-read", test_write_only);
        return g_test_run();
}
