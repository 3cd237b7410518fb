/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/ahead.h"

enum { ITEMS = 1000, NONE = -1 };

/* How many processors there are: sched_getaffinity() of this program takes the C library's place. 0: two. */
static atomic_uint processors;

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
        CPU_ZERO_S(size, set);
        for (unsigned i = 0; i < (processors ?: 2); i++)
                CPU_SET_S(i, size, set);
        return 0;
}

typedef struct Maker {
        atomic_uint made, here; /* how many were made; how many are in the making just now */
        atomic_uint most;       /* ... at once */
        size_t size;
        ssize_t bad; /* the item that fails */
} Maker;

static int make(void *userdata, size_t index, Buffer *ret, Failure *failure) {
        Maker *maker = userdata;
        unsigned here = ++maker->here;
        int r = 0;

        if (here > maker->most)
                maker->most = here;
        if ((ssize_t)index == maker->bad)
                r = failure_set(failure, CONDITION_BAD_IMAGE, "Item %zu is bad", index);
        else
                r = buffer_append_zero(ret, maker->size);
        if (r >= 0)
                memcpy(ret->data, &index, sizeof(index));
        maker->made++;
        maker->here--;
        return r;
}

static void take(Ahead *ahead, size_t index, size_t size) {
        _cleanup_(buffer_done) Buffer bytes = {};
        size_t found;

        g_assert_cmpint(ahead_take(ahead, index, &bytes, NULL), ==, 0);
        g_assert_cmpuint(bytes.size, ==, size);
        memcpy(&found, bytes.data, sizeof(found));
        g_assert_cmpuint(found, ==, index);
}

static void test_order(void) {
        Maker maker = {.size = 64, .bad = NONE};
        _cleanup_(ahead_freep) Ahead *ahead = NULL;

        g_assert_cmpint(ahead_new(make, &maker, ITEMS, &ahead), ==, 0);
        for (size_t i = 0; i < ITEMS; i++)
                take(ahead, i, 64);
        g_assert_cmpuint(maker.made, ==, ITEMS);
        g_assert_cmpuint(maker.most, <=, AHEAD_THREADS_MAX);
}

static void test_none(void) {
        Maker maker = {.size = 64, .bad = NONE};
        _cleanup_(ahead_freep) Ahead *ahead = NULL;
        _cleanup_(buffer_done) Buffer bytes = {};

        g_assert_cmpint(ahead_new(make, &maker, 0, &ahead), ==, 0);
        g_assert_cmpint(ahead_take(ahead, 0, &bytes, NULL), ==, -EINVAL);
}

static void test_skip(void) {
        Maker maker = {.size = 64, .bad = NONE};
        _cleanup_(ahead_freep) Ahead *ahead = NULL;
        _cleanup_(buffer_done) Buffer bytes = {};

        g_assert_cmpint(ahead_new(make, &maker, 200, &ahead), ==, 0);
        take(ahead, 100, 64);
        g_assert_cmpint(ahead_take(ahead, 100, &bytes, NULL), ==, -EINVAL);
        g_assert_cmpint(ahead_take(ahead, 5, &bytes, NULL), ==, -EINVAL);
        take(ahead, 199, 64);
}

static void test_failure(void) {
        Maker maker = {.size = 64, .bad = 3};
        _cleanup_(ahead_freep) Ahead *ahead = NULL;
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(buffer_done) Buffer bytes = {};

        g_assert_cmpint(ahead_new(make, &maker, 8, &ahead), ==, 0);
        for (size_t i = 0; i < 3; i++)
                take(ahead, i, 64);
        g_assert_cmpint(ahead_take(ahead, 3, &bytes, &failure), ==, condition_errno(CONDITION_BAD_IMAGE));
        g_assert_cmpstr(failure.message, ==, "Item 3 is bad");
        take(ahead, 4, 64);
}

/* Each item is as large as all that may wait: then one is made at a time by each thread, and no more. */
static void test_bounded(void) {
        Maker maker = {.size = AHEAD_BYTES_MAX, .bad = NONE};
        _cleanup_(ahead_freep) Ahead *ahead = NULL;

        g_assert_cmpint(ahead_new(make, &maker, 40, &ahead), ==, 0);
        for (size_t i = 0; i < 40; i++) {
                take(ahead, i, AHEAD_BYTES_MAX);
                for (unsigned j = 0; j < 20; j++)
                        sched_yield();
                g_assert_cmpuint(maker.made, <=, i + 1 + AHEAD_THREADS_MAX);
        }
}

/* Ends once as many of them are there as may be. */
static int wait_for_others(void *userdata, size_t index, Buffer *ret, Failure *failure) {
        Maker *maker = userdata;

        maker->here++;
        while (maker->here < AHEAD_THREADS_MAX)
                sched_yield();
        maker->made++;
        return buffer_append_zero(ret, maker->size);
}

static unsigned count_threads(void) {
        g_autoptr(GDir) folder = g_dir_open("/proc/self/task", 0, NULL);
        unsigned count = 0;

        while (g_dir_read_name(folder))
                count++;
        return count;
}

static void test_many_processors(void) {
        unsigned before = count_threads();
        Maker maker = {.size = 64, .bad = NONE};
        _cleanup_(ahead_freep) Ahead *ahead = NULL;

        processors = 256;
        /* More than may wait, so that none of the threads ends. */
        g_assert_cmpint(ahead_new(wait_for_others, &maker, ITEMS, &ahead), ==, 0);
        processors = 0;
        while (maker.made < AHEAD_ITEMS_MAX)
                sched_yield();
        g_assert_cmpuint(count_threads(), ==, before + AHEAD_THREADS_MAX);
}

static void test_given_up(void) {
        for (size_t i = 0; i < 50; i++) {
                Maker maker = {.size = 64, .bad = NONE};
                _cleanup_(ahead_freep) Ahead *ahead = NULL;

                g_assert_cmpint(ahead_new(make, &maker, ITEMS, &ahead), ==, 0);
                for (size_t j = 0; j < i; j++)
                        take(ahead, j, 64);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/ahead/gives-each-item-in-order-whoever-made-it", test_order);
        g_test_add_func("/util/ahead/of-nothing-there-is-nothing-to-take", test_none);
        g_test_add_func("/util/ahead/items-can-be-left-out-and-none-is-given-twice", test_skip);
        g_test_add_func("/util/ahead/what-an-item-failed-with-comes-when-it-is-taken", test_failure);
        g_test_add_func("/util/ahead/large-items-are-not-piled-up", test_bounded);
        g_test_add_func("/util/ahead/many-processors-get-few-threads", test_many_processors);
        g_test_add_func("/util/ahead/can-be-given-up-at-any-time", test_given_up);
        return g_test_run();
}
