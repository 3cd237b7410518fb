/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/call.h"
#include "daemon/bus/properties.h"
#include "dbus/lanza1-names.h"

static const Property properties[] = {
        {"SecureBoot", "secure-boot"},
        {"SetupMode", "setup-mode"},
        {"Mode", "mode"},
};
const PropertyGroup firmware_properties = {
        .interface = LANZA1_FIRMWARE,
        .operation = &firmware_state_operation,
        .properties = properties,
        .count = ARRAY_LENGTH(properties),
};

/* A caller of the bus names no path. */
static const char *const withheld[] = {"export", "output", NULL};

static const CallKind enroll_kind = {
        .verb = "enroll-keys",
        .withheld = withheld,
        .area = WATCH_FIRMWARE,
};
static const CallKind list_kind = {.verb = "list-enrolled-keys", .list = "keys", .argument = "variable"};

static int method_enroll(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &enroll_kind, error);
}

static int method_list_signatures(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &list_kind, error);
}

const sd_bus_vtable firmware_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("SecureBoot", "b", property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SetupMode", "b", property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mode", "s", property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Enroll", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result), method_enroll,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListSignatures", SD_BUS_ARGS("s", variable), SD_BUS_RESULT("aa{sv}", signatures),
                                method_list_signatures, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
