/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/entry-order.h"

#include <stdint.h>

#include "daemon/esp/esp-names.h"

typedef struct Place {
        bool exhausted, is_specialisation;
        uint64_t generation;
} Place;

static Place place_of(const char *name, const char *token) {
        Place place = {.exhausted = entry_name_exhausted(name)};
        ImageName parsed;

        if (image_name_parse(name, token, &parsed) < 0)
                return place;
        place.generation = parsed.generation;
        place.is_specialisation = parsed.specialisation.size > 0;
        return place;
}

bool entry_is_before(const char *name, const char *other, const char *token) {
        Place a = place_of(name, token), b = place_of(other, token);

        if (a.exhausted != b.exhausted)
                return b.exhausted;
        if (a.generation != b.generation)
                return a.generation > b.generation;
        return !a.is_specialisation && b.is_specialisation;
}
