/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Room. New files are written beside the old ones as long as both fit. Where they do not:
 *
 * 1. What goes in any case goes first, as far as needed: contents that nobody needs, then images of generations that
 * are not wanted, the oldest before others: where nothing else boots a cut leaves the newest.
 * 2. Images that would be replaced go first, those of the oldest generations before others.
 * 3. The oldest generations are left out, as many as needed, and with what they have on the volume it begins again
 *    at 1.
 *
 * The default generation, the booted one and the one that was confirmed good are protected: neither 2 nor 3 is about
 * them.
 *
 * A second run must not write what the first one left out. So a generation that is not on the volume yet is added only
 * if it fits whatever the volume looks like meanwhile: estimates count as sizes, also of images that turned out
 * smaller, and what is needed only while a run lasts is reserved. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

enum {
        FOLDER_ENTRY_BYTES = 32,
        LONG_NAME_UNITS = 13, /* of a long name in one folder entry */
        COUNTER_LENGTH_MAX = 24,
        OWN_FOLDERS = 5,
        LOADER_CONF_OWN_MAX = 512, /* of its text, besides the configured lines */
};

#define NO_GROUP SIZE_MAX

static bool same_text(const char *a, const char *b) {
        return a && b && strcmp(a, b) == 0;
}

/* --- Generations ---------------------------------------------------------------------------------------------- */

/* What runs now, as far as it is known. */
static const char *booted_toplevel(const Planner *planner) {
        for (size_t i = 0; planner->booted_entry_found && i < planner->inventory->image_count; i++)
                if (planner_is_booted(planner, &planner->inventory->images[i]) &&
                    planner->inventory->images[i].facts.toplevel)
                        return planner->inventory->images[i].facts.toplevel;
        return planner->wanted->booted_toplevel;
}

static bool is_protected(const Planner *planner, size_t group) {
        const Wanted *wanted = planner->wanted;
        const char *booted = booted_toplevel(planner);
        bool has_default = false;

        for (size_t i = 0; i < wanted->image_count; i++) {
                const WantedImage *image = &wanted->images[i];

                has_default = has_default || image->is_default;
                if (image->group != group)
                        continue;
                if (image->is_default || image->is_protected || same_text(image->toplevel, booted) ||
                    (wanted->booted_entry && entry_name_equal(image->name, wanted->booted_entry)))
                        return true;
        }
        /* Without a default the newest is what the boot loader starts. */
        return !has_default && wanted->image_count > 0 && group == wanted->images[0].group;
}

/* A generation that may go. */
typedef struct Candidate {
        size_t group, first; /* the first of its images */
        int64_t made;
} Candidate;

typedef struct Candidates {
        Candidate *items; /* the oldest first */
        size_t count;
} Candidates;

static void candidates_done(Candidates *candidates) {
        free(candidates->items);
}

static int compare_candidates(const void *a, const void *b) {
        const Candidate *x = a, *y = b;

        if (x->made != y->made)
                return x->made < y->made ? -1 : 1;
        return x->first > y->first ? -1 : x->first < y->first;
}

/* Puts those that may go into RET, which is empty. */
static int find_candidates(const Planner *planner, Candidates *ret) {
        const Wanted *wanted = planner->wanted;

        ret->items = calloc(wanted->image_count + 1, sizeof(ret->items[0]));
        if (!ret->items)
                return -ENOMEM;
        for (size_t i = 0; i < wanted->image_count; i++) {
                const WantedImage *image = &wanted->images[i];

                if (i > 0 && wanted->images[i - 1].group == image->group)
                        continue;
                if (!is_protected(planner, image->group))
                        ret->items[ret->count++] = (Candidate){image->group, i, image->made};
        }
        qsort(ret->items, ret->count, sizeof(ret->items[0]), compare_candidates);
        return 0;
}

/* Whether an image on the volume starts what the wanted one starts. */
static bool is_present(const Planner *planner, const WantedImage *image) {
        for (size_t i = 0; i < planner->inventory->image_count; i++)
                if (planner->inventory->images[i].our_form &&
                    same_text(planner->inventory->images[i].facts.toplevel, image->toplevel))
                        return true;
        return false;
}

/* --- Bytes ---------------------------------------------------------------------------------------------------- */

/* What a name takes in its folder: its short entry, its long ones, and that of the temporary name before it. */
static uint64_t name_bytes(size_t length) {
        return FOLDER_ENTRY_BYTES * (2 + (length + LONG_NAME_UNITS - 1) / LONG_NAME_UNITS);
}

static const char *const folders[OWN_FOLDERS] = {ESP_IMAGE_FOLDER, ESP_CONTENT_FOLDER, "EFI/systemd", "EFI/BOOT",
                                                 "loader"};

