/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Boot loader entries of others. What they name stays, with one exception: what nixpkgs' systemd-boot builder left for
 * this system becomes ours as soon as an image of ours has booted, since until then it is what the machine boots with
 * if ours do not start. An entry is of this system if it has its machine id, or (where it names no machine: the builder
 * found none) if it starts a toplevel of our profiles. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-entry.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

/* What the boot loader took is a wanted image of ours. */
static bool has_succeeded(const Planner *planner) {
        if (planner->wanted->images_elsewhere)
                return planner->wanted->images_elsewhere->has_succeeded;
        for (size_t i = 0; planner->booted_entry_found && i < planner->inventory->image_count; i++)
                if (planner->fates[i] == FATE_KEPT && planner_is_booted(planner, &planner->inventory->images[i]))
                        return true;
        return false;
}

static bool is_of_this_system(const Planner *planner, const LoaderEntryOwner *owner) {
        const Wanted *wanted = planner->wanted;

        if (!owner->toplevel)
                return false;
        if (owner->machine_id)
                return wanted->machine_id && strcmp(owner->machine_id, wanted->machine_id) == 0;
        return string_list_contains(&wanted->toplevels, owner->toplevel);
}

/* A name that is a hash does not say of which generation it is: it may be the one that can't be judged. */
static bool is_shielded(const Planner *planner, const EspEntry *entry) {
        return entry->generation > 0 ? planner_is_shielded(planner, entry->profile, entry->generation)
                                     : planner->wanted->shielded_count > 0;
}

static char *entry_path(const EspEntry *entry) {
        return path_join(LOADER_ENTRY_FOLDER, entry->name);
}

static int judge_entry(const Planner *planner, const EspEntry *entry, bool *ret) {
        _cleanup_(free_pointer) char *path = entry_path(entry);

        if (!path)
                return -ENOMEM;
        *ret = planner->has_succeeded && entry->builders && entry->error == 0 &&
               is_of_this_system(planner, &entry->owner) && !planner_is_twin(planner, path) &&
               !is_shielded(planner, entry) && !planner_is_last_resort(planner, entry->owner.toplevel);
        return 0;
}

/* An entry that can't be understood may name anything. */
static int warn_of_unclear(Planner *planner, const EspEntry *entry) {
        planner->keep_contents = true;
        return string_list_add_format(&planner->plan.warnings,
                                      LOADER_ENTRY_FOLDER
                                      "/%s cannot be read (%s): no kernel and no initrd is removed, "
                                      "since it might name it",
                                      entry->name, strerror(-entry->error));
}

int planner_judge_entries(Planner *planner) {
        int r = 0;

        planner->has_succeeded = planner->plan.has_succeeded = has_succeeded(planner);
        for (size_t i = 0; r >= 0 && i < planner->inventory->entry_count; i++) {
                const EspEntry *entry = &planner->inventory->entries[i];

                r = entry->error < 0 ? warn_of_unclear(planner, entry)
                                     : judge_entry(planner, entry, &planner->leaving[i]);
        }
        return r;
}

int planner_remove_entries(Planner *planner) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < planner->inventory->entry_count; i++)
                if (planner->leaving[i])
                        r = planner_add_step(planner,
                                             (Step){.kind = STEP_REMOVE_ENTRY,
                                                    .path = entry_path(&planner->inventory->entries[i]),
                                                    .early = planner->early_entries},
                                             0, planner->inventory->entries[i].size);
        return r;
}
