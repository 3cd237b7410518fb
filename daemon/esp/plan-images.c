/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which boot images are written, and which go. Whatever can't be judged stays. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/neighbour-names.h"
#include "daemon/esp/planner.h"
#include "daemon/util/file.h"

bool planner_is_booted(const Planner *planner, const EspImage *image) {
        const Wanted *wanted = planner->wanted;

        if (planner->booted_entry_found)
                return entry_name_equal(image->name, wanted->booted_entry);
        /* Which file was booted is not known: any that starts the booted system may be it. */
        return wanted->booted_toplevel && image->facts.toplevel &&
               strcmp(image->facts.toplevel, wanted->booted_toplevel) == 0;
}

/* Whether the image refers to exactly what the wanted one would. */
static int refers_to(const EspImage *image, const WantedImage *wanted, bool *ret) {
        _cleanup_(string_list_done) StringList paths = {};
        bool equal = true;
        int r;

        for (size_t i = 0; i < wanted->contents.count; i++) {
                r = string_list_add_format(&paths, ESP_CONTENT_FOLDER "/%s", wanted->contents.items[i]);
                if (r < 0)
                        return r;
                equal = equal && string_list_has_name(&image->paths, paths.items[i]);
        }
        for (size_t i = 0; i < image->paths.count; i++)
                equal = equal && string_list_has_name(&paths, image->paths.items[i]);
        *ret = equal;
        return 0;
}

static int is_twin(const Planner *planner, const EspImage *image, bool *ret) {
        _cleanup_(free_pointer) char *path = path_join(ESP_IMAGE_FOLDER, image->name);

        if (!path)
                return -ENOMEM;
        *ret = planner_is_twin(planner, path);
        return 0;
}

/* Whether the file can stand for the wanted image: nothing would be gained by writing it anew. */
static int is_up_to_date(const Planner *planner, const EspImage *image, const WantedImage *wanted, bool *ret) {
        int r;

        *ret = false;
        if (!image->regular || image->error < 0)
                return 0;
        r = is_twin(planner, image, ret);
        if (r < 0 || *ret)
                return r;
        if (planner_is_booted(planner, image)) {
                *ret = true; /* it did boot: it stays until another one has */
                return 0;
        }
        if (planner->wanted->has_signer && !image->facts.signed_by_current)
                return 0;
        if (planner->wanted->renew_stubs && image->facts.has_other_stub)
                return 0;
        return refers_to(image, wanted, ret);
}

/* Of two files for one entry the confirmed one, or the one with more tries left, is the better. */
static bool has_better_counter(const char *a, const char *b) {
        Span a_counter = entry_name_counter(a), b_counter = entry_name_counter(b);

        if (a_counter.size == 0 || b_counter.size == 0)
                return a_counter.size < b_counter.size;
        return strtoull((const char *)a_counter.data + 1, NULL, 10) >
               strtoull((const char *)b_counter.data + 1, NULL, 10);
}

static bool starts(const EspImage *image, const WantedImage *wanted) {
        return image->error == 0 && image->facts.toplevel && strcmp(image->facts.toplevel, wanted->toplevel) == 0;
}

/* Another image of the same generation (and specialisation) and toplevel, whose boot counter the new one inherits: the
 * booted one, or the one with the best counter. NULL if there is none. */
static const EspImage *find_predecessor_in(const Planner *planner, const Inventory *inventory,
                                           const WantedImage *wanted) {
        const EspImage *found = NULL;
        ImageName name, other;

        if (image_name_parse(wanted->name, planner->wanted->token, &name) < 0)
                return NULL;
        for (size_t i = 0; i < inventory->image_count; i++) {
                const EspImage *image = &inventory->images[i];

                if (!image->our_form || !starts(image, wanted) ||
                    image_name_parse(image->name, planner->wanted->token, &other) < 0 ||
                    !span_equal(name.identity, other.identity))
                        continue;
                if (planner_is_booted(planner, image))
                        return image;
                if (!found || has_better_counter(image->name, found->name))
                        found = image;
        }
        return found;
}

static const EspImage *find_predecessor(const Planner *planner, const WantedImage *wanted) {
        const Inventory *former = planner->wanted->images_formerly;
        const EspImage *found = find_predecessor_in(planner, planner->inventory, wanted);

        return found || !former ? found : find_predecessor_in(planner, former, wanted);
}

static char *image_path(const char *name, Span counter) {
        _cleanup_(free_pointer) char *full = entry_name_with_counter(name, counter);

        return full ? path_join(ESP_IMAGE_FOLDER, full) : NULL;
}

