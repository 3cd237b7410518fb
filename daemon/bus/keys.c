/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/call.h"
#include "daemon/bus/properties.h"
#include "dbus/lanza1-names.h"

static int append_certificates(sd_bus_message *reply, const void *value) {
        const RecordList *list = value;
        const CertificateRecord *certificates = list->items;
        int r;

        r = sd_bus_message_open_container(reply, SD_BUS_TYPE_ARRAY, "(sssst)");
        for (size_t i = 0; r >= 0 && i < list->count; i++)
                r = sd_bus_message_append(reply, "(sssst)", certificates[i].role, certificates[i].subject,
                                          certificates[i].fingerprint, "file", certificates[i].not_after);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const Property properties[] = {
        {"Present", "present"},
        {"OwnerGuid", "owner-guid"},
        {"Certificates", "certificates", append_certificates},
};
const PropertyGroup keys_properties = {
        .interface = LANZA1_KEYS,
        .operation = &key_state_operation,
        .properties = properties,
        .count = ARRAY_LENGTH(properties),
};

static const CallKind create_kind = {.verb = "create-keys", .area = WATCH_KEYS};

static int method_create(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &create_kind, error);
}

const sd_bus_vtable keys_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Present", "b", property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("OwnerGuid", "s", property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Certificates", "a(sssst)", property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Create", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", result), method_create,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
