/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/operation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/errors.h"
#include "client/print.h"
#include "client/program.h"

/* The service writes no files for its callers. */
static bool needs_program(const Session *session, json_t *options) {
        return json_object_size(session->own) > 0 || json_object_get(options, "export");
}

static int say_no_service(const char *reason, json_t **ret_result) {
        json_t *error;

        *ret_result = error_object("org.freedesktop.DBus.Error.ServiceUnknown", reason ? reason : "out of memory");
        error = json_object_get(*ret_result, "error");
        json_object_set_new(error, "hint",
                            json_string("Without the service only root can do this: run it again with sudo."));
        return STATUS_NO_SERVICE;
}

/* *RET_SAID: a program of ours speaks for itself. */
static int call_anyone(const Session *session, const char *verb, json_t *options, json_t **ret_result, bool *ret_said) {
        char *reason = NULL;
        int r;

        *ret_said = false;
        if (!needs_program(session, options)) {
                r = bus_call(session, verb, options, ret_result, &reason);
                if (r == BUS_ABSENT && geteuid() != 0)
                        r = say_no_service(reason, ret_result);
                free(reason);
                if (r != BUS_ABSENT)
                        return r;
        }
        *ret_said = true;
        return program_call(session, verb, options, ret_result);
}

int operation_call(const Session *session, const char *verb, json_t *options, json_t **ret_result) {
        bool said;
        int r;

        r = call_anyone(session, verb, options, ret_result, &said);
        if (*ret_result && json_object_get(*ret_result, "error")) {
                print_error(session, *ret_result, !said);
                json_decref(*ret_result);
                *ret_result = NULL;
        }
        return r;
}
