/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/loader-conf.h"

#include <errno.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/loader-version.h"

/* The first systemd-boot that knows `preferred`: a default that gives way once its tries are used up. */
#define LOADER_VERSION_PREFERRED "260"

static bool has_key(Span line, const char *key) {
        size_t start = 0, length = strlen(key);

        while (start < line.size && (line.data[start] == ' ' || line.data[start] == '\t'))
                start++;
        if (line.size - start < length || memcmp(line.data + start, key, length) != 0)
                return false;
        return start + length == line.size || line.data[start + length] == ' ' || line.data[start + length] == '\t';
}

int loader_conf_add_lines(Span lines, Buffer *text) {
        int r;

        while (lines.size > 0) {
                const uint8_t *end = memchr(lines.data, '\n', lines.size);
                size_t length = end ? (size_t)(end - lines.data) : lines.size;
                Span line = {lines.data, length};

                lines = (Span){lines.data + length + (end ? 1 : 0), lines.size - length - (end ? 1 : 0)};
                if (span_find_control(line, /* tab_allowed= */ true))
                        return -EINVAL;
                if (has_key(line, "default") || has_key(line, "preferred"))
                        continue;
                r = buffer_append(text, line);
                if (r < 0)
                        return r;
                r = buffer_append_string(text, "\n");
                if (r < 0)
                        return r;
        }
        return 0;
}

/* systemd-boot compares with entry names in lower case, and folds only those. */
static int append_entry(const char *key, const char *entry, size_t length, const char *suffix, Buffer *text) {
        size_t start;
        int r;

        r = buffer_append_format(text, "%s ", key);
        if (r < 0)
                return r;
        start = text->size;
        r = buffer_append_format(text, "%.*s%s\n", (int)length, entry, suffix);
        if (r < 0)
                return r;
        for (size_t i = start; i < text->size; i++)
                if (text->data[i] >= 'A' && text->data[i] <= 'Z')
                        text->data[i] += 'a' - 'A';
        return 0;
}

bool loader_knows_preferred(const char *version) {
        return version && version_compare(version, LOADER_VERSION_PREFERRED) >= 0;
}

int loader_conf_add_default(const DefaultEntry *entry, Buffer *text) {
        const char *token = entry->token ?: ESP_TOKEN_DEFAULT, *image = entry->image;
        size_t length = image ? strlen(image) : 0, suffix = strlen(".efi");
        int r = 0;

        if (entry->preferred && image)
                r = append_entry("preferred", image, length, "", text);
        if (r < 0)
                return r;
        if (!image || entry->naming == DEFAULT_ANY)
                return append_entry("default", token, strlen(token), "-*", text);
        if (entry->naming == DEFAULT_COUNTED && length > suffix)
                return append_entry("default", image, length - suffix, "*", text);
        return append_entry("default", image, length, "", text);
}
