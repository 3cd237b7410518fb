/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/call.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/access.h"
#include "daemon/bus/authority.h"
#include "daemon/bus/dictionary.h"
#include "daemon/bus/journal.h"
#include "daemon/bus/notice.h"
#include "daemon/ops/parameters.h"
#include "dbus/lanza1-names.h"

/* Calls of one user that are not answered: each holds a message and may make polkit ask. Of all users but root. */
enum { CALLS_OF_USER_MAX = 16, CALLS_MAX = 256, PHASE_MAX = 64 };

/* Entries in the journal about calls that never began: so many in so many microseconds. */
enum { REFUSALS_MAX = 30, REFUSALS_PERIOD = 60 * 1000 * 1000 };

typedef struct Progress {
        pthread_mutex_t lock; /* the worker writes, the loop reads */
        char phase[PHASE_MAX];
        uint64_t done, total;
        bool news;
        bool waits;   /* for another program's lock: nothing is changed yet */
        bool give_up; /* it is not to go on once that is over */
} Progress;

struct Call {
        Job job;
        Call *next, *previous;
        Bus *bus;
        const CallKind *kind;
        const Operation *operation;
        const char *action; /* polkit's; NULL: none is needed */
        sd_bus_message *message;
        sd_bus_slot *question; /* to polkit */
        uid_t uid;
        uint64_t id;
        bool queued;   /* it waits for a worker, or runs */
        uint64_t turn; /* when one of this user's calls was last given to the reader; 0: none that is known */
        void *parameters, *result;
        Look look; /* after it */
        Failure failure;
        int r;
        Progress progress;
};

static void *structure_free(const Record *record, void *structure) {
        if (structure)
                record_done(record, structure);
        free(structure);
        return NULL;
}

void call_free(Call *call) {
        Bus *bus = call->bus;

        if (call->next)
                call->next->previous = call->previous;
        if (call->previous)
                call->previous->next = call->next;
        else if (bus->calls == call)
                bus->calls = call->next;
        sd_bus_slot_unref(call->question);
        sd_bus_message_unref(call->message);
        structure_free(call->operation->parameters, call->parameters);
        structure_free(call->operation->result, call->result);
        look_done(&call->look);
        failure_done(&call->failure);
        pthread_mutex_destroy(&call->progress.lock);
        free(call);
}

/* The same, where the service may have waited for it. */
static void call_end(Call *call) {
        Bus *bus = call->bus;

        call_free(call);
        if (!bus->calls && bus->host.settled)
                bus->host.settled(bus->host.userdata);
}

static Call *call_of(Call *calls, const Job *job) {
        while (calls && &calls->job != job)
                calls = calls->next;
        return calls;
}

const char *call_verb(const Call *calls, const Job *job) {
        const Call *call = call_of((Call *)calls, job);

        return call ? call->operation->verb : "";
}

/* On the worker's thread. */
static void note_progress(void *userdata, const char *phase, uint64_t done, uint64_t total) {
        Progress *progress = &((Call *)userdata)->progress;

        pthread_mutex_lock(&progress->lock);
        memset(progress->phase, 0, sizeof(progress->phase));
        strncpy(progress->phase, phase, sizeof(progress->phase) - 1);
        progress->done = done;
        progress->total = total;
        progress->news = true;
        pthread_mutex_unlock(&progress->lock);
}

static bool note_waiting(void *userdata, const char *name, bool locked) {
        Progress *progress = &((Call *)userdata)->progress;

        pthread_mutex_lock(&progress->lock);
        bool begins = !progress->waits && !locked, give_up = progress->give_up;
        progress->waits = !locked && !give_up;
        pthread_mutex_unlock(&progress->lock);
        if (begins)
                note_progress(userdata, LANZA1_PHASE_WAITING, 0, 0);
        return !give_up;
}

/* Whether what runs only waits for a lock, and will not go on. */
static bool give_up(Call *call) {
        Progress *progress = &call->progress;

        pthread_mutex_lock(&progress->lock);
        progress->give_up = progress->give_up || progress->waits;
        bool gives_up = progress->give_up;
        pthread_mutex_unlock(&progress->lock);
        return gives_up;
}

static bool wrote(const Call *call) {
        return call->operation->mutates && !call->kind->memory && !((const WriteParameters *)call->parameters)->dry_run;
}

static void run_job(Job *job) {
        Call *call = (Call *)job;
        const OperationWatch watch = {.progress = note_progress, .waiting = note_waiting, .userdata = call};
        const BusHost *host = &call->bus->host;

        if (call->kind->looks) {
                look_run(&call->look, host);
                call->r = failure_pass(&call->failure, &call->look.failure, call->look.r);
                return;
        }
        call->r = host->run(host->userdata, call->operation, call->parameters, call->result, &watch, &call->failure);
        if (wrote(call))
                look_run(&call->look, host);
}

