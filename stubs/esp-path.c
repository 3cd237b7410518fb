/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/esp-path.h"

static bool is_allowed(uint8_t character) {
        const char *forbidden = "\"*/:<>?\\|";

        if (character < 0x20 || character > 0x7E)
                return false;
        for (; *forbidden != '\0'; forbidden++)
                if (character == (uint8_t)*forbidden)
                        return false;
        return true;
}

static const char *component_check(Bytes component) {
        if (component.size == 0)
                return "has an empty component";
        if (bytes_equal(component, bytes_from_string(".")) || bytes_equal(component, bytes_from_string("..")))
                return "goes up or in place with a component \"..\" or \".\"";
        for (size_t i = 0; i < component.size; i++)
                if (!is_allowed(component.data[i]))
                        return "has a character that is not allowed in names on this file system";
        if (component.data[0] == ' ' || component.data[component.size - 1] == ' ')
                return "has a component with a space at its edge";
        if (component.data[component.size - 1] == '.')
                return "has a component that ends with a dot";
        return NULL;
}

/* The bytes from *OFFSET up to SEPARATOR or the end; *OFFSET moves behind the separator. */
static Bytes next_part(Bytes bytes, char separator, size_t *offset) {
        size_t start = *offset, end = start;

        while (end < bytes.size && bytes.data[end] != (uint8_t)separator)
                end++;
        *offset = end + 1;
        return (Bytes){bytes.data + start, end - start};
}

const char *esp_path_check(Bytes path) {
        if (path.size == 0 || path.data[0] != LANZA_ESP_PATH_SEPARATOR)
                return "does not begin with a backslash";
        if (path.size > LANZA_ESP_PATH_MAX_BYTES)
                return "is longer than 255 characters";

        for (size_t offset = 1; offset <= path.size;) {
                const char *wrong = component_check(next_part(path, LANZA_ESP_PATH_SEPARATOR, &offset));
                if (wrong)
                        return wrong;
        }
        return NULL;
}

void esp_path_to_utf16(Bytes path, uint16_t ret[static LANZA_ESP_PATH_MAX_BYTES + 1]) {
        for (size_t i = 0; i < path.size; i++)
                ret[i] = path.data[i];
        ret[path.size] = 0;
}

const char *esp_path_list_parse(Bytes list, Bytes ret_paths[static LANZA_INITRDS_MAX], size_t *ret_count) {
        Bytes paths[LANZA_INITRDS_MAX];
        size_t count = 0;

        for (size_t offset = 0; offset <= list.size;) {
                Bytes path = next_part(list, LANZA_LIST_SEPARATOR, &offset);
                if (count == LANZA_INITRDS_MAX)
                        return "has more paths than the 16 that are supported";
                if (path.size == 0)
                        return "has an empty line";
                const char *wrong = esp_path_check(path);
                if (wrong)
                        return wrong;
                paths[count++] = path;
        }

        memcpy(ret_paths, paths, count * sizeof(Bytes));
        *ret_count = count;
        return NULL;
}
