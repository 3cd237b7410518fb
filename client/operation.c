/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/operation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/errors.h"
#include "client/handover.h"
#include "client/print.h"
#include "client/program.h"
#include "client/signing.h"
#include "dbus/lanza1-names.h"

static bool is_signing(const char *verb) {
        return strcmp(verb, "sign") == 0;
}

/* What the service serves: one system, with its own configuration or one that is handed over. It writes no files for
 * its callers. */
static bool needs_program(const Session *session, const char *verb, json_t *options) {
        size_t handed_over = handover_is_due(verb) && json_object_get(session->own, "config") ? 1 : 0;

        return json_object_size(session->own) > handed_over || json_object_get(options, "export") ||
               (is_signing(verb) && signing_needs_program(options));
}

static bool is_tree(const Session *session) {
        return json_object_get(session->own, "root");
}

static int say_no_service(const char *reason, json_t **ret_result) {
        json_t *error;

        *ret_result = error_object("org.freedesktop.DBus.Error.ServiceUnknown", reason ? reason : "out of memory");
        error = json_object_get(*ret_result, "error");
        json_object_set_new(error, "hint",
                            json_string("Without the service only root can do this: run it again with sudo."));
        return STATUS_NO_SERVICE;
}

/* A service that runs nevertheless, of another version perhaps, learns of it. */
static int run_program(const Session *session, const char *verb, json_t *options, json_t **ret_result) {
        int r;

        r = program_call(session, verb, options, ret_result);
        if (geteuid() == 0 && bus_verb_writes(verb) && !is_tree(session) && !json_object_get(options, "export") &&
            !truth_of(options, "dry-run"))
                bus_tell_reload();
        return r;
}

enum { NOBODY = -1 }; /* no exit status: it is left to a program of ours */

/* What an error says of the service, and not of what was asked: it was taken away in the middle, or its sandbox, which
 * is still the old system's, does not have a place that the new configuration names. Activation has to be over when it
 * ends, and can do it itself. */
static bool is_of_the_service(const char *name) {
        static const char *const names[] = {"Failed", "Canceled", "LimitsExceeded", "EspReadOnly", "EspNotFound"};

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

/* The message of such an error, of the whole or of one partition; NULL if there is none. Borrowed. */
static const char *find_left_undone(json_t *result) {
        json_t *error = json_object_get(result, "error"), *partition;
        const char *name = text_of(error, "name");
        size_t i;

        if (*name && (strncmp(name, LANZA1_ERROR_PREFIX, strlen(LANZA1_ERROR_PREFIX)) != 0 ||
                      is_of_the_service(name + strlen(LANZA1_ERROR_PREFIX))))
                return text_of(error, "message");
        json_array_foreach(json_object_get(result, "partitions"), i, partition) {
                if (is_of_the_service(text_of(partition, "error")))
                        return text_of(partition, "problem");
        }
        return NULL;
}

static void warn_of_service(const char *message) {
        json_auto_t *warning =
                json_pack("{s:[o]}", "warnings",
                          json_sprintf("The service lanzad did not do it, so it is done without it: %s", message));

        print_warnings(warning);
}

static int ask(sd_bus *bus, const Session *session, const char *verb, json_t *options, Handover *handover,
               json_t **ret_result, bool *ret_said) {
        const char *left_undone;
        int r;

        r = handover_is_due(verb) ? handover_take_secrets(handover, session, options, ret_result) : 0;
        *ret_said = r != 0;
        if (r != 0 || handover->too_much)
                return r != 0 ? r : NOBODY;
        r = is_signing(verb) ? signing_call(bus, session, options, ret_result)
                             : bus_call(bus, session, verb, options, handover, ret_result);
        left_undone = session->hook ? find_left_undone(*ret_result) : NULL;
        if (!left_undone)
                return r;
        warn_of_service(left_undone);
        json_decref(*ret_result);
        *ret_result = NULL;
        return NOBODY;
}

static int ask_service(const Session *session, const char *verb, json_t *options, Handover *handover,
                       json_t **ret_result, bool *ret_said) {
        char *reason = NULL;
        sd_bus *bus = bus_open(&reason);
        int r = NOBODY;

        if (bus)
                r = ask(bus, session, verb, options, handover, ret_result, ret_said);
        else if (geteuid() != 0)
                r = say_no_service(reason, ret_result);
        sd_bus_flush_close_unref(bus);
        free(reason);
        return r;
}

/* *RET_SAID: a program of ours speaks for itself. */
static int call_anyone(const Session *session, const char *verb, json_t *options, json_t **ret_result, bool *ret_said) {
        Handover handover = HANDOVER_NONE;
        int r = 0;

        *ret_said = false;
        if (handover_is_due(verb) && !is_tree(session))
                r = handover_take_configuration(&handover, session, ret_result);
        if (r == 0)
                r = needs_program(session, verb, options)
                            ? NOBODY
                            : ask_service(session, verb, options, &handover, ret_result, ret_said);
        handover_done(&handover);
        if (r != NOBODY)
                return r;
        *ret_said = true;
        return run_program(session, verb, options, ret_result);
}

int operation_call(const Session *session, const char *verb, json_t *options, json_t **ret_result) {
        bool said;
        int r;

        *ret_result = NULL;
        r = call_anyone(session, verb, options, ret_result, &said);
        if (*ret_result && json_object_get(*ret_result, "error")) {
                print_error(session, *ret_result, !said);
                json_decref(*ret_result);
                *ret_result = NULL;
        }
        return r;
}
