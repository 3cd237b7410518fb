/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/loader-entry.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/command-line.h"
#include "daemon/util/file.h"
#include "daemon/util/macro.h"

/* A NUL, which strchr() finds in every string, is none. */
static bool is_blank(uint8_t byte) {
        return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Takes everything up to the next LF off TEXT. */
static Span take_line(Span *text) {
        const uint8_t *end = memchr(text->data, '\n', text->size);
        Span line = {text->data, end ? (size_t)(end - text->data) : text->size};
        size_t used = line.size + (end ? 1 : 0);

        *text = (Span){text->data + used, text->size - used};
        return line;
}

static Span trim(Span text) {
        while (text.size > 0 && is_blank(text.data[0]))
                text = (Span){text.data + 1, text.size - 1};
        while (text.size > 0 && is_blank(text.data[text.size - 1]))
                text.size--;
        return text;
}

/* Takes a word and the white space behind it off TEXT, which begins with none. */
static Span take_word(Span *text) {
        Span word = {text->data, 0};

        while (word.size < text->size && !is_blank(text->data[word.size]))
                word.size++;
        *text = trim((Span){text->data + word.size, text->size - word.size});
        return word;
}

static bool is_component(Span name) {
        return name.data[0] != ' ' && name.data[name.size - 1] != ' ' && name.data[name.size - 1] != '.' &&
               !span_find_control(name, /* tab_allowed= */ false);
}

/* Both kinds of slash separate, and several are one. */
static int add_path(Span value, StringList *ret) {
        _cleanup_(free_pointer) char *path = malloc(value.size + 1);
        size_t length = 0;

        if (!path)
                return -ENOMEM;
        while (value.size > 0) {
                Span name = {value.data, 0};

                while (name.size < value.size && value.data[name.size] != '/' && value.data[name.size] != '\\')
                        name.size++;
                value = (Span){value.data + name.size, value.size - name.size};
                if (value.size > 0)
                        value = (Span){value.data + 1, value.size - 1};
                if (name.size == 0)
                        continue;
                if (!is_component(name))
                        return -EBADMSG;
                if (length > 0)
                        path[length++] = '/';
                memcpy(path + length, name.data, name.size);
                length += name.size;
        }
        path[length] = 0;
        return length > 0 ? string_list_add(ret, path) : 0;
}

int loader_entry_parse(Span text, StringList *ret) {
        static const char *const keys[] = {"linux", "initrd", "efi", "uki", "devicetree"};
        int r = 0;

        if (text.size > 0 && memchr(text.data, 0, text.size))
                return -EBADMSG;
        while (text.size > 0 && r >= 0) {
                Span value = trim(take_line(&text)), key = take_word(&value);

                for (size_t i = 0; i < ARRAY_LENGTH(keys) && r >= 0; i++)
                        if (span_equal(key, span_from_string(keys[i])))
                                r = add_path(value, ret);
                /* The only one with several in a line. */
                while (span_equal(key, span_from_string("devicetree-overlay")) && value.size > 0 && r >= 0)
                        r = add_path(take_word(&value), ret);
        }
        return r;
}

void loader_entry_owner_done(LoaderEntryOwner *owner) {
        free(owner->machine_id);
        free(owner->toplevel);
        *owner = (LoaderEntryOwner){};
}

/* The value of the only line with KEY; empty if there are several. *RET_COUNT: how many there are. */
static Span find_value(Span text, const char *key, size_t *ret_count) {
        Span found = {};
        size_t count = 0;

        while (text.size > 0) {
                Span value = trim(take_line(&text)), word = take_word(&value);

                if (!span_equal(word, span_from_string(key)))
                        continue;
                found = value;
                count++;
        }
        *ret_count = count;
        return count == 1 ? found : (Span){};
}

int loader_entry_owner_parse(Span text, LoaderEntryOwner *ret) {
        LoaderEntryOwner owner = {};
        size_t count;
        Span value = find_value(text, "options", &count);
        int r;

        r = command_line_toplevel(value, &owner.toplevel);
        if (r < 0)
                return r;
        value = find_value(text, "machine-id", &count);
        if (span_find_control(value, /* tab_allowed= */ false))
                value = (Span){};
        if (count > 0) {
                owner.machine_id = strndup((const char *)value.data ?: "", value.size);
                if (!owner.machine_id) {
                        loader_entry_owner_done(&owner);
                        return -ENOMEM;
                }
        }
        *ret = owner;
        return 0;
}
