/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/ahead.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/util/thread.h"

typedef struct Item {
        bool is_made;
        int error; /* 0, or what making it failed with */
        Failure failure;
        Buffer bytes;
} Item;

/* Items [taken, begun) are in the ring, each at its index modulo the ring's size. */
struct Ahead {
        AheadMake make;
        void *userdata;
        size_t count;

        pthread_t threads[AHEAD_THREADS_MAX];
        size_t thread_count;
        pthread_mutex_t lock; /* for all below */
        pthread_cond_t changed;
        Item ring[AHEAD_ITEMS_MAX];
        size_t taken, begun;
        size_t bytes; /* of what was made and not taken */
        bool ending;
};

static Item *item_of(Ahead *ahead, size_t index) {
        return &ahead->ring[index % AHEAD_ITEMS_MAX];
}

static void item_done(Item *item) {
        buffer_done(&item->bytes);
        failure_done(&item->failure);
        *item = (Item){};
}

/* Whoever waits for the first item gets it, however large the others are. */
static bool has_room(const Ahead *ahead) {
        return ahead->begun == ahead->taken ||
               (ahead->begun - ahead->taken < AHEAD_ITEMS_MAX && ahead->bytes < AHEAD_BYTES_MAX);
}

/* Makes the next item; called, and returns, with the lock held. */
static void make_next(Ahead *ahead) {
        size_t index = ahead->begun++;
        Item made = {.is_made = true};

        pthread_mutex_unlock(&ahead->lock);
        made.error = ahead->make(ahead->userdata, index, &made.bytes, &made.failure);
        pthread_mutex_lock(&ahead->lock);
        ahead->bytes += made.bytes.size;
        *item_of(ahead, index) = made;
        pthread_cond_broadcast(&ahead->changed);
}

static void *make_items(void *userdata) {
        Ahead *ahead = userdata;

        pthread_mutex_lock(&ahead->lock);
        while (!ahead->ending && ahead->begun < ahead->count)
                if (has_room(ahead))
                        make_next(ahead);
                else
                        pthread_cond_wait(&ahead->changed, &ahead->lock);
        pthread_mutex_unlock(&ahead->lock);
        return NULL;
}

/* How many threads are worth their while. One processor stays for the owner, who makes items, too, instead of being
 * woken for each. */
static size_t threads_for(size_t count) {
        cpu_set_t set;
        size_t processors = sched_getaffinity(/* pid= */ 0, sizeof(set), &set) < 0 ? 1 : CPU_COUNT(&set);

        if (processors > 1)
                processors--;
        if (processors > AHEAD_THREADS_MAX)
                processors = AHEAD_THREADS_MAX;
        return count < processors ? count : processors;
}

int ahead_new(AheadMake make, void *userdata, size_t count, Ahead **ret) {
        Ahead *ahead = calloc(1, sizeof(*ahead));
        size_t threads = threads_for(count);

        if (!ahead)
                return -ENOMEM;
        ahead->make = make;
        ahead->userdata = userdata;
        ahead->count = count;
        pthread_mutex_init(&ahead->lock, /* attr= */ NULL);
        pthread_cond_init(&ahead->changed, /* attr= */ NULL);
        while (ahead->thread_count < threads &&
               thread_start(&ahead->threads[ahead->thread_count], make_items, ahead) >= 0)
                ahead->thread_count++;
        *ret = ahead;
        return 0;
}

/* Until the first item that was not taken is there, others are made here as well; when there are none, this waits. */
static Item *first_item(Ahead *ahead) {
        Item *item = item_of(ahead, ahead->taken);

        while (!item->is_made)
                if (ahead->begun < ahead->count && has_room(ahead))
                        make_next(ahead);
                else
                        pthread_cond_wait(&ahead->changed, &ahead->lock);
        return item;
}

/* Out of the ring, so that there is room for another. */
static void take_first(Ahead *ahead, Item *ret) {
        Item *item = first_item(ahead);

        ahead->taken++;
        ahead->bytes -= item->bytes.size;
        *ret = TAKE_STRUCT(*item);
        pthread_cond_broadcast(&ahead->changed);
}

int ahead_take(Ahead *ahead, size_t index, Buffer *ret, Failure *failure) {
        _cleanup_(item_done) Item item = {};

        if (index < ahead->taken || index >= ahead->count)
                return -EINVAL;
        pthread_mutex_lock(&ahead->lock);
        do {
                item_done(&item);
                take_first(ahead, &item);
        } while (ahead->taken <= index);
        pthread_mutex_unlock(&ahead->lock);
        if (item.error < 0)
                return failure_pass(failure, &item.failure, item.error);
        *ret = TAKE_STRUCT(item.bytes);
        return 0;
}

Ahead *ahead_free(Ahead *ahead) {
        pthread_mutex_lock(&ahead->lock);
        ahead->ending = true;
        pthread_cond_broadcast(&ahead->changed);
        pthread_mutex_unlock(&ahead->lock);
        for (size_t i = 0; i < ahead->thread_count; i++)
                pthread_join(ahead->threads[i], /* retval= */ NULL);
        for (size_t i = 0; i < AHEAD_ITEMS_MAX; i++)
                item_done(&ahead->ring[i]);
        pthread_cond_destroy(&ahead->changed);
        pthread_mutex_destroy(&ahead->lock);
        free(ahead);
        return NULL;
}