/* A file of the wanted entry that starts nothing does not hand "no counter" down: it does not show that anything was
 * confirmed good. */
static bool hands_counter_down(const EspImage *image, const WantedImage *wanted) {
        return starts(image, wanted) || wanted->tries == 0 || entry_name_counter(image->name).size > 0;
}

/* The file that STEP replaces, if one has its very name: -1 if there is none. */
static ssize_t find_namesake(const Planner *planner, const Step *step) {
        const char *name = strrchr(step->path, '/') + 1;

        for (size_t i = 0; i < planner->inventory->image_count; i++)
                if (fat_name_equal(planner->inventory->images[i].name, name))
                        return i;
        return -1;
}

/* UNUSABLE is the file of its entry that would be in its place, or -1. The new one has another name where that hands no
 * counter down; then the old one goes. */
static int add_image_step(Planner *planner, size_t n, ssize_t unusable) {
        const WantedImage *wanted = &planner->wanted->images[n];
        const EspImage *old = unusable >= 0 ? &planner->inventory->images[unusable] : NULL;
        const EspImage *heir_of = old && hands_counter_down(old, wanted) ? old : find_predecessor(planner, wanted);
        Step step = {.kind = STEP_WRITE_IMAGE, .image = wanted};
        char tries[16] = "";
        ssize_t replaced;

        if (!heir_of && wanted->tries > 0)
                snprintf(tries, sizeof(tries), "+%u", wanted->tries);
        step.path = image_path(wanted->name, heir_of ? entry_name_counter(heir_of->name) : span_from_string(tries));
        if (!step.path)
                return -ENOMEM;
        replaced = old ? find_namesake(planner, &step) : -1;
        if (old && replaced != unusable)
                planner->fates[unusable] = FATE_GOES;
        else if (heir_of) {
                step.counter_from = strdup(heir_of->name);
                if (!step.counter_from) {
                        free(step.path);
                        return -ENOMEM;
                }
        }
        if (replaced >= 0) {
                planner->fates[replaced] = FATE_REPLACED;
                planner->heirs[replaced] = n;
        }
        return planner_add_step(planner, step, wanted->size,
                                replaced >= 0 ? planner->inventory->images[replaced].size : 0);
}

/* Looks among the files of the wanted image's entry for one to keep (then *RET_KEPT), or to replace; each NULL if there
 * is none. */
static int find_image(Planner *planner, const WantedImage *wanted, ssize_t *ret_kept, ssize_t *ret_replaced,
                      bool *ret_blocked) {
        _cleanup_(free_pointer) char *entry = entry_name(wanted->name);
        const EspImage *images = planner->inventory->images;
        ssize_t kept = -1, replaced = -1;
        bool blocked = false, up_to_date;
        size_t from, to;
        int r;

        if (!entry)
                return -ENOMEM;
        name_index_find(&planner->images, entry, &from, &to);
        for (size_t i = from; i < to; i++) {
                size_t n = planner->images.entries[i].value;

                r = is_up_to_date(planner, &images[n], wanted, &up_to_date);
                if (r < 0)
                        return r;
                if (!images[n].regular)
                        blocked = true;
                else if (up_to_date && (kept < 0 || has_better_counter(images[n].name, images[kept].name)))
                        kept = n;
                else if (!up_to_date && (replaced < 0 || has_better_counter(images[n].name, images[replaced].name)))
                        replaced = n;
        }
        *ret_kept = kept;
        *ret_replaced = replaced;
        *ret_blocked = blocked;
        return 0;
}

/* A wanted image that can't be there: fatal for the default one. */
static int skip_image(Planner *planner, const WantedImage *wanted, const char *obstacle, Failure *failure) {
        if (wanted->is_default) {
                failure_set(failure, CONDITION_FAILED,
                            "Cannot write the boot image of %s: something that is no file stands under the name %s",
                            wanted->title, obstacle);
                failure_set_hint(failure, "Look at what it is, and move it away.");
                return -EEXIST;
        }
        planner->plan.blocked = true;
        return string_list_add_format(&planner->plan.warnings,
                                      "The boot image of %s is not written: something that is no file stands under "
                                      "the name %s",
                                      wanted->title, obstacle);
}

static int keep_image(Planner *planner, const WantedImage *wanted, size_t n) {
        planner->fates[n] = FATE_KEPT;
        planner->heirs[n] = wanted - planner->wanted->images;
        planner->plan.images_kept++;
        if (wanted->is_default)
                planner->plan.kept_default = planner->inventory->images[n].name;
        if (!planner->wanted->renew_stubs || !planner->inventory->images[n].facts.has_other_stub)
                return 0;
        return string_list_add_format(&planner->plan.warnings,
                                      "The boot image of %s keeps its stub, since it is what was booted. When an image "
                                      "with the new stub has booted, run this again",
                                      wanted->title);
}

