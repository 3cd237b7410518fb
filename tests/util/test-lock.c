/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/lock.h"
#include "tests/lib/test-folder.h"

static int open_folder(const char *path) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        return fd;
}

static void count_waiting(void *userdata, const char *name) {
        g_assert_cmpstr(name, ==, "the key store");
        (*(unsigned *)userdata)++;
}

static void test_busy(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int first = open_folder(folder), second = open_folder(folder);
        _cleanup_(failure_done) Failure failure = {};
        unsigned waits = 0;

        g_assert_cmpint(folder_lock(first, "the key store", 0, NULL, NULL, NULL), ==, 0);
        g_assert_cmpint(folder_lock(second, "the key store", 0, count_waiting, &waits, &failure), ==, -EBUSY);
        g_assert_cmpint(failure.condition, ==, CONDITION_BUSY);
        g_assert_nonnull(strstr(failure.message, "the key store"));
        g_assert_cmpuint(waits, ==, 0);
        g_assert_cmpint(folder_lock(second, "the key store", 120, count_waiting, &waits, NULL), ==, -EBUSY);
        g_assert_cmpuint(waits, ==, 1);
        close_fd(&first);
        g_assert_cmpint(folder_lock(second, "the key store", 0, NULL, NULL, NULL), ==, 0);
}

/* Another process holds the lock until a moment after waiting has begun. */
typedef struct Holder {
        int go;
} Holder;

static void let_go(void *userdata, const char *name) {
        Holder *holder = userdata;

        g_assert_cmpint(write(holder->go, "x", 1), ==, 1);
}

static void test_waits(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int fd = open_folder(folder);
        int ready[2], go[2];
        Holder holder;
        char byte;
        pid_t child;

        g_assert_cmpint(pipe(ready), ==, 0);
        g_assert_cmpint(pipe(go), ==, 0);
        child = fork();
        g_assert_cmpint(child, >=, 0);
        if (child == 0) {
                if (folder_lock(open_folder(folder), "x", 0, NULL, NULL, NULL) < 0 || write(ready[1], "x", 1) != 1 ||
                    read(go[0], &byte, 1) != 1)
                        _exit(1);
                _exit(0);
        }
        g_assert_cmpint(read(ready[0], &byte, 1), ==, 1);
        holder.go = go[1];
        g_assert_cmpint(folder_lock(fd, "the key store", 60 * 1000, let_go, &holder, NULL), ==, 0);
        g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
        for (unsigned i = 0; i < 2; i++) {
                close(ready[i]);
                close(go[i]);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/lock/who-comes-second-is-told-that-it-is-busy", test_busy);
        g_test_add_func("/util/lock/waits-until-the-holder-lets-go", test_waits);
        return g_test_run();
}
