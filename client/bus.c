/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "client/agent.h"
#include "client/bus-json.h"
#include "client/errors.h"
#include "client/print.h"
#include "client/progress.h"
#include "dbus/lanza1-names.h"

#define _cleanup_(f) __attribute__((cleanup(f)))

enum { RELOAD_MICROSECONDS = 5000000 };

/* Verbs and what serves them; one that has several rows is served by as many calls, whose answers become one. */
typedef struct Method {
        const char *verb, *interface, *member;
        bool writes;          /* not for everybody: there may be a password to type */
        const char *list;     /* aa{sv}, which becomes this member of the result; NULL: a{sv} → a{sv} */
        const char *argument; /* with LIST: the option that is its argument, s; NULL: none */
        const char *property; /* a text of the interface, which belongs to the result as PROPERTY_MEMBER; NULL: none */
        const char *property_member;
        bool memory; /* h → h instead */
} Method;

static const Method methods[] = {
        {"create-keys", LANZA1_KEYS, "Create", .writes = true},
        {"enroll-keys", LANZA1_FIRMWARE, "Enroll", .writes = true},
        {"sync", LANZA1_ESP, "Sync", .writes = true},
        {"gc", LANZA1_ESP, "CollectGarbage", .writes = true},
        {"sign", LANZA1_ESP, "SignImage", .writes = true, .memory = true},
        {"status", LANZA1_MANAGER, "GetStatus"},
        {"list", LANZA1_ESP, "ListGenerations", .list = "generations"},
        {"list", LANZA1_ESP, "ListImages", .list = "images"},
        {"list", LANZA1_ESP, "ListPartitions", .list = "partitions"},
        {"list-enrolled-keys", LANZA1_FIRMWARE, "ListSignatures", .list = "keys", .argument = "variable"},
        {"security", LANZA1_SECURITY, "GetHostSecurityAttrs", .list = "attributes", .property = "HostSecurityId",
         .property_member = "host-security-id"},
};

static const Method *find_method(const char *verb) {
        for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
                if (strcmp(methods[i].verb, verb) == 0)
                        return &methods[i];
        abort(); /* every caller has one of these verbs */
}

/* The next row of the same verb, or NULL. */
static const Method *next_method(const Method *method) {
        const Method *next = method + 1;

        return next < methods + sizeof(methods) / sizeof(*methods) && strcmp(next->verb, method->verb) == 0 ? next
                                                                                                            : NULL;
}

bool bus_verb_writes(const char *verb) {
        return find_method(verb)->writes;
}

typedef struct Call {
        const Session *session;
        const Method *method;
        const Handover *handover;
        bool over;
        int status;
        json_t *result;
        int memory; /* where the method takes and gives some: first the one, then the other, which is owned */
        Progress progress;
} Call;

static char *reason_text(const char *what, const char *why) {
        char *text;

        return asprintf(&text, "%s: %s", what, why) < 0 ? NULL : text;
}

static void take_failure(Call *call, const sd_bus_error *error) {
        json_decref(call->result);
        call->result = error_object(error->name, error->message ? error->message : "");
        call->status = error_exit_status(error->name);
}

/* The key that is no field of the operation's own result becomes the exit status. */
static void take_result(Call *call, json_t *result) {
        json_t *status = json_object_get(result, LANZA1_EXIT_STATUS);

        call->status = status ? (int)json_integer_value(status) : STATUS_DONE;
        json_object_del(result, LANZA1_EXIT_STATUS);
        if (!call->method->list) {
                call->result = result;
                return;
        }
        if (!call->result)
                call->result = json_object();
        json_object_set_new(call->result, call->method->list, result);
}

static void take_unreadable(Call *call) {
        take_failure(call, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_INCONSISTENT_MESSAGE,
                                                    "The service's answer cannot be read"));
}

/* A descriptor of the message's is closed with it. */
static void take_memory(Call *call, sd_bus_message *reply) {
        int memory;

        call->memory = sd_bus_message_read(reply, "h", &memory) < 0 ? -1 : fcntl(memory, F_DUPFD_CLOEXEC, 0);
        if (call->memory < 0)
                take_unreadable(call);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *unused) {
        Call *call = userdata;
        json_t *result;

        call->over = true;
        if (sd_bus_message_is_method_error(reply, /* name= */ NULL)) {
                take_failure(call, sd_bus_message_get_error(reply));
                return 0;
        }
        if (call->method->memory) {
                take_memory(call, reply);
                return 0;
        }
        result = bus_read_json(reply);
        if (result)
                take_result(call, result);
        else
                take_unreadable(call);
        return 0;
}

static int on_progress(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
        Call *call = userdata;
        const char *operation, *phase;
        uint64_t id, done, total;

        if (sd_bus_message_read(message, "tsstt", &id, &operation, &phase, &done, &total) < 0)
                return 0;
        progress_show(&call->progress, operation, phase, done, total);
        return 0;
}