static void satisfy(Planner *planner, size_t n) {
        planner->satisfied[n] = true;
        planner->bootable++;
        if (planner->wanted->images[n].is_default)
                planner->plan.default_image = &planner->wanted->images[n];
}

static int plan_image(Planner *planner, size_t n, Failure *failure) {
        const WantedImage *wanted = &planner->wanted->images[n];
        const char *blocked_content = planner_find_blocked_content(planner, wanted);
        ssize_t kept, replaced;
        bool blocked;
        int r;

        r = find_image(planner, wanted, &kept, &replaced, &blocked);
        if (r < 0)
                return r;
        if (kept >= 0) {
                r = keep_image(planner, wanted, kept);
                if (r >= 0 && blocked_content && !planner->wanted->garbage_only)
                        r = skip_image(planner, wanted, blocked_content, failure);
                /* What can't be read is of no use beside what can. */
                if (replaced >= 0 && !starts(&planner->inventory->images[replaced], wanted))
                        planner->fates[replaced] = FATE_GOES;
        } else if (planner->wanted->garbage_only)
                return 0;
        else if (blocked || blocked_content)
                return skip_image(planner, wanted, blocked_content ?: wanted->name, failure);
        else
                r = add_image_step(planner, n, replaced);
        if (r < 0)
                return r;
        satisfy(planner, n);
        return 0;
}

int planner_write_images(Planner *planner, Failure *failure) {
        const Plan *elsewhere = planner->wanted->images_elsewhere;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < planner->wanted->image_count; i++) {
                if (planner_is_evicted(planner, i))
                        continue;
                if (!elsewhere)
                        r = plan_image(planner, i, failure);
                else if (elsewhere->satisfied[i])
                        satisfy(planner, i);
        }
        return r;
}

/* Whether IMAGE is of a generation whose document could not be read. */
static bool is_shielded(const Planner *planner, const EspImage *image) {
        const Wanted *wanted = planner->wanted;
        ImageName name;

        if (image_name_parse(image->name, wanted->token, &name) < 0)
                return false;
        for (size_t i = 0; i < wanted->shielded_count; i++)
                if (image_name_is_of(&name, wanted->token, wanted->shielded[i].profile, wanted->shielded[i].generation))
                        return true;
        return false;
}

bool planner_is_shielded(const Planner *planner, const char *profile, uint64_t generation) {
        for (size_t i = 0; i < planner->wanted->shielded_count; i++)
                if (planner->wanted->shielded[i].generation == generation &&
                    strcmp(planner->wanted->shielded[i].profile, profile) == 0)
                        return true;
        return false;
}

/* What starts such a system is all that it has. */
bool planner_is_last_resort(const Planner *planner, const char *toplevel) {
        for (size_t i = 0; i < planner->wanted->image_count; i++)
                if (!planner->satisfied[i] && !planner_is_evicted(planner, i) && toplevel &&
                    strcmp(planner->wanted->images[i].toplevel, toplevel) == 0)
                        return true;
        return false;
}

/* Whether a wanted image that is or will be there starts what IMAGE starts. */
static bool has_heir(const Planner *planner, const EspImage *image) {
        for (size_t i = 0; i < planner->wanted->image_count; i++)
                if (planner->satisfied[i] && image->facts.toplevel &&
                    strcmp(planner->wanted->images[i].toplevel, image->facts.toplevel) == 0)
                        return true;
        return false;
}

/* One of lanzaboote's whose name is not ours, but what else can be said of it is: it refers to its kernel, and is
 * signed by us, or another image has taken its generation over. */
static bool is_old_of_ours(const Planner *planner, const EspImage *image) {
        uint64_t generation;

        return image->old_form && image->regular && image->error == 0 && image->paths.count > 0 &&
               !planner_is_booted(planner, image) && lanzaboote_image_parse(image->name, &generation) &&
               !planner_is_shielded(planner, "", generation) && (image->facts.signed_by_us || has_heir(planner, image));
}

/* Ours are images of our form that a certificate of ours signed, or that start a toplevel of our profiles. An empty
 * file of our form is what a power cut leaves. */
static bool is_ours(const Planner *planner, const EspImage *image) {
        if (image->size == 0)
                return true;
        return image->error == 0 &&
               (image->facts.signed_by_us ||
                (image->facts.toplevel && string_list_contains(&planner->wanted->toplevels, image->facts.toplevel)));
}

