/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The planner: pure, and in the order in which a person would decide it.
 *
 * 1. Which wanted images are there already (under their name, with any boot counter, sound, signed by the certificate
 *    that would sign them now), and which have to be written.
 * 2. Which other images go. Whatever can't be judged stays: another system's, one that can't be read, one whose
 *    generation can't be read, the booted one.
 * 3. Which contents are missing; and which go, because no image that stays, and no entry of the boot loader, refers to
 *    them.
 * 4. Boot loaders and loader.conf.
 * 5. Whether all that fits beside what is there. If not, what goes first; and if that is not enough, all of this again
 *    without the oldest generations (plan-room.c).
 *
 * An image or entry that can't be read might refer to any content: as long as it stays, no content goes. */

#include "daemon/esp/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

enum { CLUSTER_BYTES_DEFAULT = 512 };

void planner_done(Planner *planner) {
        name_index_done(&planner->images);
        name_index_done(&planner->contents);
        name_index_done(&planner->references);
        free(planner->fates);
        free(planner->early);
        free(planner->heirs);
        free(planner->leaving);
        free(planner->garbage);
        free(planner->early_contents);
        free(planner->evicted);
        free(planner->satisfied);
        free(planner->blocked);
        plan_done(&planner->plan);
}

uint64_t planner_clusters(const Planner *planner, uint64_t bytes) {
        uint32_t cluster = planner->space.cluster_bytes ?: CLUSTER_BYTES_DEFAULT;
        uint64_t rest = bytes % cluster;

        return rest == 0 ? bytes : bytes - rest + cluster;
}

bool planner_is_evicted(const Planner *planner, size_t n) {
        return planner->evicted && planner->evicted[n];
}

int planner_add_step(Planner *planner, Step step, uint64_t new_size, uint64_t old_size) {
        Plan *plan = &planner->plan;

        if (!step.path) {
                free(step.counter_from);
                return -ENOMEM;
        }
        if (plan->step_count == planner->steps_allocated) {
                size_t allocated = planner->steps_allocated ? 2 * planner->steps_allocated : 16;
                Step *steps = reallocarray(plan->steps, allocated, sizeof(*steps));

                if (!steps) {
                        free(step.path);
                        free(step.counter_from);
                        return -ENOMEM;
                }
                plan->steps = steps;
                planner->steps_allocated = allocated;
        }
        step.takes = planner_clusters(planner, new_size);
        step.frees = planner_clusters(planner, old_size);
        plan->takes += step.takes;
        plan->frees += step.frees;
        plan->steps[plan->step_count++] = step;
        return 0;
}

bool planner_is_twin(const Planner *planner, const char *path) {
        for (size_t i = 0; i < planner->inventory->leftover_count; i++)
                if (planner->inventory->leftovers[i].twin &&
                    fat_name_equal(planner->inventory->leftovers[i].twin, path))
                        return true;
        return false;
}