static int append_options(sd_bus_message *message, const Call *call, json_t *options) {
        int r;

        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = bus_append_options(message, options);
        if (r >= 0)
                r = handover_append(call->handover, message);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_arguments(sd_bus_message *message, const Call *call, json_t *options) {
        const Method *method = call->method;

        if (method->memory)
                return sd_bus_message_append(message, "h", call->memory);
        if (!method->list)
                return append_options(message, call, options);
        return method->argument ? sd_bus_message_append(message, "s", text_of(options, method->argument)) : 0;
}

static int make_message(sd_bus *bus, const Call *call, json_t *options, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &message, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH, call->method->interface,
                                           call->method->member);
        if (r < 0)
                return r;
        r = sd_bus_message_set_allow_interactive_authorization(message, call->session->ask);
        if (r < 0)
                return r;
        r = append_arguments(message, call, options);
        if (r < 0)
                return r;
        *ret = sd_bus_message_ref(message);
        return 0;
}

static int send_and_wait(sd_bus *bus, Call *call, json_t *options) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *progress = NULL; /* of this call, and no longer than it */
        pid_t agent;
        int r;

        r = sd_bus_match_signal(bus, &progress, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH, LANZA1_MANAGER, "Progress",
                                on_progress, call);
        if (r < 0)
                return r;
        r = make_message(bus, call, options, &message);
        if (r < 0)
                return r;
        /* What everybody may ask needs no password. */
        agent = call->method->writes ? agent_start(call->session) : 0;
        r = sd_bus_call_async(bus, /* slot= */ NULL, message, on_reply, call, UINT64_MAX);
        while (r >= 0 && !call->over) {
                r = sd_bus_process(bus, /* ret= */ NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        progress_clear(&call->progress);
        agent_stop(agent);
        return r;
}

/* What the service does not tell now is missing in the result. */
static void add_property(sd_bus *bus, Call *call) {
        const Method *method = call->method;
        char *text = NULL;

        if (sd_bus_get_property_string(bus, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH, method->interface, method->property,
                                       /* error= */ NULL, &text) >= 0)
                json_object_set_new(call->result, method->property_member, json_string(text));
        free(text);
}

/* Asks for the version, which starts the service. */
static bool service_is_ours(sd_bus *bus, char **ret_reason) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char *version = NULL;
        bool ours;
        int r;

        r = sd_bus_get_property_string(bus, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH, LANZA1_MANAGER, "Version", &error,
                                       &version);
        if (r < 0) {
                *ret_reason = reason_text("The service lanzad cannot be reached",
                                          error.message ? error.message : strerror(-r));
                return false;
        }
        ours = strcmp(version, LANZA_VERSION) == 0;
        if (!ours)
                *ret_reason =
                        reason_text("The running service lanzad is of another version than " LANZA_VERSION, version);
        free(version);
        return ours;
}

sd_bus *bus_open(char **ret_reason) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system(&bus);
        if (r < 0)
                *ret_reason = reason_text("The system bus cannot be reached", strerror(-r));
        return r >= 0 && service_is_ours(bus, ret_reason) ? bus : sd_bus_flush_close_unref(bus);
}

/* R is what waiting for the reply ended with. */
static void take_disconnection(Call *call, int r) {
        if (r >= 0 || call->over)
                return;
        take_failure(call, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_DISCONNECTED,
                                                    "The connection to the service broke; "
                                                    "what it had begun, it may have finished\n"
                                                    "See 'lanzactl status' and 'journalctl -u lanzad'."));
}

int bus_call(sd_bus *bus, const Session *session, const char *verb, json_t *options, const Handover *handover,
             json_t **ret_result) {
        Call call = {
                .session = session,
                .method = find_method(verb),
                .handover = handover,
                .progress = progress_new(session),
        };
        int r;

        r = send_and_wait(bus, &call, options);
        while (r >= 0 && call.status == STATUS_DONE && next_method(call.method)) {
                call.method = next_method(call.method);
                call.over = false;
                r = send_and_wait(bus, &call, options);
        }
        if (r >= 0 && call.status == STATUS_DONE && call.method->property)
                add_property(bus, &call);
        take_disconnection(&call, r);
        *ret_result = call.result;
        return call.status;
}

int bus_call_memory(sd_bus *bus, const Session *session, const char *verb, int memory, int *ret_memory,
                    json_t **ret_error) {
        Call call = {
                .session = session,
                .method = find_method(verb),
                .memory = memory,
                .progress = progress_new(session),
        };

        take_disconnection(&call, send_and_wait(bus, &call, /* options= */ NULL));
        *ret_error = call.result;
        if (call.status == STATUS_DONE)
                *ret_memory = call.memory;
        return call.status;
}

void bus_tell_reload(void) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;

        if (sd_bus_open_system(&bus) < 0 ||
            sd_bus_message_new_method_call(bus, &message, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH, LANZA1_MANAGER,
                                           "Reload") < 0 ||
            sd_bus_message_set_auto_start(message, false) < 0)
                return;
        /* An older one may not know the method: it is none of our business, nor of who called us. */
        (void)sd_bus_call(bus, message, RELOAD_MICROSECONDS, /* ret_error= */ NULL, /* ret_reply= */ NULL);
}
