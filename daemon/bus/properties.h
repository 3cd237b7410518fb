/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Properties that show the fields of a state (daemon/ops/state.h): who reads one gets what is so now, and whoever has
 * two states can tell what is different. */

#include "daemon/bus/bus-private.h"
#include "daemon/ops/state.h"

typedef struct Property {
        const char *name;  /* "OwnerGuid" */
        const char *field; /* of the state: "owner-guid" */

        /* Appends the field's value; NULL: as in a dictionary. */
        int (*append)(sd_bus_message *message, const void *value);
} Property;

typedef struct PropertyGroup {
        const char *interface;
        const Operation *operation; /* whose result the state is */
        const Property *properties;
        size_t count;
} PropertyGroup;

extern const PropertyGroup keys_properties, firmware_properties;

/* Of a vtable, for every property that is in a group; its userdata is a Bus. */
int property_get(sd_bus *connection, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* Emits PropertiesChanged for those that differ between BEFORE and AFTER, two states of GROUP's operation. */
void property_group_emit(const Bus *bus, const PropertyGroup *group, const void *before, const void *after);