static int emit_progress(const Call *call, const char *phase, uint64_t done, uint64_t total) {
        sd_bus_message *signal = NULL;
        int r;

        r = sd_bus_message_new_signal(call->bus->connection, &signal, LANZA1_OBJECT_PATH, LANZA1_MANAGER, "Progress");
        if (r >= 0)
                r = sd_bus_message_set_destination(signal, sd_bus_message_get_sender(call->message));
        if (r >= 0)
                r = sd_bus_message_append(signal, "tsstt", call->id, call->operation->verb, phase, done, total);
        if (r >= 0)
                r = sd_bus_send(call->bus->connection, signal, /* cookie= */ NULL);
        sd_bus_message_unref(signal);
        return r;
}

void call_send_progress(Call *calls, const Job *job) {
        Call *call = call_of(calls, job);
        char phase[PHASE_MAX];

        if (!call)
                return;
        Progress *progress = &call->progress;
        pthread_mutex_lock(&progress->lock);
        memcpy(phase, progress->phase, sizeof(phase));
        uint64_t done = progress->done, total = progress->total;
        bool news = progress->news;
        progress->news = false;
        pthread_mutex_unlock(&progress->lock);
        if (news)
                (void)emit_progress(call, phase, done, total);
}

/* Told before the answer is. */
static void tell_changes(Call *call) {
        Notice *notice = call->bus->notice;

        if (call->kind->looks)
                notice_take(notice, &call->look);
        else if (wrote(call))
                notice_take_own(notice, call->kind->area, &call->look);
}

static int append_property(const Call *call, sd_bus_message *reply) {
        const Field *field = record_field(call->operation->result, call->kind->property_field);
        const char *text = *(char *const *)field_at_const(field, call->result);

        if (strcmp(sd_bus_message_get_member(call->message), "Get") == 0)
                return sd_bus_message_append(reply, "v", "s", text);
        return sd_bus_message_append(reply, "a{sv}", 1, call->kind->property, "s", text);
}

static int append_result(const Call *call, sd_bus_message *reply) {
        const Record *record = call->operation->result;
        const Field *list;

        if (call->kind->looks)
                return 0;
        if (call->kind->property)
                return append_property(call, reply);
        if (call->kind->memory) {
                const SealedMemory *memory =
                        *(SealedMemory *const *)field_at_const(record_field(record, call->kind->memory), call->result);

                return sd_bus_message_append(reply, "h", memory->fd);
        }
        if (!call->kind->list)
                return dictionary_append(reply, record, call->result, call->r);
        list = record_field(record, call->kind->list);
        return dictionary_append_list(reply, list->record, field_at(list, call->result));
}

static int send_result(const Call *call) {
        sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = append_result(call, reply);
        if (r >= 0)
                r = sd_bus_send(call->bus->connection, reply, /* cookie= */ NULL);
        sd_bus_message_unref(reply);
        return r;
}

/* Whoever is refused again and again must not drown in the journal what others did. */
static bool may_note(const Call *call) {
        Bus *bus = call->bus;
        uint64_t now = 0;

        if (call->id != 0)
                return true;
        (void)sd_event_now(bus->event, CLOCK_MONOTONIC, &now);
        if (now - bus->refusals_since >= REFUSALS_PERIOD) {
                bus->refusals_since = now;
                bus->refusals = 0;
        }
        return bus->refusals++ < REFUSALS_MAX;
}

static void send_error(const Call *call, const sd_bus_error *error) {
        const char *last = error->name ? strrchr(error->name, '.') : NULL;

        if (call->operation->mutates && may_note(call))
                journal_call(call->operation->verb, call->uid, call->id, last ? last + 1 : "Failed", error->message);
        (void)sd_bus_reply_method_error(call->message, error);
}

static void send_failure(const Call *call, const Failure *failure) {
        sd_bus_error error = SD_BUS_ERROR_NULL;

        (void)bus_error_set_failure(&error, failure);
        send_error(call, &error);
        sd_bus_error_free(&error);
}

void call_finish(Call *calls, const Job *job) {
        Call *call = call_of(calls, job);
        int r;

        if (!call)
                return;
        call->queued = false;
        tell_changes(call);
        if (call->r >= 0) {
                if (call->operation->mutates)
                        journal_call(call->operation->verb, call->uid, call->id, "done", /* message= */ NULL);
                if (call->kind->finished)
                        call->kind->finished(call->bus, call->result);
                r = send_result(call);
                if (r < 0)
                        failure_set_errno(&call->failure, r, "Cannot send the result of %s", call->operation->verb);
        }
        if (call->failure.message || call->r < 0)
                send_failure(call, &call->failure);
        call_end(call);
}

