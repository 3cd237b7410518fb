/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: esp */

/* Names and paths: what parses is made of its own parts, and survives the way there and back. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/neighbour-names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const uint8_t *data, size_t size) {
        char *path, *back;

        if (esp_path_parse((Span){data, size}, &path) < 0)
                return;
        assert(!strstr(path, "..") || !strstr(path, "/../"));
        assert(path[0] != '/' && path[strlen(path) - 1] != '/');
        assert(esp_path_format(path, &back) >= 0);
        assert(strlen(back) == size && memcmp(back, data, size) == 0);
        free(path);
        free(back);
}

static void check_inside(Span part, const char *name) {
        const char *start = (const char *)part.data;

        assert(part.size == 0 || (start >= name && start + part.size <= name + strlen(name)));
}

static void check_image(const char *name) {
        ImageName parsed, again;
        char *plain, *counted;

        if (image_name_parse(name, NULL, &parsed) < 0)
                return;
        assert(strlen(name) <= ESP_NAME_MAX && parsed.generation > 0 && parsed.hash.size == ESP_HASH_LENGTH);
        check_inside(parsed.identity, name);
        check_inside(parsed.profile, name);
        check_inside(parsed.specialisation, name);
        check_inside(parsed.counter, name);
        assert(parsed.identity.size + 1 + ESP_HASH_LENGTH == parsed.base.size);

        plain = entry_name(name);
        assert(plain && entry_name_equal(plain, name));
        assert(image_name_parse(plain, NULL, &again) >= 0 && again.counter.size == 0);
        assert(span_equal(again.base, parsed.base));
        counted = entry_name_with_counter(plain, parsed.counter);
        assert(counted && strcmp(counted, name) == 0);
        free(counted);
        free(plain);
}

static void check_neighbours(const char *name) {
        BuilderEntryName entry;
        ContentName content;
        ImageName image;
        uint64_t generation;

        if (builder_entry_parse(name, &entry))
                check_inside(entry.profile, name);
        if (lanzaboote_image_parse(name, &generation))
                assert(generation > 0);
        /* Their forms hold ours, where there is no other profile. */
        if (image_name_parse(name, NULL, &image) >= 0 && image.profile.size == 0 && image.specialisation.size > 0)
                assert(lanzaboote_image_parse(name, &generation) && generation == image.generation);
        if (content_name_parse(name, &content) >= 0)
                assert(lanzaboote_content_valid(name) && !store_content_valid(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        ContentName content;
        char *name, *plain;

        check_path(data, size);
        name = strndup((const char *)data, size);
        assert(name);
        check_image(name);
        check_neighbours(name);
        if (content_name_parse(name, &content) >= 0) {
                check_inside(content.version, name);
                assert(content.hash.size == ESP_HASH_LENGTH && content.version.size <= ESP_VERSION_MAX);
        }
        if (temporary_name_valid(name))
                assert(strlen(name) == TEMPORARY_NAME_SIZE - 1);
        plain = entry_name(name);
        assert(plain && strlen(plain) + entry_name_counter(name).size == strlen(name));
        assert(entry_name_equal(name, name) && fat_name_equal(name, name));
        free(plain);
        free(name);
        return 0;
}
