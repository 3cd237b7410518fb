/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What systemd-boot is told to start. Without boot counting that is the default image. With it a name would be started
 * for ever, also when none of its starts was good: so any entry of ours is the default, and systemd-boot takes the
 * newest that has tries left. `preferred` has room for a name, too, but only from 260 on.
 *
 * An older systemd-boot still gets a name where it does no harm: an entry that was confirmed good is not counted any
 * more. So going back to an older generation works there, too. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/esp/entry-order.h"
#include "daemon/esp/esp-names.h"
#include "daemon/esp/loader-conf.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

#define LOADER_CONF "loader/loader.conf"

static const char *file_name(const char *path) {
        return strrchr(path, '/') + 1;
}

/* The name that the file of the default image has or will have; NULL if there is no default. */
static const char *find_default_file(const Planner *planner) {
        const Plan *plan = &planner->plan;

        if (planner->wanted->images_elsewhere)
                return planner->wanted->images_elsewhere->default_file;
        if (plan->kept_default)
                return plan->kept_default;
        for (size_t i = 0; i < plan->step_count; i++)
                if (plan->steps[i].image && plan->steps[i].image == plan->default_image)
                        return file_name(plan->steps[i].path);
        return NULL;
}

static void compare(const Planner *planner, const char *name, const char **first) {
        const char *token = planner->wanted->token;
        size_t length = strlen(token ?: ESP_TOKEN_DEFAULT);

        if (strncasecmp(name, token ?: ESP_TOKEN_DEFAULT, length) == 0 && name[length] == '-' &&
            entry_is_before(name, *first, token))
                *first = name;
}

/* Which of the entries that will be there systemd-boot starts where any of ours is the default: FILE, or another. */
static const char *find_first(const Planner *planner, const char *file) {
        const Plan *elsewhere = planner->wanted->images_elsewhere;
        const StringList *here = &planner->plan.image_files;
        const char *first = file;

        for (size_t i = 0; i < here->count; i++)
                compare(planner, here->items[i], &first);
        for (size_t i = 0; elsewhere && i < elsewhere->image_files.count; i++)
                compare(planner, elsewhere->image_files.items[i], &first);
        return first;
}

/* What will be there. */
static int list_images(Planner *planner) {
        Plan *plan = &planner->plan;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < planner->inventory->image_count; i++)
                if (planner->inventory->images[i].regular &&
                    (planner->fates[i] == FATE_STAYS || planner->fates[i] == FATE_KEPT))
                        r = string_list_add(&plan->image_files, planner->inventory->images[i].name);
        for (size_t i = 0; r >= 0 && i < plan->step_count; i++)
                if (plan->steps[i].kind == STEP_WRITE_IMAGE)
                        r = string_list_add(&plan->image_files, file_name(plan->steps[i].path));
        return r;
}

/* With boot counting on; FILE is the default's. */
static int decide_counting(Planner *planner, const char *file, DefaultEntry *entry) {
        const char *first = find_first(planner, file);
        StringList *warnings = &planner->plan.warnings;

        entry->preferred = loader_knows_preferred(planner->loader_version);
        entry->naming = DEFAULT_ANY;
        if (first == file)
                return 0;
        if (entry_name_exhausted(file))
                return string_list_add_format(
                        warnings, "The default entry, %s, has no tries left: systemd-boot starts %s", file, first);
        if (entry->preferred)
                return 0;
        if (entry_name_counter(file).size == 0) {
                entry->naming = DEFAULT_NAMED;
                return 0;
        }
        return string_list_add_format(
                warnings,
                "The default entry, %s, was not confirmed good yet, and systemd-boot %s cannot be "
                "told to start it before newer ones: it starts %s, unless you choose in its menu",
                file, planner->loader_version ?: "of an unknown version", first);
}

static int decide_default(Planner *planner, DefaultEntry *entry) {
        const char *file = find_default_file(planner);

        *entry = (DefaultEntry){.token = planner->wanted->token};
        if (!file)
                return 0;
        entry->image = planner->plan.default_image->name;
        if (planner->wanted->counting)
                return decide_counting(planner, file, entry);
        entry->naming = entry_name_counter(file).size > 0 ? DEFAULT_COUNTED : DEFAULT_NAMED;
        return 0;
}

int planner_write_loader_conf(Planner *planner) {
        const Inventory *inventory = planner->inventory;
        const Wanted *wanted = planner->wanted;
        Buffer *text = &planner->plan.loader_conf;
        DefaultEntry entry;
        int r;

        r = list_images(planner);
        if (r < 0)
                return r;
        planner->plan.default_file = find_default_file(planner);
        if (!wanted->has_loader_conf || wanted->garbage_only)
                return 0;
        planner->plan.blocked |= inventory->loader_conf_blocked;
        if (inventory->loader_conf_blocked)
                return string_list_add(&planner->plan.warnings, LOADER_CONF " is no file: it is not written");
        r = decide_default(planner, &entry);
        if (r >= 0)
                r = buffer_append(text, buffer_span(&wanted->loader_lines));
        if (r >= 0)
                r = loader_conf_add_default(&entry, text);
        if (r < 0)
                return r;
        if (inventory->has_loader_conf && span_equal(buffer_span(&inventory->loader_conf), buffer_span(text)))
                return 0;
        if (planner_is_twin(planner, LOADER_CONF))
                return 0;
        return planner_add_step(planner, (Step){.kind = STEP_WRITE_LOADER_CONF, .path = strdup(LOADER_CONF)},
                                text->size, inventory->loader_conf.size);
}
