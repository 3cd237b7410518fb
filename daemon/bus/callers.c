/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bus is asked over a connection of its own. Waiting for an answer on the one that callers share would mean to read
 * all that they sent before, and to keep it: messages without end, each with its descriptors. */
#include "daemon/bus/callers.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/util/failure.h"
#include "daemon/util/macro.h"
#include "dbus/lanza1-names.h"

#define SECOND UINT64_C(1000000) /* in microseconds, as all times here */

/* What a user may take of the loop's time. */
#define BUDGET_MAX (SECOND / 10)
enum {
        BUDGET_SHARE = 10, /* it grows by a tenth of the time that passes */
        BUDGETS = 64,      /* users that are as far apart share one */
        ANSWERS_MAX = 512, /* that the bus does not take from us */
        CALLERS_MAX = 1024,
        STRAY_MAX = 256, /* messages to the connection that asks */
};

/* A connection that has called. The bus gives its name to no other, ever, and its user never changes. */
typedef struct Caller {
        struct Caller *next;
        uid_t uid;
        char name[];
} Caller;

typedef struct Budget {
        uint64_t left;
        uint64_t updated; /* 0: never was */
} Budget;

struct Callers {
        sd_bus *connection;
        sd_bus_slot *filter, *match;
        CallerLeft left;
        void *userdata;
        sd_bus *asking; /* NULL: none yet */
        Caller *first;  /* the last one that called */
        size_t count;
        Budget budgets[BUDGETS];
        Budget *spender;        /* whose message the loop deals with; NULL: root's, or none */
        uint64_t spender_began; /* by the loop's processor time */
};

static uint64_t now_us(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

static Caller **find(Callers *callers, const char *name) {
        Caller **place = &callers->first;

        while (*place && strcmp((*place)->name, name) != 0)
                place = &(*place)->next;
        return place;
}

static int add(Callers *callers, const char *name, uid_t uid) {
        Caller *caller = malloc(sizeof(*caller) + strlen(name) + 1);

        if (!caller)
                return -ENOMEM;
        caller->uid = uid;
        strcpy(caller->name, name);
        caller->next = callers->first;
        callers->first = caller;
        callers->count++;
        return 0;
}

static void remove_at(Callers *callers, Caller **place) {
        Caller *caller = *place;

        *place = caller->next;
        free(caller);
        callers->count--;
}

/* The bus tells of those that leave, unless too much waits for us. */
static void forget_oldest(Callers *callers) {
        Caller **place = &callers->first;

        if (callers->count <= CALLERS_MAX)
                return;
        while ((*place)->next)
                place = &(*place)->next;
        remove_at(callers, place);
}

/* Nothing is meant for the connection that asks, and what comes to it all the same must not pile up. */
static bool discard_strays(sd_bus *connection) {
        int r = 1;

        for (size_t i = 0; r > 0 && i < STRAY_MAX; i++)
                r = sd_bus_process(connection, /* ret= */ NULL);
        return r == 0;
}

static int ask_bus(Callers *callers, const char *name, uid_t *ret) {
        sd_bus_creds *creds = NULL;
        int r;

        if (!callers->asking) {
                r = sd_bus_open_system(&callers->asking);
                if (r < 0)
                        return r;
        }
        r = sd_bus_get_name_creds(callers->asking, name, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, ret);
        sd_bus_creds_unref(creds);
        if ((r < 0 && r != -ENXIO) || !discard_strays(callers->asking))
                callers->asking = sd_bus_close_unref(callers->asking);
        return r;
}

int callers_uid(Callers *callers, sd_bus_message *message, uid_t *ret) {
        const char *name = sd_bus_message_get_sender(message);
        uid_t uid;
        int r;

        if (!name)
                return -ENXIO;
        Caller **place = find(callers, name), *caller = *place;
        if (caller) {
                *place = caller->next;
                caller->next = callers->first;
                callers->first = caller;
                *ret = caller->uid;
                return 0;
        }
        r = ask_bus(callers, name, &uid);
        if (r >= 0)
                r = add(callers, name, uid);
        if (r < 0)
                return r;
        forget_oldest(callers);
        *ret = uid;
        return 0;
}

/* The loop deals with one message after the other: what it used up since the last one came was for that one. */
static void charge(Callers *callers, Budget *next) {
        uint64_t used = now_us(CLOCK_THREAD_CPUTIME_ID), spent = used - callers->spender_began;
        Budget *spender = callers->spender;

        if (spender)
                spender->left -= spent < spender->left ? spent : spender->left;
        callers->spender = next;
        callers->spender_began = used;
}

static bool may_spend(Budget *budget) {
        uint64_t now = now_us(CLOCK_MONOTONIC);

        budget->left += (now - budget->updated) / BUDGET_SHARE;
        if (budget->left > BUDGET_MAX || budget->updated == 0)
                budget->left = BUDGET_MAX;
        budget->updated = now;
        return budget->left > BUDGET_MAX / 100;
}

static bool admit(Callers *callers, uid_t uid) {
        Budget *budget = uid == 0 ? NULL : &callers->budgets[uid % BUDGETS];

        charge(callers, budget);
        return !budget || may_spend(budget);
}

static void turn_away(sd_bus_message *message) {
        char name[128];

        snprintf(name, sizeof(name), LANZA1_ERROR_PREFIX "%s", condition_name(CONDITION_LIMITS_EXCEEDED));
        (void)sd_bus_reply_method_errorf(message, name, "This user calls too often\nCall again in a second.");
}

/* Nobody reads what we send: it would all stay here. Whoever calls then gets no answer; root always does. */
static bool is_choked(const Callers *callers) {
        uint64_t unsent = 0;

        (void)sd_bus_get_n_queued_write(callers->connection, &unsent);
        return unsent > ANSWERS_MAX;
}

/* Returns 1 for a message that is dealt with. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Callers *callers = userdata;
        uid_t uid;

        if (!sd_bus_message_is_method_call(message, /* interface= */ NULL, /* member= */ NULL))
                return 0;
        if (callers_uid(callers, message, &uid) < 0)
                return 1; /* who left meanwhile waits for nothing */
        if (uid != 0 && is_choked(callers))
                return 1;
        if (admit(callers, uid))
                return 0;
        turn_away(message);
        return 1;
}

static int on_left(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Callers *callers = userdata;
        const char *name;

        if (sd_bus_message_read(message, "s", &name) < 0 || *name != ':')
                return 0;
        Caller **place = find(callers, name);
        if (*place)
                remove_at(callers, place);
        callers->left(callers->userdata, name);
        return 0;
}

int callers_new(sd_bus *connection, CallerLeft left, void *userdata, Callers **ret) {
        Callers *callers = calloc(1, sizeof(*callers));
        int r;

        if (!callers)
                return -ENOMEM;
        callers->connection = connection;
        callers->left = left;
        callers->userdata = userdata;
        r = sd_bus_add_filter(connection, &callers->filter, on_message, callers);
        /* A match of its own for each caller would mean a question to the bus for each call. */
        if (r >= 0)
                r = sd_bus_add_match(connection, &callers->match,
                                     "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                     "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
                                     on_left, callers);
        if (r < 0) {
                callers_free(callers);
                return r;
        }
        *ret = callers;
        return 0;
}

Callers *callers_free(Callers *callers) {
        sd_bus_slot_unref(callers->filter);
        sd_bus_slot_unref(callers->match);
        sd_bus_close_unref(callers->asking);
        while (callers->first)
                remove_at(callers, &callers->first);
        free(callers);
        return NULL;
}