static bool writer_is_busy(const Call *calls) {
        while (calls && !(calls->queued && calls->operation->mutates))
                calls = calls->next;
        return calls;
}

static void submit(Call *call) {
        Bus *bus = call->bus;
        bool must_wait = writer_is_busy(bus->calls);

        call->id = ++bus->last_id;
        call->queued = true;
        call->job.run = run_job;
        if (!call->operation->mutates) {
                bus_read_next(bus);
                return;
        }
        if (must_wait)
                (void)emit_progress(call, LANZA1_PHASE_QUEUED, 0, 0);
        worker_submit(bus->writer, &call->job);
}

static bool is_before(const Call *a, const Call *b) {
        if ((a->uid == 0) != (b->uid == 0))
                return a->uid == 0;
        return a->turn != b->turn ? a->turn < b->turn : a->id < b->id;
}

Job *call_next_read(Call *calls) {
        Call *next = NULL;

        for (Call *call = calls; call; call = call->next)
                if (call->queued && !call->operation->mutates && (!next || is_before(call, next)))
                        next = call;
        if (!next)
                return NULL;
        next->bus->turns++;
        for (Call *call = calls; call; call = call->next)
                if (call->uid == next->uid)
                        call->turn = next->bus->turns;
        notice_begin(next->bus->notice, &next->look);
        return &next->job;
}

bool call_area_is_busy(const Call *calls, WatchArea area) {
        for (const Call *call = calls; call; call = call->next)
                if (call->queued && wrote(call) && call->kind->area == area)
                        return true;
        return false;
}

/* Whether it has left the queue; what runs cannot, but does not wait any longer for a lock. */
static bool withdraw(Call *call) {
        Bus *bus = call->bus;
        bool runs;

        if (!call->queued)
                return true;
        runs = call->operation->mutates ? !worker_cancel(bus->writer, &call->job) : bus->reading == &call->job;
        if (!runs && wrote(call))
                notice_soon(bus->notice);
        call->queued = runs;
        if (runs)
                (void)give_up(call);
        return !runs;
}

void call_sender_left(Call *calls, const char *name) {
        for (Call *call = calls, *next; call; call = next) {
                next = call->next;
                if (strcmp(sd_bus_message_get_sender(call->message), name) == 0 && withdraw(call))
                        call_end(call);
        }
}

static void end_canceled(Call *call) {
        Failure failure = {};

        failure_set(&failure, CONDITION_CANCELED, "%s was canceled before it began", call->operation->verb);
        send_failure(call, &failure);
        failure_done(&failure);
        call_end(call);
}

void call_cancel_waiting(Call *calls) {
        for (Call *call = calls, *next; call; call = next) {
                next = call->next;
                if (withdraw(call))
                        end_canceled(call);
        }
}

int call_cancel(Bus *bus, sd_bus_message *message, uint64_t id, sd_bus_error *error) {
        const char *action;
        Call *call = bus->calls;
        uid_t uid;
        int r;

        r = call_check_access(bus, message, &uid, &action, error);
        if (r < 0)
                return r;
        while (call && (call->id != id || id == 0))
                call = call->next;
        if (!call)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "There is no operation with this id");
        if (uid != 0 && strcmp(sd_bus_message_get_sender(message), sd_bus_message_get_sender(call->message)) != 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "Only its caller and root may cancel an operation");
        if (withdraw(call)) {
                end_canceled(call);
        } else if (!give_up(call)) {
                Failure failure = {};

                failure_set(&failure, CONDITION_BUSY, "%s runs already", call->operation->verb);
                failure_set_hint(&failure, "It ends by itself; nothing is left half done.");
                r = bus_error_set_failure(error, &failure);
                failure_done(&failure);
                return r;
        }
        return sd_bus_reply_method_return(message, NULL);
}

/* Reads the message's arguments, from their beginning, into a new struct. */
static int read_parameters(const Call *call, void **ret, sd_bus_error *error) {
        const Operation *operation = call->operation;
        const Record *record = operation->parameters;
        void *parameters = record_new(record);
        const char *text = NULL;
        int r;

        if (!parameters)
                return -ENOMEM;
        r = sd_bus_message_rewind(call->message, /* complete= */ true);
        if (r >= 0 && call->kind->memory)
                r = dictionary_read_memory(call->message, record_field(record, call->kind->memory), parameters, error);
        else if (r >= 0 && !call->kind->list && !call->kind->looks && !call->kind->property)
                r = dictionary_read(call->message, record, call->kind->withheld, call->uid, parameters, error);
        else if (r >= 0 && call->kind->argument)
                r = sd_bus_message_read(call->message, "s", &text);
        if (r >= 0 && text && strlen(text) > DICTIONARY_STRING_MAX)
                r = sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "The argument is too long");
        if (r >= 0 && text && *text) {
                char **place = field_at(record_field(record, call->kind->argument), parameters);

                *place = strdup(text);
                r = *place ? 0 : -ENOMEM;
        }
        if (r < 0) {
                structure_free(record, parameters);
                return r;
        }
        *ret = parameters;
        return 0;
}