/* The name of the file that will be there for the wanted image number N; NULL if there is none. */
static const char *find_file(const Planner *planner, size_t n) {
        const Plan *plan = planner->wanted->images_elsewhere ?: &planner->plan;
        const WantedImage *wanted = &planner->wanted->images[n];

        for (size_t i = 0; i < planner->inventory->image_count; i++)
                if (planner->fates[i] == FATE_KEPT && planner->heirs[i] == n)
                        return planner->inventory->images[i].name;
        for (size_t i = 0; i < plan->step_count; i++)
                if (plan->steps[i].kind == STEP_WRITE_IMAGE && plan->steps[i].image == wanted)
                        return strrchr(plan->steps[i].path, '/') + 1;
        for (size_t i = 0; i < plan->image_files.count; i++)
                if (entry_name_equal(plan->image_files.items[i], wanted->name))
                        return plan->image_files.items[i];
        return NULL;
}

/* Whether IMAGE is how a generation was confirmed good, and the file that takes its place has yet to be. */
static bool is_relied_on(const Planner *planner, const EspImage *image) {
        const char *token = planner->wanted->token;
        ImageName name, other;

        if (image_name_parse(image->name, token, &name) < 0 || name.counter.size > 0)
                return false;
        for (size_t i = 0; i < planner->wanted->image_count; i++) {
                const WantedImage *wanted = &planner->wanted->images[i];
                const char *file = NULL;

                if (wanted->is_confirmed && planner->satisfied[i] && starts(image, wanted) &&
                    image_name_parse(wanted->name, token, &other) >= 0 && name.generation == other.generation &&
                    span_equal(name.profile, other.profile))
                        file = find_file(planner, i);
                if (file && entry_name_counter(file).size > 0)
                        return true;
        }
        return false;
}

static int judge_image(Planner *planner, const EspImage *image, Fate *fate) {
        bool twin;
        int r;

        *fate = FATE_STAYS;
        if (is_old_of_ours(planner, image)) {
                r = is_twin(planner, image, &twin);
                if (r >= 0 && !twin && !planner_is_last_resort(planner, image->facts.toplevel))
                        *fate = FATE_GOES;
                return r;
        }
        if (!image->regular || !image->our_form || planner_is_booted(planner, image) || is_shielded(planner, image))
                return 0;
        r = is_twin(planner, image, &twin);
        if (r < 0 || twin)
                return r;
        if (is_ours(planner, image)) {
                *fate = planner_is_last_resort(planner, image->facts.toplevel) || is_relied_on(planner, image)
                                ? FATE_STAYS
                                : FATE_GOES;
                return 0;
        }
        if (image->error == 0 || image->error == -ENOEXEC)
                return string_list_add_format(&planner->plan.left_alone, ESP_IMAGE_FOLDER "/%s", image->name);
        return 0;
}

/* An image that stays and can't be read: it may refer to anything. */
static int shield_contents(Planner *planner, const EspImage *image) {
        planner->keep_contents = true;
        return string_list_add_format(&planner->plan.warnings,
                                      ESP_IMAGE_FOLDER "/%s cannot be read (%s): no kernel and no initrd is removed, "
                                                       "since it might refer to it",
                                      image->name, strerror(-image->error));
}

int planner_judge_images(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->image_count; i++) {
                const EspImage *image = &planner->inventory->images[i];

                if (planner->fates[i] == FATE_STAYS) {
                        r = judge_image(planner, image, &planner->fates[i]);
                        if (r < 0)
                                return r;
                }
                if (planner->fates[i] != FATE_STAYS)
                        continue;
                if (image->our_form && image->regular && image->error == 0)
                        planner->bootable++;
                if (image->regular && image->error < 0 && image->error != -ENOEXEC) {
                        r = shield_contents(planner, image);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int planner_remove_images(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->image_count; i++) {
                const EspImage *image = &planner->inventory->images[i];

                if (planner->fates[i] != FATE_GOES && !planner->early[i])
                        continue;
                r = planner_add_step(planner,
                                     (Step){.kind = STEP_REMOVE_IMAGE,
                                            .path = path_join(ESP_IMAGE_FOLDER, image->name),
                                            .early = planner->early[i]},
                                     0, image->size);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool planner_removes_images(const Planner *planner) {
        for (size_t i = 0; i < planner->inventory->image_count; i++)
                if (planner->fates[i] == FATE_GOES)
                        return true;
        return false;
}
