/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host security attributes: under our own interface, and in fwupd's form under its interface's name, for programs
 * that were written for it.
 *
 * HostSecurityId is a property, but takes a look at everything that boots: whoever reads it gets the answer from the
 * reading worker, as of a method. It is kept for a while: as long as nothing is known to have changed, but not for more
 * than a few seconds, since nobody tells of everything that it depends on. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/call.h"
#include "daemon/ops/security.h"
#include "dbus/lanza1-names.h"

#define KEPT_FOR (UINT64_C(5) * 1000 * 1000) /* microseconds */
#define PROPERTY "HostSecurityId"

static int keep(Bus *bus, const char *id) {
        char *copy = strdup(id);
        uint64_t now;
        int r;

        if (!copy)
                return -ENOMEM;
        r = sd_event_now(bus->event, CLOCK_MONOTONIC, &now);
        if (r < 0) {
                free(copy);
                return r;
        }
        free(bus->host_security_id);
        bus->host_security_id = copy;
        bus->host_security_until = now + KEPT_FOR;
        return 0;
}

static bool is_kept(const Bus *bus) {
        uint64_t now;

        return bus->host_security_id && sd_event_now(bus->event, CLOCK_MONOTONIC, &now) >= 0 &&
               now < bus->host_security_until;
}

/* So that who asks for attributes, then for the id, gets what belongs together. */
static void note_attributes(Bus *bus, const void *result) {
        const SecurityState *state = result;

        (void)keep(bus, state->host_security_id);
}

static const CallKind security_kind = {.verb = "security", .list = "attributes", .finished = note_attributes};

static int method_get_attributes(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        return call_start(userdata, message, &security_kind, error);
}

/* What is kept, or else, of all interfaces' properties at once, what was kept last. */
static int get_id(sd_bus *connection, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *bus = userdata;

        return sd_bus_message_append(reply, "s", bus->host_security_id ? bus->host_security_id : "");
}

static bool is_interface(const char *name) {
        return strcmp(name, LANZA1_SECURITY) == 0 || strcmp(name, FWUPD_INTERFACE) == 0;
}

static const CallKind get_kind = {
        .verb = "security", .property = PROPERTY, .property_field = "host-security-id", .finished = note_attributes};

int security_answer_property(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *interface, *name = PROPERTY;
        Bus *bus = userdata;
        int r;

        if (sd_bus_message_is_method_call(message, PROPERTIES_INTERFACE, "Get") &&
            sd_bus_message_has_signature(message, "ss"))
                r = sd_bus_message_read(message, "ss", &interface, &name);
        else if (sd_bus_message_is_method_call(message, PROPERTIES_INTERFACE, "GetAll") &&
                 sd_bus_message_has_signature(message, "s"))
                r = sd_bus_message_read(message, "s", &interface);
        else
                return 0;
        if (r < 0 || !is_interface(interface) || strcmp(name, PROPERTY) != 0 || is_kept(bus))
                return r < 0 ? r : 0;
        return call_start(bus, message, &get_kind, error);
}

void security_changed(Bus *bus) {
        bus->host_security_until = 0;
        (void)sd_bus_emit_properties_changed(bus->connection, LANZA1_OBJECT_PATH, LANZA1_SECURITY, PROPERTY, NULL);
        (void)sd_bus_emit_properties_changed(bus->connection, LANZA1_OBJECT_PATH, FWUPD_INTERFACE, PROPERTY, NULL);
}

const sd_bus_vtable security_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY(PROPERTY, "s", get_id, 0, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        SD_BUS_METHOD_WITH_ARGS("GetHostSecurityAttrs", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", attrs),
                                method_get_attributes, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
