/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/bus/call.h"
#include "daemon/ops/state.h"
#include "dbus/lanza1-names.h"

static const char *const properties[] = {"SecureBoot", "SetupMode", "Mode", NULL};

/* A caller of the bus names no path. */
static const char *const withheld[] = {"export", "output", NULL};

static const CallKind enroll_kind = {
        .verb = "enroll-keys",
        .withheld = withheld,
        .state = "firmware",
        .interface = LANZA1_FIRMWARE,
        .properties = properties,
};
static const CallKind list_kind = {.verb = "list-enrolled-keys", .list = "keys", .argument = "variable"};

static int method_enroll(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &enroll_kind, error);
}

static int method_list_signatures(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &list_kind, error);
}

static int append_property(sd_bus_message *reply, const char *property, const FirmwareState *state) {
        if (strcmp(property, "SecureBoot") == 0)
                return sd_bus_message_append(reply, "b", (int)state->secure_boot);
        if (strcmp(property, "SetupMode") == 0)
                return sd_bus_message_append(reply, "b", (int)state->setup_mode);
        return sd_bus_message_append(reply, "s", state->mode);
}

static int get_property(sd_bus *connection, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *bus = userdata;
        _cleanup_(failure_done) Failure failure = {};
        FirmwareState state = {};
        int r;

        r = bus->host.run(bus->host.userdata, &firmware_state_operation, /* parameters= */ NULL, &state,
                          /* watch= */ NULL, &failure);
        r = r < 0 ? bus_error_set_failure(error, &failure) : append_property(reply, property, &state);
        record_done(firmware_state_operation.result, &state);
        return r;
}

const sd_bus_vtable firmware_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("SecureBoot", "b", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SetupMode", "b", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mode", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Enroll", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result), method_enroll,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListSignatures", SD_BUS_ARGS("s", variable), SD_BUS_RESULT("aa{sv}", signatures),
                                method_list_signatures, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
