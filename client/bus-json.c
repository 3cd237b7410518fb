/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/bus-json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static json_t *read_value(sd_bus_message *message, char type, const char *contents);

static json_t *read_next(sd_bus_message *message) {
        const char *contents;
        char type;

        return sd_bus_message_peek_type(message, &type, &contents) > 0 ? read_value(message, type, contents) : NULL;
}

static json_t *read_variant(sd_bus_message *message) {
        const char *contents;
        json_t *value;
        char type;

        if (sd_bus_message_peek_type(message, &type, &contents) <= 0 || type != 'v' ||
            sd_bus_message_enter_container(message, 'v', contents) < 0)
                return NULL;
        value = read_next(message);
        if (value && sd_bus_message_exit_container(message) < 0) {
                json_decref(value);
                return NULL;
        }
        return value;
}

/* CONTENTS are those of the entry: "sv" or "ss". */
static int read_entry(sd_bus_message *message, const char *contents, json_t *object) {
        const char *name;
        json_t *value;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        /* Takes the value, and fails for NULL. */
        value = contents[1] == 'v' ? read_variant(message) : read_next(message);
        return json_object_set_new(object, name, value) < 0 ? -EBADMSG : sd_bus_message_exit_container(message);
}

static int read_dictionary(sd_bus_message *message, const char *contents, json_t *object) {
        const char *entry = strcmp(contents, "{ss}") == 0 ? "ss" : "sv";
        int r;

        while ((r = sd_bus_message_enter_container(message, 'e', entry)) > 0) {
                r = read_entry(message, entry, object);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_items(sd_bus_message *message, json_t *array) {
        int r;

        while ((r = sd_bus_message_at_end(message, /* complete= */ 0)) == 0)
                if (json_array_append_new(array, read_next(message)) < 0)
                        return -EBADMSG;
        return r;
}

static json_t *read_struct(sd_bus_message *message, const char *contents) {
        json_t *value = json_array();
        int r;

        r = sd_bus_message_enter_container(message, 'r', contents);
        if (r >= 0)
                r = read_items(message, value);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0) {
                json_decref(value);
                return NULL;
        }
        return value;
}

/* D-Bus bounds the depth of a message, and with it the recursion. */
static json_t *read_array(sd_bus_message *message, const char *contents) {
        bool dictionary = contents[0] == '{';
        json_t *value = dictionary ? json_object() : json_array();
        int r;

        r = sd_bus_message_enter_container(message, 'a', contents);
        if (r >= 0)
                r = dictionary ? read_dictionary(message, contents, value) : read_items(message, value);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0) {
                json_decref(value);
                return NULL;
        }
        return value;
}

static json_t *read_value(sd_bus_message *message, char type, const char *contents) {
        union {
                int boolean;
                uint32_t number;
                uint64_t big;
                const char *text;
        } value;

        if (type == 'a')
                return read_array(message, contents);
        if (type == 'r')
                return read_struct(message, contents);
        if (type != 'b' && type != 'u' && type != 't' && type != 's')
                return NULL;
        if (sd_bus_message_read_basic(message, type, &value) < 0)
                return NULL;
        if (type == 'b')
                return json_boolean(value.boolean);
        if (type == 's')
                return json_string(value.text);
        return json_integer(type == 'u' ? (json_int_t)value.number : (json_int_t)value.big);
}

json_t *bus_read_json(sd_bus_message *message) {
        return read_next(message);
}

static int append_option(sd_bus_message *message, const char *name, json_t *value) {
        if (json_is_boolean(value))
                return sd_bus_message_append(message, "{sv}", name, "b", json_is_true(value));
        if (json_is_integer(value))
                return sd_bus_message_append(message, "{sv}", name, "t", (uint64_t)json_integer_value(value));
        return sd_bus_message_append(message, "{sv}", name, "s", json_string_value(value));
}

int bus_append_options(sd_bus_message *message, json_t *options) {
        const char *name;
        json_t *value;
        int r = 0;

        json_object_foreach(options, name, value) if (r >= 0) r = append_option(message, name, value);
        return r < 0 ? r : 0;
}
