/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/generation.h"

/* Which generations are to be on the ESP: a pure function of the list. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool is_good(const Generation *generation) {
        return !generation->problem.message;
}

static bool same_profile(const Generation *a, const Generation *b) {
        return strcmp(a->profile ? a->profile : "", b->profile ? b->profile : "") == 0;
}

/* Relies on the order of the list: profile by profile, newest first. */
static void choose_newest(GenerationList *list, unsigned limit) {
        unsigned taken = 0;

        for (size_t i = 0; i < list->count; i++) {
                Generation *generation = list->items + i;

                if (i > 0 && !same_profile(generation, generation - 1))
                        taken = 0;
                generation->chosen = is_good(generation) && (limit == 0 || taken < limit);
                taken += generation->chosen;
                generation->is_default = generation->is_booted = generation->is_confirmed = false;
        }
}

static void choose_booted(GenerationList *list, const char *toplevel) {
        for (size_t i = 0; i < list->count; i++) {
                Generation *generation = list->items + i;
                bool held = boot_variant_list_find(&generation->variants, toplevel) ||
                            (generation->toplevel && strcmp(generation->toplevel, toplevel) == 0);

                if (!held)
                        continue;
                generation->is_booted = true;
                generation->chosen = is_good(generation);
        }
}

void generations_choose_confirmed(GenerationList *list, bool (*did_boot)(void *userdata, const Generation *generation),
                                  void *userdata) {
        bool found = false;

        for (size_t i = 0; i < list->count; i++) {
                Generation *generation = list->items + i;

                if (i > 0 && !same_profile(generation, generation - 1))
                        found = false;
                if (found || !is_good(generation) || !did_boot(userdata, generation))
                        continue;
                generation->is_confirmed = generation->chosen = found = true;
        }
}

/* What is the default where nobody named one. */
static Generation *find_default(const GenerationList *list) {
        for (size_t i = 0; i < list->count; i++)
                if (!list->items[i].profile && list->items[i].current)
                        return list->items + i;
        for (size_t i = 0; i < list->count; i++)
                if (is_good(list->items + i))
                        return list->items + i;
        return NULL;
}

int generations_choose(GenerationList *list, const GenerationChoice *choice, Generation **ret_default,
                       const BootVariant **ret_variant, Failure *failure) {
        const BootVariant *variant = NULL;
        Generation *found;

        choose_newest(list, choice->limit);
        if (choice->booted_toplevel)
                choose_booted(list, choice->booted_toplevel);

        found = choice->default_toplevel ? generation_list_find(list, choice->default_toplevel, &variant)
                                         : find_default(list);
        if (!found && choice->default_toplevel)
                return failure_set(failure, CONDITION_FOREIGN_TOPLEVEL,
                                   "%s is no generation of a configured profile, nor a specialisation of one",
                                   choice->default_toplevel);
        if (!found)
                return failure_set(failure, CONDITION_NOTHING_BOOTABLE,
                                   "There is no well-formed generation in any profile");
        if (!is_good(found))
                return failure_set(failure, CONDITION_BAD_BOOTSPEC,
                                   "Generation %" PRIu64 "%s%s, which is to be the default, is malformed: %s",
                                   found->number, found->profile ? " of " : "", found->profile ? found->profile : "",
                                   found->problem.message);

        found->is_default = found->chosen = true;
        *ret_default = found;
        *ret_variant = variant ? variant : found->variants.items;
        return 0;
}
