/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor: what the service tells everybody, as it comes, until the program is ended. It needs no rights, and starts no
 * service. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "client/bus-json.h"
#include "client/print.h"
#include "client/verb.h"
#include "dbus/lanza1-names.h"

#define _cleanup_(f) __attribute__((cleanup(f)))

/* "NAME=VALUE", the value as JSON, which knows all types. */
static void print_property(const char *name, json_t *value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

        putchar(' ');
        print_text(name);
        putchar('=');
        print_text(text ? text : "");
        free(text);
}

static void print_words(json_t *words) {
        json_t *word;
        size_t i;

        json_array_foreach(words, i, word) {
                putchar(' ');
                print_text(json_is_string(word) ? json_string_value(word) : "");
        }
}

static void print_signal(json_t *signal) {
        const char *name;
        json_t *value;

        print_text(text_of(signal, "signal"));
        print_words(json_object_get(signal, "what"));
        if (*text_of(signal, "interface"))
                putchar(' ');
        print_text(text_of(signal, "interface"));
        json_object_foreach(json_object_get(signal, "properties"), name, value) print_property(name, value);
        print_words(json_object_get(signal, "invalidated"));
        putchar('\n');
}

/* What is lost is not waited for: who reads us may be gone. */
static void show(const Session *session, json_t *signal) {
        if (!print_json(session, signal))
                print_signal(signal);
        if (fflush(stdout) != 0)
                exit(STATUS_FAILED);
}

static int on_state(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
        json_auto_t *signal = json_pack("{s:s,s:o*}", "signal", "StateChanged", "what", bus_read_json(message));

        if (signal)
                show(userdata, signal);
        return 0;
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *unused) {
        json_auto_t *interface = bus_read_json(message), *properties = bus_read_json(message);
        json_auto_t *invalidated = bus_read_json(message);
        json_auto_t *signal = json_pack("{s:s,s:O*,s:O*,s:O*}", "signal", "PropertiesChanged", "interface", interface,
                                        "properties", properties, "invalidated", invalidated);

        if (signal)
                show(userdata, signal);
        return 0;
}

static int follow(Session *session) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_match_signal(bus, /* slot= */ NULL, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH, LANZA1_MANAGER,
                                        "StateChanged", on_state, session);
        if (r >= 0)
                r = sd_bus_match_signal(bus, /* slot= */ NULL, LANZA1_BUS_NAME, LANZA1_OBJECT_PATH,
                                        PROPERTIES_INTERFACE, "PropertiesChanged", on_properties, session);
        while (r >= 0) {
                r = sd_bus_process(bus, /* ret= */ NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        return r;
}

static int monitor(Session *session, json_t *options) {
        if (json_object_size(session->own) > 0) {
                complain("Only the service tells of changes, and '--root', '--config', '--keys' and '--variables' "
                         "keep away from it\n"
                         "Try 'lanzactl monitor --help'.");
                return STATUS_USAGE;
        }
        complain("The system bus cannot be followed: %s", strerror(-follow(session)));
        return STATUS_FAILED;
}

const Verb monitor_verb = {
        .name = "monitor",
        .help = "show what the service tells of changes, as they come",
        .run = monitor,
};
