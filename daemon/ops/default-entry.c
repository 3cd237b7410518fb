/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/default-entry.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

typedef struct Candidate {
        const char *name; /* NULL: none yet */
        bool exhausted, is_specialisation;
        uint64_t generation;
} Candidate;

static bool is_exhausted(const char *name) {
        Span counter = entry_name_counter(name);

        return counter.size > 1 && strtoul((const char *)counter.data + 1, NULL, 10) == 0;
}

static Candidate candidate_of(const EspImage *image, const char *token) {
        Candidate candidate = {.name = image->name, .exhausted = is_exhausted(image->name)};
        ImageName parsed;

        if (image_name_parse(image->name, token, &parsed) < 0)
                return candidate;
        candidate.generation = parsed.generation;
        candidate.is_specialisation = parsed.specialisation.size > 0;
        return candidate;
}

static bool is_before(const Candidate *a, const Candidate *b) {
        if (!b->name || a->exhausted != b->exhausted)
                return !b->name || b->exhausted;
        if (a->generation != b->generation)
                return a->generation > b->generation;
        return !a->is_specialisation && b->is_specialisation;
}

/* Patterns are held against names without their counters, in lower case. */
static int find_match(const Context *context, const Inventory *inventory, const char *pattern, bool with_exhausted,
                      char **ret) {
        const char *token = context->settings->entry_token;
        Candidate best = {};

        for (size_t i = 0; i < inventory->image_count; i++) {
                Candidate candidate = candidate_of(&inventory->images[i], token);
                _cleanup_(free_pointer) char *entry = entry_name(candidate.name);

                if (!entry)
                        return -ENOMEM;
                if ((candidate.exhausted && !with_exhausted) || fnmatch(pattern, entry, FNM_CASEFOLD) != 0)
                        continue;
                if (is_before(&candidate, &best))
                        best = candidate;
        }
        *ret = best.name ? strdup(best.name) : NULL;
        return best.name && !*ret ? -ENOMEM : 0;
}

/* The value of KEY's last line in loader.conf. Owned; NULL if there is none. */
static int read_key(const Inventory *inventory, const char *key, char **ret) {
        _cleanup_(free_pointer) char *text =
                strndup((const char *)inventory->loader_conf.data ?: "", inventory->loader_conf.size);
        char *rest = text, *line;

        *ret = NULL;
        if (!text)
                return -ENOMEM;
        while ((line = strsep(&rest, "\n"))) {
                char *place, *word = strtok_r(line, " \t\r", &place),
                             *value = word ? strtok_r(NULL, " \t\r", &place) : NULL;

                if (!value || strcmp(word, key) != 0)
                        continue;
                free(*ret);
                *ret = strdup(value);
                if (!*ret)
                        return -ENOMEM;
        }
        return 0;
}

int default_entry_find(const Context *context, const Inventory *inventory, char **ret) {
        _cleanup_(free_pointer) char *variable = NULL, *preferred = NULL, *standard = NULL, *found = NULL;
        int r;

        r = system_loader_variable(context, "LoaderEntryDefault", &variable);
        if (r >= 0 && variable)
                r = find_match(context, inventory, variable, /* with_exhausted= */ true, &found);
        if (r >= 0 && !found)
                r = read_key(inventory, "preferred", &preferred);
        if (r >= 0 && !found && preferred)
                r = find_match(context, inventory, preferred, /* with_exhausted= */ false, &found);
        if (r >= 0 && !found)
                r = read_key(inventory, "default", &standard);
        if (r >= 0 && !found && standard)
                r = find_match(context, inventory, standard, /* with_exhausted= */ true, &found);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(found);
        return 0;
}
