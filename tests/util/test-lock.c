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

static bool count_waiting(void *userdata, const char *name, bool locked) {
        g_assert_cmpstr(name, ==, "the key store");
        g_assert_false(locked);
        (*(unsigned *)userdata)++;
        return true;
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
        g_assert_cmpuint(waits, >=, 1);
        close_fd(&first);
        g_assert_cmpint(folder_lock(second, "the key store", 0, NULL, NULL, NULL), ==, 0);
}

/* Another process holds the lock until a moment after waiting has begun. */
typedef struct Holder {
        int go;
        unsigned asked, told;
        bool take; /* what to say once the lock is there */
} Holder;

static bool let_go(void *userdata, const char *name, bool locked) {
        Holder *holder = userdata;

        if (locked) {
                holder->told++;
                return holder->take;
        }
        if (holder->asked++ == 0)
                g_assert_cmpint(write(holder->go, "x", 1), ==, 1);
        return true;
}

static bool give_up(void *userdata, const char *name, bool locked) {
        return ++*(unsigned *)userdata < 3;
}

static void test_gives_up(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int first = open_folder(folder), second = open_folder(folder);
        _cleanup_(failure_done) Failure failure = {};
        unsigned asked = 0;

        g_assert_cmpint(folder_lock(first, "the key store", 0, NULL, NULL, NULL), ==, 0);
        g_assert_cmpint(folder_lock(second, "the key store", 60 * 1000, give_up, &asked, &failure), ==, -ECANCELED);
        g_assert_cmpint(failure.condition, ==, CONDITION_CANCELED);
        g_assert_nonnull(strstr(failure.message, "the key store"));
        g_assert_cmpuint(asked, ==, 3);
}

static void check_waits(bool take) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int fd = open_folder(folder);
        int ready[2], go[2];
        Holder holder = {.take = take};
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
        g_assert_cmpint(folder_lock(fd, "the key store", 60 * 1000, let_go, &holder, NULL), ==, take ? 0 : -ECANCELED);
        g_assert_cmpuint(holder.told, ==, 1);
        g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
        /* Who did not take it does not hold it. */
        _cleanup_(close_fd) int other = open_folder(folder);
        g_assert_cmpint(folder_lock(other, "the key store", 0, NULL, NULL, NULL), ==, take ? -EBUSY : 0);
        for (unsigned i = 0; i < 2; i++) {
                close(ready[i]);
                close(go[i]);
        }
}

static void test_waits(void) {
        check_waits(true);
}

static void test_gives_up_at_last(void) {
        check_waits(false);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/lock/who-comes-second-is-told-that-it-is-busy", test_busy);
        g_test_add_func("/util/lock/waits-until-the-holder-lets-go", test_waits);
        g_test_add_func("/util/lock/waiting-can-be-given-up", test_gives_up);
        g_test_add_func("/util/lock/who-gives-up-when-the-lock-is-there-does-not-keep-it", test_gives_up_at_last);
        return g_test_run();
}
