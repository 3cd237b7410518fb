/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which kernels and initrds are written, and which go: those that no image refers to any more. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

static ssize_t find_wanted_content(const Wanted *wanted, const char *name) {
        for (size_t i = 0; i < wanted->content_count; i++)
                if (fat_name_equal(wanted->contents[i].name, name))
                        return i;
        return -1;
}

/* The name of a content that can't be there, or NULL. */
const char *planner_find_blocked_content(const Planner *planner, const WantedImage *image) {
        for (size_t i = 0; i < image->contents.count; i++) {
                ssize_t n = find_wanted_content(planner->wanted, image->contents.items[i]);

                if (n >= 0 && planner->blocked[n])
                        return image->contents.items[i];
        }
        return NULL;
}

static const EspContent *find_content(const Planner *planner, const char *name) {
        size_t from, to;

        name_index_find(&planner->contents, name, &from, &to);
        return from < to ? &planner->inventory->contents[planner->contents.entries[from].value] : NULL;
}

/* Whether an image for which there is room is to have the content. */
static bool is_wanted(const Planner *planner, const WantedContent *content) {
        if (!planner->evicted)
                return true;
        for (size_t i = 0; i < planner->wanted->image_count; i++)
                if (!planner->evicted[i] && string_list_has_name(&planner->wanted->images[i].contents, content->name))
                        return true;
        return false;
}

static int collect_references(Planner *planner) {
        const Wanted *wanted = planner->wanted;
        int r;

        for (size_t i = 0; i < planner->inventory->image_count; i++) {
                const EspImage *image = &planner->inventory->images[i];

                if (planner->fates[i] == FATE_GOES || planner->fates[i] == FATE_REPLACED)
                        continue;
                for (size_t j = 0; j < image->paths.count; j++) {
                        r = name_index_add(&planner->references, image->paths.items[j], i);
                        if (r < 0)
                                return r;
                }
        }
        for (size_t i = 0; i < planner->inventory->entry_count; i++) {
                const StringList *paths = &planner->inventory->entries[i].paths;

                for (size_t j = 0; j < paths->count && !planner->leaving[i]; j++) {
                        r = name_index_add(&planner->references, paths->items[j], i);
                        if (r < 0)
                                return r;
                }
        }
        for (size_t i = 0; i < wanted->content_count && !wanted->images_elsewhere; i++) {
                _cleanup_(free_pointer) char *path = path_join(ESP_CONTENT_FOLDER, wanted->contents[i].name);

                if (!is_wanted(planner, &wanted->contents[i]))
                        continue;
                if (!path)
                        return -ENOMEM;
                r = name_index_add(&planner->references, path, i);
                if (r < 0)
                        return r;
        }
        name_index_sort(&planner->references);
        return 0;
}

/* Whether an image that is or will be there refers to the content. */
static bool is_needed(const Planner *planner, const WantedContent *content) {
        for (size_t i = 0; i < planner->wanted->image_count; i++)
                if (planner->satisfied[i] && string_list_has_name(&planner->wanted->images[i].contents, content->name))
                        return true;
        return false;
}

int planner_examine_contents(Planner *planner) {
        for (size_t i = 0; i < planner->wanted->content_count && !planner->wanted->images_elsewhere; i++) {
                const WantedContent *content = &planner->wanted->contents[i];
                const EspContent *there = find_content(planner, content->name);

                planner->blocked[i] = there && !there->regular;
                if (there && there->regular && there->size == content->size)
                        planner->plan.contents_kept++;
        }
        return 0;
}

int planner_write_contents(Planner *planner) {
        int r;

        if (planner->wanted->garbage_only || planner->wanted->images_elsewhere)
                return 0;
        for (size_t i = 0; i < planner->wanted->content_count; i++) {
                const WantedContent *content = &planner->wanted->contents[i];
                const EspContent *there = find_content(planner, content->name);

                if (planner->blocked[i] || (there && there->size == content->size) || !is_needed(planner, content))
                        continue;
                r = planner_add_step(planner,
                                     (Step){.kind = STEP_WRITE_CONTENT,
                                            .path = path_join(ESP_CONTENT_FOLDER, content->name),
                                            .content = content},
                                     content->size, there ? there->size : 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int planner_judge_contents(Planner *planner) {
        int r;

        if (planner->keep_contents)
                return 0;
        r = collect_references(planner);
        if (r < 0)
                return r;
        for (size_t i = 0; i < planner->inventory->content_count; i++) {
                const EspContent *content = &planner->inventory->contents[i];
                _cleanup_(free_pointer) char *path = path_join(ESP_CONTENT_FOLDER, content->name);
                size_t from, to;

                if (!path)
                        return -ENOMEM;
                name_index_find(&planner->references, path, &from, &to);
                planner->garbage[i] = content->regular &&
                                      (content->exact_form || (content->store_form && planner->has_succeeded)) &&
                                      from == to && !planner_is_twin(planner, path);
        }
        return 0;
}

int planner_remove_contents(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->content_count; i++) {
                const EspContent *content = &planner->inventory->contents[i];

                if (!planner->garbage[i])
                        continue;
                r = planner_add_step(planner,
                                     (Step){.kind = STEP_REMOVE_CONTENT,
                                            .path = path_join(ESP_CONTENT_FOLDER, content->name),
                                            .early = planner->early_contents[i]},
                                     0, content->size);
                if (r < 0)
                        return r;
        }
        return 0;
}