/* By how much folders grow at most while all new files get their names. Those that may have to be made count, too. */
static uint64_t folder_growth(const Planner *planner) {
        const Inventory *inventory = planner->inventory;
        uint64_t growth = 0;

        for (size_t i = 0; i < OWN_FOLDERS; i++) {
                size_t length = strlen(folders[i]);
                uint64_t bytes = 0;

                for (size_t j = 0; j < planner->plan.step_count; j++) {
                        const char *path = planner->plan.steps[j].path;

                        if (planner->plan.steps[j].kind != STEP_REMOVE_TEMPORARY &&
                            strncmp(path, folders[i], length) == 0 && path[length] == '/')
                                bytes += name_bytes(strlen(path + length + 1));
                }
                growth += planner_clusters(planner, bytes);
        }
        if (growth > 0 && inventory->image_count == 0 && inventory->content_count == 0)
                growth += planner_clusters(planner, 1); /* EFI itself */
        return growth;
}

static uint64_t bytes_needed(const Planner *planner) {
        return planner->plan.takes + folder_growth(planner);
}

/* What is needed only while a run lasts, at most: the old files of what is protected stay until the new ones stand
 * beside them, and folders grow. It depends on what is wanted, not on what is there. */
static uint64_t reserve(const Planner *planner) {
        const Wanted *wanted = planner->wanted;
        uint64_t bytes = 2 * planner_clusters(planner, wanted->loader_version ? wanted->loader_size : 0) +
                         planner_clusters(planner, wanted->loader_lines.size + LOADER_CONF_OWN_MAX),
                 image_names = 0, content_names = 0;

        for (size_t i = 0; i < wanted->image_count; i++) {
                const WantedImage *image = &wanted->images[i];

                if (planner_is_evicted(planner, i))
                        continue;
                image_names += name_bytes(strlen(image->name) + COUNTER_LENGTH_MAX);
                for (size_t j = 0; j < image->contents.count; j++)
                        content_names += name_bytes(strlen(image->contents.items[j]));
                if (is_protected(planner, image->group))
                        bytes += planner_clusters(planner, image->size);
        }
        return bytes + planner_clusters(planner, image_names) + planner_clusters(planner, content_names) +
               (OWN_FOLDERS - 1) * planner_clusters(planner, 1);
}

