/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/bus/call.h"
#include "daemon/ops/state.h"
#include "dbus/lanza1-names.h"

static const char *const properties[] = {"Present", "OwnerGuid", "Certificates", NULL};
static const CallKind create_kind = {
        .verb = "create-keys",
        .state = "keys",
        .interface = LANZA1_KEYS,
        .properties = properties,
};

static int method_create(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &create_kind, error);
}

static int append_certificates(sd_bus_message *reply, const RecordList *list) {
        const CertificateRecord *certificates = list->items;
        int r;

        r = sd_bus_message_open_container(reply, SD_BUS_TYPE_ARRAY, "(sssst)");
        for (size_t i = 0; r >= 0 && i < list->count; i++)
                r = sd_bus_message_append(reply, "(sssst)", certificates[i].role, certificates[i].subject,
                                          certificates[i].fingerprint, "file", certificates[i].not_after);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_property(sd_bus_message *reply, const char *property, const KeyState *state) {
        if (strcmp(property, "Present") == 0)
                return sd_bus_message_append(reply, "b", (int)state->present);
        if (strcmp(property, "OwnerGuid") == 0)
                return sd_bus_message_append(reply, "s", state->owner_guid);
        return append_certificates(reply, &state->certificates);
}

static int get_property(sd_bus *connection, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *bus = userdata;
        _cleanup_(failure_done) Failure failure = {};
        KeyState state = {};
        int r;

        r = bus->host.run(bus->host.userdata, &key_state_operation, /* parameters= */ NULL, &state, /* watch= */ NULL,
                          &failure);
        r = r < 0 ? bus_error_set_failure(error, &failure) : append_property(reply, property, &state);
        record_done(key_state_operation.result, &state);
        return r;
}

const sd_bus_vtable keys_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Present", "b", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("OwnerGuid", "s", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Certificates", "a(sssst)", get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Create", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result), method_create,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
