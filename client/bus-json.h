/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between D-Bus values and JSON. Both know the same forms: b, numbers, s, arrays, structs (as arrays), a{sv}. */

#include <jansson.h>
#include <systemd/sd-bus.h>

/* The next value of MESSAGE, a whole container; NULL if it has a form that no result has. A new reference. */
json_t *bus_read_json(sd_bus_message *message);

/* OPTIONS, an object of booleans, numbers and strings, as entries b, t and s of the a{sv} that is open in MESSAGE. */
int bus_append_options(sd_bus_message *message, json_t *options);
