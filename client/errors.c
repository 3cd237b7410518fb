/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/errors.h"

#include <stddef.h>
#include <string.h>

#include "client/verb.h"
#include "dbus/lanza1-names.h"

/* Those of ours that are no refusal; every other name of ours is one. */
static const char *const failures[] = {"Failed", "Busy", "Canceled", "LimitsExceeded"};

static const struct {
        const char *name;
        int status;
} of_the_bus[] = {
        {"org.freedesktop.DBus.Error.InvalidArgs", STATUS_USAGE},
        {"org.freedesktop.DBus.Error.AccessDenied", STATUS_NOT_AUTHORISED},
        {"org.freedesktop.DBus.Error.AuthFailed", STATUS_NOT_AUTHORISED},
        {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", STATUS_NOT_AUTHORISED},
        {"org.freedesktop.DBus.Error.ServiceUnknown", STATUS_NO_SERVICE},
};

int error_exit_status(const char *name) {
        const size_t prefix = strlen(LANZA1_ERROR_PREFIX);

        for (size_t i = 0; i < sizeof(of_the_bus) / sizeof(*of_the_bus); i++)
                if (strcmp(name, of_the_bus[i].name) == 0)
                        return of_the_bus[i].status;
        if (strncmp(name, LANZA1_ERROR_PREFIX, prefix) != 0)
                return STATUS_FAILED;
        for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
                if (strcmp(name + prefix, failures[i]) == 0)
                        return STATUS_FAILED;
        return STATUS_REFUSED;
}

json_t *error_object(const char *name, const char *text) {
        size_t length = strcspn(text, "\n");
        json_t *error = json_object();

        json_object_set_new(error, "name", json_string(name));
        json_object_set_new(error, "message", json_stringn(text, length));
        if (text[length])
                json_object_set_new(error, "hint", json_string(text + length + 1));
        return json_pack("{s:o}", "error", error);
}
