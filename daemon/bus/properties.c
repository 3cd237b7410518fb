/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/properties.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/dictionary.h"
#include "daemon/util/file.h"
#include "dbus/lanza1-names.h"

enum { PROPERTIES_MAX = 8 };

static const PropertyGroup *const groups[] = {&keys_properties, &firmware_properties};

static const PropertyGroup *find_group(const char *interface) {
        for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
                if (strcmp(groups[i]->interface, interface) == 0)
                        return groups[i];
        return NULL;
}

static const Property *find_property(const PropertyGroup *group, const char *name) {
        for (size_t i = 0; i < group->count; i++)
                if (strcmp(group->properties[i].name, name) == 0)
                        return &group->properties[i];
        return NULL;
}

static int append(sd_bus_message *reply, const PropertyGroup *group, const Property *property, const void *state) {
        const Field *field = record_field(group->operation->result, property->field);
        const void *value = field_at_const(field, state);

        return property->append ? property->append(reply, value) : dictionary_append_value(reply, field, value);
}

int property_get(sd_bus *connection, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *bus = userdata;
        const PropertyGroup *group = find_group(interface);
        const Property *found = group ? find_property(group, property) : NULL;
        _cleanup_(failure_done) Failure failure = {};
        void *state;
        int r;

        if (!found)
                return -ENOENT;
        state = calloc(1, group->operation->result->size);
        if (!state)
                return -ENOMEM;
        r = bus->host.run(bus->host.userdata, group->operation, /* parameters= */ NULL, state, /* watch= */ NULL,
                          &failure);
        r = r < 0 ? bus_error_set_failure(error, &failure) : append(reply, group, found, state);
        record_done(group->operation->result, state);
        free(state);
        return r;
}

void property_group_emit(const Bus *bus, const PropertyGroup *group, const void *before, const void *after) {
        const char *names[PROPERTIES_MAX + 1];
        size_t count = 0;

        for (size_t i = 0; i < group->count && count < PROPERTIES_MAX; i++) {
                const Field *field = record_field(group->operation->result, group->properties[i].field);

                if (!dictionary_same_value(field, field_at_const(field, before), field_at_const(field, after)))
                        names[count++] = group->properties[i].name;
        }
        names[count] = NULL;
        if (count > 0)
                (void)sd_bus_emit_properties_changed_strv(bus->connection, LANZA1_OBJECT_PATH, group->interface,
                                                          (char **)names);
}
