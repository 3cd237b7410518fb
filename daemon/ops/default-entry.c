/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/default-entry.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/entry-order.h"
#include "daemon/esp/esp-names.h"
#include "daemon/esp/loader-conf.h"
#include "daemon/esp/loader-version.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

/* Before it, the boot counter was a part of what systemd-boot calls an entry. */
#define LOADER_VERSION_NAMES_WITHOUT_COUNTER "257.10"

/* What systemd-boot holds patterns against. Owned. */
static char *identifier(const Inventory *inventory, const char *name) {
        const char *version = inventory->loaders[LOADER_SYSTEMD].version;

        return version && version_compare(version, LOADER_VERSION_NAMES_WITHOUT_COUNTER) < 0 ? strdup(name)
                                                                                             : entry_name(name);
}

static int find_match(const Context *context, const Inventory *inventory, const char *pattern, bool with_exhausted,
                      char **ret) {
        const char *best = NULL;

        for (size_t i = 0; i < inventory->image_count; i++) {
                const char *name = inventory->images[i].name;
                _cleanup_(free_pointer) char *entry = identifier(inventory, name);

                if (!entry)
                        return -ENOMEM;
                if ((entry_name_exhausted(name) && !with_exhausted) || fnmatch(pattern, entry, FNM_CASEFOLD) != 0)
                        continue;
                if (!best || entry_is_before(name, best, context->settings->entry_token))
                        best = name;
        }
        *ret = best ? strdup(best) : NULL;
        return best && !*ret ? -ENOMEM : 0;
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

/* What VARIABLE of the firmware, and else KEY of loader.conf, names. NULL if neither names one of our images. */
static int find_named(const Context *context, const Inventory *inventory, const char *variable, const char *key,
                      bool with_exhausted, char **ret) {
        _cleanup_(free_pointer) char *first = NULL, *second = NULL;
        int r;

        r = system_loader_variable(context, variable, &first);
        if (r >= 0 && first)
                r = find_match(context, inventory, first, with_exhausted, ret);
        if (r < 0 || *ret)
                return r;
        r = read_key(inventory, key, &second);
        return r < 0 || !second ? r : find_match(context, inventory, second, with_exhausted, ret);
}

int default_entry_find(const Context *context, const Inventory *inventory, char **ret) {
        _cleanup_(free_pointer) char *found = NULL;
        int r = 0;

        if (loader_knows_preferred(inventory->loaders[LOADER_SYSTEMD].version))
                r = find_named(context, inventory, "LoaderEntryPreferred", "preferred", /* with_exhausted= */ false,
                               &found);
        if (r >= 0 && !found)
                r = find_named(context, inventory, "LoaderEntryDefault", "default", /* with_exhausted= */ true, &found);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(found);
        return 0;
}
