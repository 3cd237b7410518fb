/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host security attributes: under our own interface, and in fwupd's form under its interface's name, for programs
 * that were written for it.
 *
 * A property is answered in the loop, but HostSecurityId takes a look at everything that the attributes are made of. So
 * it is kept for a while: as long as nothing is known to have changed, but not for more than a few seconds, since
 * nobody tells of everything that it depends on. */

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

static int look(Bus *bus, sd_bus_error *error) {
        _cleanup_(failure_done) Failure failure = {};
        SecurityState state = {};
        int r;

        r = bus->host.run(bus->host.userdata, &security_operation, /* parameters= */ NULL, &state, /* watch= */ NULL,
                          &failure);
        r = r < 0 ? bus_error_set_failure(error, &failure) : keep(bus, state.host_security_id);
        record_done(security_operation.result, &state);
        return r;
}

static int get_id(sd_bus *connection, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *bus = userdata;
        int r;

        r = is_kept(bus) ? 0 : look(bus, error);
        return r < 0 ? r : sd_bus_message_append(reply, "s", bus->host_security_id);
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