static int remove_leftovers(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->leftover_count; i++) {
                const EspLeftover *leftover = &planner->inventory->leftovers[i];

                if (leftover->twin) {
                        r = string_list_add_format(&planner->plan.warnings,
                                                   "%s and %s may be one file, as a power cut leaves it: neither is "
                                                   "touched until the file system was checked (fsck.vfat)",
                                                   leftover->path, leftover->twin);
                        if (r < 0)
                                return r;
                        continue;
                }
                r = planner_add_step(planner, (Step){.kind = STEP_REMOVE_TEMPORARY, .path = strdup(leftover->path)}, 0,
                                     leftover->size);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int planner_prepare(Planner *planner) {
        const Inventory *inventory = planner->inventory;
        const Wanted *wanted = planner->wanted;
        int r;

        planner->fates = calloc(inventory->image_count + 1, sizeof(planner->fates[0]));
        planner->early = calloc(inventory->image_count + 1, sizeof(planner->early[0]));
        planner->heirs = calloc(inventory->image_count + 1, sizeof(planner->heirs[0]));
        planner->leaving = calloc(inventory->entry_count + 1, sizeof(planner->leaving[0]));
        planner->garbage = calloc(inventory->content_count + 1, sizeof(planner->garbage[0]));
        planner->early_contents = calloc(inventory->content_count + 1, sizeof(planner->early_contents[0]));
        planner->satisfied = calloc(wanted->image_count + 1, sizeof(planner->satisfied[0]));
        planner->blocked = calloc(wanted->content_count + 1, sizeof(planner->blocked[0]));
        if (!planner->fates || !planner->early || !planner->heirs || !planner->leaving || !planner->garbage ||
            !planner->early_contents || !planner->satisfied || !planner->blocked)
                return -ENOMEM;

        for (size_t i = 0; i < inventory->image_count; i++) {
                _cleanup_(free_pointer) char *entry = entry_name(inventory->images[i].name);

                r = entry ? name_index_add(&planner->images, entry, i) : -ENOMEM;
                if (r < 0)
                        return r;
                if (wanted->booted_entry && entry_name_equal(inventory->images[i].name, wanted->booted_entry))
                        planner->booted_entry_found = true;
        }
        for (size_t i = 0; i < inventory->content_count; i++) {
                r = name_index_add(&planner->contents, inventory->contents[i].name, i);
                if (r < 0)
                        return r;
        }
        name_index_sort(&planner->images);
        name_index_sort(&planner->contents);
        return 0;
}

/* Where in the order a step stands: left-over files, what makes room, what is written, what goes at the end. */
static unsigned step_rank(const Step *step) {
        if (step->kind == STEP_REMOVE_TEMPORARY)
                return 0;
        return step->early ? step->kind : STEP_KINDS + step->kind;
}

/* Puts the steps into their order. Those of one kind keep theirs. */
static int order_steps(Plan *plan) {
        Step *ordered = calloc(plan->step_count + 1, sizeof(*ordered));
        size_t count = 0;

        if (!ordered)
                return -ENOMEM;
        for (unsigned rank = 0; rank < 2 * STEP_KINDS; rank++)
                for (size_t i = 0; i < plan->step_count; i++)
                        if (step_rank(&plan->steps[i]) == rank)
                                ordered[count++] = plan->steps[i];
        free(plan->steps);
        plan->steps = ordered;
        return 0;
}

int planner_run(Planner *planner, Failure *failure) {
        static int (*const parts[])(Planner * planner) = {
                planner_judge_entries,     planner_judge_contents,  planner_write_contents, planner_write_loaders,
                planner_write_loader_conf, remove_leftovers,        planner_make_room,      planner_remove_images,
                planner_remove_entries,    planner_remove_contents,
        };
        int r;

        r = planner_prepare(planner);
        if (r < 0)
                return r;
        r = planner_examine_contents(planner);
        if (r < 0)
                return r;
        r = planner_write_images(planner, failure);
        if (r < 0)
                return r;
        r = planner_judge_images(planner);
        if (r < 0)
                return r;
        if (planner->bootable == 0 && (!planner->wanted->garbage_only || planner_removes_images(planner)))
                return failure_set(failure, CONDITION_NOTHING_BOOTABLE,
                                   "No boot image would remain on the EFI system partition");
        for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
                r = parts[i](planner);
                if (r < 0)
                        return r;
        }
        return order_steps(&planner->plan);
}

int plan_make(const Inventory *inventory, const Wanted *wanted, VolumeSpace space, Plan *ret, Failure *failure) {
        _cleanup_(planner_done) Planner planner = {.inventory = inventory, .wanted = wanted, .space = space};
        int r;

        r = planner_run(&planner, failure);
        if (r >= 0 && planner.missing > 0)
                r = planner_leave_out(&planner, failure);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot plan the changes to the EFI system partition");
        planner.plan.satisfied = TAKE_POINTER(planner.satisfied);
        *ret = TAKE_STRUCT(planner.plan);
        return 0;
}

void plan_done(Plan *plan) {
        for (size_t i = 0; i < plan->step_count; i++) {
                free(plan->steps[i].path);
                free(plan->steps[i].counter_from);
        }
        free(plan->steps);
        string_list_done(&plan->left_out);
        free(plan->satisfied);
        string_list_done(&plan->warnings);
        string_list_done(&plan->left_alone);
        string_list_done(&plan->image_files);
        buffer_done(&plan->loader_conf);
        *plan = (Plan){};
}

const char *step_kind_name(StepKind kind) {
        static const char *const names[STEP_KINDS] = {
                [STEP_REMOVE_TEMPORARY] = "remove-temporary", [STEP_WRITE_CONTENT] = "write-content",
                [STEP_WRITE_IMAGE] = "write-image",           [STEP_WRITE_LOADER] = "write-loader",
                [STEP_WRITE_FALLBACK] = "write-fallback",     [STEP_WRITE_LOADER_CONF] = "write-loader-conf",
                [STEP_REMOVE_IMAGE] = "remove-image",         [STEP_REMOVE_ENTRY] = "remove-entry",
                [STEP_REMOVE_CONTENT] = "remove-content",
        };

        return names[kind];
}