static uint64_t excess(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

static bool writes_kind(const Planner *planner, StepKind kind) {
        for (size_t i = 0; i < planner->plan.step_count; i++)
                if (planner->plan.steps[i].kind == kind)
                        return true;
        return false;
}

/* By how much the files that are kept are smaller than they might be when written anew. */
static uint64_t slack(const Planner *planner) {
        const Inventory *inventory = planner->inventory;
        const Wanted *wanted = planner->wanted;
        uint64_t bytes = 0;

        for (size_t i = 0; i < inventory->image_count; i++)
                if (planner->fates[i] == FATE_KEPT)
                        bytes += excess(planner_clusters(planner, wanted->images[planner->heirs[i]].size),
                                        planner_clusters(planner, inventory->images[i].size));
        for (LoaderPlace place = 0; wanted->loader_version && place < LOADER_PLACES; place++)
                if (!writes_kind(planner, place == LOADER_SYSTEMD ? STEP_WRITE_LOADER : STEP_WRITE_FALLBACK))
                        bytes += excess(planner_clusters(planner, wanted->loader_size),
                                        planner_clusters(planner, inventory->loaders[place].size));
        return bytes;
}

/* All that becomes free by the end: what is replaced and what goes. */
static uint64_t all_freed(const Planner *planner) {
        const Inventory *inventory = planner->inventory;
        uint64_t bytes = planner->plan.frees; /* of what is replaced, and of left-over files */

        for (size_t i = 0; i < inventory->image_count; i++)
                if (planner->fates[i] == FATE_GOES)
                        bytes += planner_clusters(planner, inventory->images[i].size);
        for (size_t i = 0; i < inventory->entry_count; i++)
                if (planner->leaving[i])
                        bytes += planner_clusters(planner, inventory->entries[i].size);
        for (size_t i = 0; i < inventory->content_count; i++)
                if (planner->garbage[i])
                        bytes += planner_clusters(planner, inventory->contents[i].size);
        return bytes;
}

/* Whether a generation that is not protected would be new on the volume. */
static bool adds_generation(const Planner *planner) {
        for (size_t i = 0; i < planner->plan.step_count; i++) {
                const WantedImage *image = planner->plan.steps[i].image;

                if (image && !is_present(planner, image) && !is_protected(planner, image->group))
                        return true;
        }
        return false;
}

/* --- What goes first ------------------------------------------------------------------------------------------ */

/* The wanted image that is going to be written in place of one that goes: 1 and its index; 0 if there is none. */
static int find_heir(const Planner *planner, size_t image, size_t *ret) {
        const EspImage *old = &planner->inventory->images[image];

        if (planner->fates[image] == FATE_REPLACED) {
                *ret = planner->heirs[image];
                return 1;
        }
        for (size_t i = 0; i < planner->plan.step_count; i++) {
                const Step *step = &planner->plan.steps[i];

                if (step->kind != STEP_WRITE_IMAGE || !same_text(step->image->toplevel, old->facts.toplevel))
                        continue;
                *ret = step->image - planner->wanted->images;
                return 1;
        }
        return 0;
}

/* For each image that goes: the group of its heir; NO_GROUP if it has none, or does not go. Owned. */
static size_t *find_heir_groups(const Planner *planner) {
        size_t *groups = calloc(planner->inventory->image_count + 1, sizeof(*groups)), heir;

        for (size_t i = 0; groups && i < planner->inventory->image_count; i++) {
                bool goes = planner->fates[i] == FATE_GOES || planner->fates[i] == FATE_REPLACED;

                groups[i] = goes && find_heir(planner, i, &heir) ? planner->wanted->images[heir].group : NO_GROUP;
        }
        return groups;
}

/* The paths to which images that go refer, each with the image. */
static int index_going(const Planner *planner, NameIndex *ret) {
        int r = 0;

        for (size_t i = 0; i < planner->inventory->image_count; i++) {
                const StringList *paths = &planner->inventory->images[i].paths;

                if (planner->fates[i] != FATE_GOES && planner->fates[i] != FATE_REPLACED)
                        continue;
                for (size_t j = 0; r >= 0 && j < paths->count; j++)
                        r = name_index_add(ret, paths->items[j], i);
        }
        name_index_sort(ret);
        return r;
}

/* Marks the contents that nobody refers to any more once the images that go early are gone. */
static int mark_contents(Planner *planner, const NameIndex *going) {
        for (size_t i = 0; i < planner->inventory->content_count; i++) {
                _cleanup_(free_pointer) char *path = NULL;
                size_t from, to;

                if (!planner->garbage[i])
                        continue;
                path = path_join(ESP_CONTENT_FOLDER, planner->inventory->contents[i].name);
                if (!path)
                        return -ENOMEM;
                name_index_find(going, path, &from, &to);
                planner->early_contents[i] = true;
                for (; from < to; from++)
                        if (!planner->early[going->entries[from].value])
                                planner->early_contents[i] = false;
        }
        return 0;
}

static uint64_t early_freed(const Planner *planner) {
        const Inventory *inventory = planner->inventory;
        uint64_t bytes = 0;

        for (size_t i = 0; i < inventory->image_count; i++)
                if (planner->early[i])
                        bytes += planner_clusters(planner, inventory->images[i].size);
        for (size_t i = 0; i < inventory->entry_count; i++)
                if (planner->leaving[i] && planner->early_entries)
                        bytes += planner_clusters(planner, inventory->entries[i].size);
        for (size_t i = 0; i < inventory->content_count; i++)
                if (planner->early_contents[i])
                        bytes += planner_clusters(planner, inventory->contents[i].size);
        return bytes;
}

/* An image that goes and that nothing takes the place of. */
typedef struct Garbage {
        size_t image;
        uint64_t generation; /* 0: its name is of a form that lanzaboote gave up */
} Garbage;

static int compare_garbage(const void *a, const void *b) {
        const Garbage *x = a, *y = b;

        if (x->generation != y->generation)
                return x->generation < y->generation ? -1 : 1;
        return x->image < y->image ? -1 : x->image > y->image;
}

/* The oldest first. Owned. */
static Garbage *find_garbage(const Planner *planner, const size_t *heirs, size_t *ret_count) {
        Garbage *garbage = calloc(planner->inventory->image_count + 1, sizeof(*garbage));
        size_t count = 0;
        ImageName name;

        for (size_t i = 0; garbage && i < planner->inventory->image_count; i++) {
                const char *text = planner->inventory->images[i].name;
                bool parsed = image_name_parse(text, planner->wanted->token, &name) >= 0;

                if (planner->fates[i] == FATE_GOES && heirs[i] == NO_GROUP)
                        garbage[count++] = (Garbage){i, parsed ? name.generation : 0};
        }
        if (garbage)
                qsort(garbage, count, sizeof(*garbage), compare_garbage);
        *ret_count = count;
        return garbage;
}

/* Marks the first COUNT of them, and the contents that go with them. */
static int mark_garbage(Planner *planner, const Garbage *garbage, size_t total, size_t count, const NameIndex *going) {
        for (size_t i = 0; i < total; i++)
                planner->early[garbage[i].image] = i < count;
        return mark_contents(planner, going);
}

/* As few of them as free LACK bytes, by binary search; all, if these are not enough. */
static int mark_enough_garbage(Planner *planner, const size_t *heirs, uint64_t lack, const NameIndex *going) {
        size_t total = 0, too_few = 0, enough;
        Garbage *garbage = find_garbage(planner, heirs, &total);
        int r = garbage ? mark_garbage(planner, garbage, total, 0, going) : -ENOMEM;

        enough = r >= 0 && early_freed(planner) >= lack ? 0 : total;
        while (r >= 0 && enough - too_few > 1) {
                size_t tried = too_few + (enough - too_few) / 2;

                r = mark_garbage(planner, garbage, total, tried, going);
                if (early_freed(planner) >= lack)
                        enough = tried;
                else
                        too_few = tried;
        }
        if (r >= 0)
                r = mark_garbage(planner, garbage, total, enough, going);
        free(garbage);
        return r;
}

static int mark_early(Planner *planner, const size_t *heirs, uint64_t lack, uint64_t *ret_missing) {
        _cleanup_(candidates_done) Candidates candidates = {};
        _cleanup_(name_index_done) NameIndex going = {};
        int r;

        r = index_going(planner, &going);
        if (r >= 0)
                r = find_candidates(planner, &candidates);
        if (r < 0)
                return r;
        planner->early_entries = true;
        r = mark_enough_garbage(planner, heirs, lack, &going);
        for (size_t i = 0; r >= 0 && i < candidates.count && early_freed(planner) < lack; i++) {
                for (size_t j = 0; j < planner->inventory->image_count; j++)
                        if (heirs[j] == candidates.items[i].group)
                                planner->early[j] = true;
                r = mark_contents(planner, &going);
        }
        *ret_missing = excess(lack, early_freed(planner));
        return r;
}

/* The first two of the three above. *RET_MISSING: what is missing of LACK bytes even then. */
static int choose_early(Planner *planner, uint64_t lack, uint64_t *ret_missing) {
        size_t *heirs = find_heir_groups(planner);
        int r = heirs ? mark_early(planner, heirs, lack, ret_missing) : -ENOMEM;

        free(heirs);
        return r;
}

/* What is removed before it is written anew does not become free a second time. */
static void settle_replaced(Planner *planner) {
        for (size_t i = 0; i < planner->plan.step_count; i++) {
                Step *step = &planner->plan.steps[i];

                for (size_t j = 0; step->kind == STEP_WRITE_IMAGE && j < planner->inventory->image_count; j++)
                        if (planner->early[j] && planner->fates[j] == FATE_REPLACED &&
                            step->image == &planner->wanted->images[planner->heirs[j]]) {
                                planner->plan.frees -= step->frees;
                                step->frees = 0;
                        }
        }
}

int planner_make_room(Planner *planner) {
        uint64_t needed, available = planner->space.free_bytes;
        int r = 0;

        if (planner->wanted->garbage_only)
                return 0;
        for (size_t i = 0; i < planner->plan.step_count; i++)
                if (planner->plan.steps[i].kind == STEP_REMOVE_TEMPORARY)
                        available += planner->plan.steps[i].frees;
        needed = bytes_needed(planner);
        if (adds_generation(planner))
                planner->missing = excess(planner->plan.takes + slack(planner) + reserve(planner),
                                          planner->space.free_bytes + all_freed(planner));
        if (needed > available && planner->missing == 0) {
                r = choose_early(planner, needed - available, &planner->missing);
                settle_replaced(planner);
        }
        return r;
}

/* --- Generations that are left out ---------------------------------------------------------------------------- */

/* A plan without the first COUNT candidates. */
static int plan_without(const Planner *all, const Candidates *candidates, size_t count, Planner *ret,
                        Failure *failure) {
        *ret = (Planner){.inventory = all->inventory, .wanted = all->wanted, .space = all->space};
        ret->evicted = calloc(all->wanted->image_count + 1, sizeof(ret->evicted[0]));
        if (!ret->evicted)
                return -ENOMEM;
        for (size_t i = 0; i < all->wanted->image_count; i++)
                for (size_t j = 0; j < count; j++)
                        if (all->wanted->images[i].group == candidates->items[j].group)
                                ret->evicted[i] = true;
        return planner_run(ret, failure);
}

/* Bytes of files beside ours that stay whatever we do. */
static uint64_t others_bytes(const Planner *planner) {
        const Inventory *inventory = planner->inventory;
        uint64_t bytes = 0;

        for (size_t i = 0; i < inventory->image_count; i++)
                if (!inventory->images[i].our_form)
                        bytes += planner_clusters(planner, inventory->images[i].size);
        for (size_t i = 0; i < inventory->content_count; i++)
                if (!inventory->contents[i].exact_form)
                        bytes += planner_clusters(planner, inventory->contents[i].size);
        return bytes;
}

/* Bytes of our files that are not wanted and stay all the same, since they belong to what runs or cannot be judged. */
static uint64_t kept_bytes(const Planner *planner) {
        const Inventory *inventory = planner->inventory;
        uint64_t bytes = 0;

        for (size_t i = 0; i < inventory->image_count; i++)
                if (planner->fates[i] == FATE_STAYS && inventory->images[i].our_form)
                        bytes += planner_clusters(planner, inventory->images[i].size);
        for (size_t i = 0; i < inventory->content_count; i++) {
                bool wanted = false;

                for (size_t j = 0; !wanted && j < planner->wanted->content_count; j++)
                        wanted = fat_name_equal(planner->wanted->contents[j].name, inventory->contents[i].name);
                if (inventory->contents[i].exact_form && !planner->garbage[i] && !wanted)
                        bytes += planner_clusters(planner, inventory->contents[i].size);
        }
        return bytes;
}

/* PLANNER wants nothing but what is protected. */
static int report_full(const Planner *planner, Failure *failure) {
        uint64_t others = others_bytes(planner), kept = kept_bytes(planner), needed = bytes_needed(planner);
        int r;

        r = failure_set(failure, CONDITION_ESP_FULL,
                        "The new boot files do not fit on the EFI system partition: %" PRIu64 " bytes are needed, "
                        "%" PRIu64 " are free or can be freed, and %" PRIu64 " are missing even without every "
                        "generation that may go (the default, the booted and the last confirmed one may not)",
                        needed, excess(needed, planner->missing), planner->missing);
        if (others > 0)
                failure_set_hint(failure,
                                 "Files in EFI/Linux and EFI/nixos that are not lanzad's have %" PRIu64
                                 " bytes: remove "
                                 "what nobody needs. Or use a larger partition, or a smaller initrd.",
                                 others);
        else if (kept > 0)
                failure_set_hint(failure,
                                 "What was booted, and is not to stay, has %" PRIu64 " bytes: start one of the other "
                                 "systems, and run this again. Or use a larger partition, or a smaller initrd.",
                                 kept);
        else
                failure_set_hint(failure, "Use a larger partition, or a smaller initrd.");
        return r;
}

static int report_left_out(Planner *planner, const Candidates *candidates, size_t count, uint64_t missing) {
        int r = 0;

        for (size_t i = count; r >= 0 && i > 0; i--) {
                const WantedImage *image = &planner->wanted->images[candidates->items[i - 1].first];

                r = string_list_add(&planner->plan.left_out, image->title);
                if (r < 0)
                        break;
                r = string_list_add_format(&planner->plan.warnings,
                                           "There is no room for %s on the EFI system partition: %s (for all that is "
                                           "wanted %" PRIu64 " bytes are missing)",
                                           image->title,
                                           is_present(planner, image) ? "its boot files have to go"
                                                                      : "its boot files are not written",
                                           missing);
        }
        return r;
}

/* The fewer are left out the more is missing: a binary search for how few it can be. */
int planner_leave_out(Planner *planner, Failure *failure) {
        _cleanup_(candidates_done) Candidates candidates = {};
        _cleanup_(planner_done) Planner found = {};
        uint64_t missing = planner->missing;
        size_t too_few = 0, enough;
        int r;

        r = find_candidates(planner, &candidates);
        if (r >= 0)
                r = plan_without(planner, &candidates, candidates.count, &found, failure);
        if (r < 0)
                return r;
        if (found.missing > 0)
                return report_full(&found, failure);
        for (enough = candidates.count; enough - too_few > 1;) {
                size_t tried = too_few + (enough - too_few) / 2;
                _cleanup_(planner_done) Planner next = {};

                r = plan_without(planner, &candidates, tried, &next, failure);
                if (r < 0)
                        return r;
                if (next.missing > 0) {
                        too_few = tried;
                        continue;
                }
                enough = tried;
                planner_done(&found);
                found = TAKE_STRUCT(next);
        }
        planner_done(planner);
        *planner = TAKE_STRUCT(found);
        return report_left_out(planner, &candidates, enough, missing);
}
