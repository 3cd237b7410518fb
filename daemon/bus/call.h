/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The life of a method call that runs an operation:
 *
 *      read the arguments → find the access row → (ask polkit → read the arguments again) → wait in a worker's queue
 *      → run → answer, emit what changed, write to the journal
 *
 * A call whose sender leaves the bus before it runs is dropped. */

#include "daemon/bus/bus-private.h"
#include "daemon/ops/watch.h"

/* What a method does. */
typedef struct CallKind {
        const char *verb;            /* the operation */
        const char *const *withheld; /* options that are not for the bus; ended by NULL */
        const char *list;            /* → aa{sv}: the field of the result that is the answer; NULL: a{sv} → a{sv} */
        const char *property; /* asked for by Properties.Get or GetAll, its interface's only one; NULL: a method */
        const char *property_field; /* with PROPERTY: the text of the result that is its value */
        const char *argument;       /* with LIST: s → aa{sv}, the parameter that is asked for; NULL: no argument */
        const char *memory; /* h → h: the parameter that is handed in and the field of the result that is the answer, of
                               one name; nothing else changes. NULL: another form */
        void (*finished)(Bus *bus, const void *result); /* told of a good result, before it is sent; may be NULL */
        WatchArea area;                                 /* what an operation that writes changes */
        bool looks;                                     /* () → (): no operation, but a look at what others did */
} CallKind;

/* For a method's handler in a vtable. */
int call_start(Bus *bus, sd_bus_message *message, const CallKind *kind, sd_bus_error *error);

/* Takes the call with that id out of the queue, or keeps it from going on where it waits for a lock, for the sender of
 * MESSAGE. */
int call_cancel(Bus *bus, sd_bus_message *message, uint64_t id, sd_bus_error *error);

/* Ends those of the connection NAME, which has left, that do not run or wait for a lock. */
void call_sender_left(Call *calls, const char *name);

/* Ends all that do not run or wait for a lock; they answer Canceled. */
void call_cancel_waiting(Call *calls);

/* Answers for a JOB that a worker is done with. */
void call_finish(Call *calls, const Job *job);

/* Sends how far JOB is, if that is news. */
void call_send_progress(Call *calls, const Job *job);

/* Of those that wait for the reader, the one whose turn it is, NULL if there is none: root's before others', then those
 * of the user who was longest without one, then the oldest. */
Job *call_next_read(Call *calls);

/* Whether an operation that changes AREA waits or runs. */
bool call_area_is_busy(const Call *calls, WatchArea area);

/* JOB's verb. */
const char *call_verb(const Call *calls, const Job *job);

/* Takes it out of the list and frees it; no worker may have it. */
void call_free(Call *call);

/* The access row of MESSAGE; AccessDenied for what is in no row, as a negative errno. *RET_UID is the sender's. */
int call_check_access(const Bus *bus, sd_bus_message *message, uid_t *ret_uid, const char **ret_action,
                      sd_bus_error *error);