/* What was authorised is what is run: the arguments are read again, and must say the same. */
static int check_unchanged(Call *call, sd_bus_error *error) {
        void *again = NULL;
        int r;

        r = read_parameters(call, &again, error);
        if (r < 0)
                return r;
        if (!dictionary_equal(call->operation->parameters, call->parameters, again))
                r = sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "The arguments changed while polkit was asked");
        structure_free(call->operation->parameters, again);
        return r;
}

static void take_answer(void *userdata, bool allowed, const sd_bus_error *why) {
        Call *call = userdata;
        sd_bus_error error = SD_BUS_ERROR_NULL;

        call->question = sd_bus_slot_unref(call->question);
        if (!allowed) {
                send_error(call, why);
                call_end(call);
        } else if (check_unchanged(call, &error) < 0) {
                send_error(call, &error);
                call_end(call);
        } else {
                submit(call);
        }
        sd_bus_error_free(&error);
}

int call_check_access(const Bus *bus, sd_bus_message *message, uid_t *ret_uid, const char **ret_action,
                      sd_bus_error *error) {
        Access access = access_find(sd_bus_message_get_interface(message), sd_bus_message_get_member(message));
        int r;

        if (access.kind == ACCESS_DENIED || (access.kind == ACCESS_ACTION && !access.action))
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Nobody may call this method");
        r = callers_uid(bus->callers, message, ret_uid);
        if (r < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "The bus does not say who the caller is");
        *ret_action = access.action;
        return 0;
}

static int check_limits(const Bus *bus, uid_t uid, sd_bus_error *error) {
        _cleanup_(failure_done) Failure failure = {};
        size_t all = 0, own = 0;

        for (const Call *call = bus->calls; call; call = call->next) {
                all++;
                own += call->uid == uid;
        }
        if (bus->stopping)
                failure_set(&failure, CONDITION_CANCELED, "lanzad is being stopped");
        else if (own >= CALLS_OF_USER_MAX)
                failure_set(&failure, CONDITION_LIMITS_EXCEEDED, "%zu calls of user %u wait for their answers", own,
                            (unsigned)uid);
        else if (uid != 0 && all >= CALLS_MAX)
                failure_set(&failure, CONDITION_LIMITS_EXCEEDED, "%zu calls wait for their answers", all);
        return failure.message ? bus_error_set_failure(error, &failure) : 0;
}

/* Whoever had a turn while others wait does not become a newcomer by another call. */
static uint64_t turn_of(const Call *calls, uid_t uid) {
        while (calls && calls->uid != uid)
                calls = calls->next;
        return calls ? calls->turn : 0;
}

/* Takes MESSAGE into the list of calls. */
static int call_new(Bus *bus, sd_bus_message *message, const CallKind *kind, uid_t uid, Call **ret) {
        Call *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        pthread_mutex_init(&call->progress.lock, /* attr= */ NULL);
        call->bus = bus;
        call->kind = kind;
        call->operation = kind->looks ? &system_state_operation : operation_find(kind->verb);
        call->message = sd_bus_message_ref(message);
        call->uid = uid;
        call->turn = turn_of(bus->calls, uid);
        call->next = bus->calls;
        if (call->next)
                call->next->previous = call;
        bus->calls = call;
        call->result = calloc(1, call->operation->result->size);
        *ret = call;
        return call->result ? 0 : -ENOMEM;
}

/* Everything before the first wait. */
static int prepare(Call *call, sd_bus_error *error) {
        int r;

        r = read_parameters(call, &call->parameters, error);
        if (r < 0)
                return r;
        if (call->uid != 0 && call->action)
                return authority_ask(call->message, call->action, take_answer, call, &call->question);
        submit(call);
        return 0;
}

int call_start(Bus *bus, sd_bus_message *message, const CallKind *kind, sd_bus_error *error) {
        const char *action;
        Call *call = NULL;
        uid_t uid;
        int r;

        r = call_check_access(bus, message, &uid, &action, error);
        if (r < 0)
                return r;
        r = check_limits(bus, uid, error);
        if (r < 0)
                return r;
        r = call_new(bus, message, kind, uid, &call);
        if (call)
                call->action = action;
        if (r >= 0)
                r = prepare(call, error);
        if (r >= 0)
                return 1;
        if (call)
                call_end(call);
        return r;
}
