/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/bus/access.h"

#include <stddef.h>
#include <string.h>

#include "daemon/util/macro.h"
#include "dbus/lanza1-names.h"

static const struct {
        const char *interface, *member;
        Access access;
} table[] = {
        {LANZA1_MANAGER, "GetStatus", {ACCESS_EVERYBODY}},
        {LANZA1_MANAGER, "Reload", {ACCESS_EVERYBODY}},
        {LANZA1_MANAGER, "Cancel", {ACCESS_EVERYBODY}}, /* one's own operations only: manager.c */
        {LANZA1_SECURITY, "GetHostSecurityAttrs", {ACCESS_EVERYBODY}},
        {FWUPD_INTERFACE, "GetHostSecurityAttrs", {ACCESS_EVERYBODY}},
        {PROPERTIES_INTERFACE, "Get", {ACCESS_EVERYBODY}}, /* those that take a look: security.c */
        {PROPERTIES_INTERFACE, "GetAll", {ACCESS_EVERYBODY}},
        {LANZA1_KEYS, "Create", {ACCESS_ACTION, LANZA1_ACTION_MANAGE_KEYS}},
        {LANZA1_FIRMWARE, "Enroll", {ACCESS_ACTION, LANZA1_ACTION_ENROLL}},
        {LANZA1_FIRMWARE, "ListSignatures", {ACCESS_EVERYBODY}},
        {LANZA1_ESP, "Sync", {ACCESS_ACTION, LANZA1_ACTION_SYNC}},
        {LANZA1_ESP, "CollectGarbage", {ACCESS_ACTION, LANZA1_ACTION_SYNC}},
        {LANZA1_ESP, "SignImage", {ACCESS_ACTION, LANZA1_ACTION_ENROLL}}, /* what it signs, the firmware starts */
        {LANZA1_ESP, "ListGenerations", {ACCESS_EVERYBODY}},
        {LANZA1_ESP, "ListImages", {ACCESS_EVERYBODY}},
        {LANZA1_ESP, "ListPartitions", {ACCESS_EVERYBODY}},
};

Access access_find(const char *interface, const char *member) {
        for (size_t i = 0; interface && member && i < ARRAY_LENGTH(table); i++)
                if (strcmp(table[i].interface, interface) == 0 && strcmp(table[i].member, member) == 0)
                        return table[i].access;
        return (Access){ACCESS_DENIED};
}
