/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records as D-Bus dictionaries: booleans are b, numbers t (or u), strings s, lists of strings as,
 * pairs of strings a{ss}, lists of records aa{sv}. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/ops/record.h"

enum { DICTIONARY_STRING_MAX = 4096 };

/* Reads an a{sv} at the message's place into STRUCTURE, which was zeroed and is the caller's to free. WITHHELD (NULL,
 * or ended by NULL) names fields that no caller of the bus may set. Names that are unknown or come twice, other types,
 * and strings above DICTIONARY_STRING_MAX bytes are InvalidArgs. */
int dictionary_read(sd_bus_message *message, const Record *record, const char *const *withheld, void *structure,
                    sd_bus_error *error);

/* Appends STRUCTURE's fields as a{sv}; what is absent is left out. EXIT_STATUS above 0 goes in, too. */
int dictionary_append(sd_bus_message *message, const Record *record, const void *structure, int exit_status);

/* Appends the structs of LIST as aa{sv}. */
int dictionary_append_list(sd_bus_message *message, const Record *record, const RecordList *list);

/* Whether two structs of a record without lists of records say the same. */
bool dictionary_equal(const Record *record, const void *a, const void *b);
