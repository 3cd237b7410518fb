/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/call.h"

static const CallKind status_kind = {.verb = "status"};
static const CallKind reload_kind = {.looks = true};

static int method_get_status(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &status_kind, error);
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &reload_kind, error);
}

static int method_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        uint64_t id;
        int r;

        r = sd_bus_message_read(message, "t", &id);
        return r < 0 ? r : call_cancel(userdata, message, id, error);
}

static int get_version(sd_bus *connection, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", LANZA_VERSION);
}

static int get_operation(sd_bus *connection, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *bus = userdata;

        return sd_bus_message_append(reply, "s", bus->running);
}

const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Operation", "s", get_operation, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("GetStatus", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result),
                                method_get_status, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("t", id), SD_BUS_NO_RESULT, method_cancel,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("t", id, "s", operation, "s", phase, "t", done, "t", total), 0),
        SD_BUS_SIGNAL_WITH_ARGS("StateChanged", SD_BUS_ARGS("as", what), 0),
        SD_BUS_VTABLE_END,
};
