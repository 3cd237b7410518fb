/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Records as D-Bus dictionaries: booleans are b, numbers t (or u), strings s, lists of strings as, pairs of strings
 * a{ss}, lists of records aa{sv}, sealed memory h, a list of it a(sh). Memory is only ever read, and never part of a
 * result. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "daemon/ops/record.h"

enum { DICTIONARY_STRING_MAX = 4096, DICTIONARY_MEMORIES_MAX = 128 };

/* Reads an a{sv} at the message's place into STRUCTURE, which was zeroed and is the caller's to free. WITHHELD (NULL,
 * or ended by NULL) names fields that no caller of the bus may set, UID the caller: root's own options are AccessDenied
 * for others. Names that are unknown or come twice, other types, strings above DICTIONARY_STRING_MAX bytes, and
 * descriptors of anything but sealed memory are InvalidArgs; more than DICTIONARY_MEMORIES_MAX of these in one list are
 * LimitsExceeded. Memory is looked at and not read: a call that waits holds descriptors, not bytes. */
int dictionary_read(sd_bus_message *message, const Record *record, const char *const *withheld, uid_t uid,
                    void *structure, sd_bus_error *error);

/* Reads an h at the message's place for FIELD, which is of memory, under the same rules. */
int dictionary_read_memory(sd_bus_message *message, const Field *field, void *structure, sd_bus_error *error);

/* Appends STRUCTURE's fields as a{sv}; what is absent is left out. EXIT_STATUS above 0 goes in, too. */
int dictionary_append(sd_bus_message *message, const Record *record, const void *structure, int exit_status);

/* Appends the structs of LIST as aa{sv}. */
int dictionary_append_list(sd_bus_message *message, const Record *record, const RecordList *list);

/* Appends VALUE as it stands in a dictionary, without the variant around it. */
int dictionary_append_value(sd_bus_message *message, const Field *field, const void *value);

/* Whether two structs, or two values of one field, say the same. */
bool dictionary_equal(const Record *record, const void *a, const void *b);
bool dictionary_same_value(const Field *field, const void *a, const void *b);
