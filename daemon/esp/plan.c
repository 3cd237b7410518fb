/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The planner: pure, and in the order in which a person would decide it.
 *
 * 1. Which wanted images are there already (under their name, with any boot counter, sound, signed by the certificate
 *    that would sign them now), and which have to be written.
 * 2. Which other images go. Whatever can't be judged stays: another system's, one that can't be read, one whose
 *    generation can't be read, the booted one.
 * 3. Which contents are missing; and which go, because no image that stays refers to them.
 * 4. Boot loaders and loader.conf.
 *
 * An image that can't be read might refer to any content: as long as it stays, no content goes. */

#include "daemon/esp/plan.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/loader-version.h"
#include "daemon/esp/name-index.h"
#include "daemon/util/file.h"

enum { CLUSTER_BYTES_DEFAULT = 512 };

/* What becomes of an image that is there. */
typedef enum Fate {
        FATE_STAYS,
        FATE_KEPT,     /* it is a wanted one */
        FATE_REPLACED, /* a wanted one is written in its place */
        FATE_GOES,
} Fate;

typedef struct Planner {
        const Inventory *inventory;
        const Wanted *wanted;
        uint32_t cluster_bytes;
        NameIndex images;        /* of the inventory, by entry name */
        NameIndex contents;      /* of the inventory, by name */
        NameIndex references;    /* paths that images refer to, which will be there */
        Fate *fates;             /* one for each image of the inventory */
        bool *satisfied;         /* for each wanted image: it is or will be there */
        bool *blocked;           /* for each wanted content: something that is no file is in its place */
        bool booted_entry_found; /* the file that was booted is on this volume */
        bool keep_contents;      /* an image that can't be read stays */
        size_t bootable;         /* images of ours that will be there and could be booted */
        size_t steps_allocated;
        Plan plan;
} Planner;

static void planner_done(Planner *planner) {
        name_index_done(&planner->images);
        name_index_done(&planner->contents);
        name_index_done(&planner->references);
        free(planner->fates);
        free(planner->satisfied);
        free(planner->blocked);
        plan_done(&planner->plan);
}

static uint64_t in_clusters(const Planner *planner, uint64_t bytes) {
        uint64_t rest = bytes % planner->cluster_bytes;

        return rest == 0 ? bytes : bytes - rest + planner->cluster_bytes;
}

/* Appends a step, and takes PATH over in any case. Sizes are of files: in bytes, 0 if there is none. */
static int add_step(Planner *planner, Step step, uint64_t new_size, uint64_t old_size) {
        Plan *plan = &planner->plan;

        if (!step.path)
                return -ENOMEM;
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
        step.takes = in_clusters(planner, new_size);
        step.frees = in_clusters(planner, old_size);
        plan->takes += step.takes;
        plan->frees += step.frees;
        plan->steps[plan->step_count++] = step;
        return 0;
}

static Span span_of(const char *text) {
        return span_from_string(text);
}

/* --- 1. Wanted images ----------------------------------------------------------------------------------------- */

static bool is_booted(const Planner *planner, const EspImage *image) {
        const Wanted *wanted = planner->wanted;

        if (planner->booted_entry_found)
                return entry_name_equal(image->name, wanted->booted_entry);
        /* Which file was booted is not known: any that starts the booted system may be it. */
        return wanted->booted_toplevel && image->facts.toplevel &&
               strcmp(image->facts.toplevel, wanted->booted_toplevel) == 0;
}

static bool list_has_name(const StringList *list, const char *name) {
        for (size_t i = 0; i < list->count; i++)
                if (fat_name_equal(list->items[i], name))
                        return true;
        return false;
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
                equal = equal && list_has_name(&image->paths, paths.items[i]);
        }
        for (size_t i = 0; i < image->paths.count; i++)
                equal = equal && list_has_name(&paths, image->paths.items[i]);
        *ret = equal;
        return 0;
}

/* Whether the file can stand for the wanted image: nothing would be gained by writing it anew. */
static int is_up_to_date(const Planner *planner, const EspImage *image, const WantedImage *wanted, bool *ret) {
        *ret = false;
        if (!image->regular || image->error < 0)
                return 0;
        if (is_booted(planner, image)) {
                *ret = true; /* it did boot: it stays until another one has */
                return 0;
        }
        if (planner->wanted->has_signer && !image->facts.signed_by_current)
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

/* Another image of the same generation (and specialisation) and toplevel, whose boot counter the new one inherits: the
 * booted one, or the one with the best counter. NULL if there is none. */
static const EspImage *find_predecessor(const Planner *planner, const WantedImage *wanted) {
        const EspImage *found = NULL;
        ImageName name, other;

        if (image_name_parse(wanted->name, planner->wanted->token, &name) < 0)
                return NULL;
        for (size_t i = 0; i < planner->inventory->image_count; i++) {
                const EspImage *image = &planner->inventory->images[i];

                if (!image->our_form || image->error < 0 || !image->facts.toplevel ||
                    strcmp(image->facts.toplevel, wanted->toplevel) != 0 ||
                    image_name_parse(image->name, planner->wanted->token, &other) < 0 ||
                    !span_equal(name.identity, other.identity))
                        continue;
                if (is_booted(planner, image))
                        return image;
                if (!found || has_better_counter(image->name, found->name))
                        found = image;
        }
        return found;
}

static char *image_path(const char *name, Span counter) {
        _cleanup_(free_pointer) char *full = entry_name_with_counter(name, counter);

        return full ? path_join(ESP_IMAGE_FOLDER, full) : NULL;
}

/* REPLACED is the unusable file that stands in its place, or NULL. */
static int add_image_step(Planner *planner, const WantedImage *wanted, const EspImage *replaced) {
        const EspImage *heir_of = replaced ?: find_predecessor(planner, wanted);
        Step step = {.kind = STEP_WRITE_IMAGE, .image = wanted};
        char tries[16] = "";

        if (!heir_of && wanted->tries > 0)
                snprintf(tries, sizeof(tries), "+%u", wanted->tries);
        if (heir_of) {
                step.counter_from = strdup(heir_of->name);
                if (!step.counter_from)
                        return -ENOMEM;
        }
        step.path = image_path(wanted->name, heir_of ? entry_name_counter(heir_of->name) : span_of(tries));
        if (!step.path) {
                free(step.counter_from);
                return -ENOMEM;
        }
        return add_step(planner, step, wanted->size, replaced ? replaced->size : 0);
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
                            "cannot write the boot image of %s: something that is no file stands under the name %s",
                            wanted->title, obstacle);
                failure_set_hint(failure, "Look at what it is, and move it away.");
                return -EEXIST;
        }
        return string_list_add_format(&planner->plan.warnings,
                                      "The boot image of %s is not written: something that is no file stands under "
                                      "the name %s.",
                                      wanted->title, obstacle);
}

static ssize_t find_wanted_content(const Wanted *wanted, const char *name) {
        for (size_t i = 0; i < wanted->content_count; i++)
                if (fat_name_equal(wanted->contents[i].name, name))
                        return i;
        return -1;
}

/* The name of a content that can't be there, or NULL. */
static const char *find_blocked_content(const Planner *planner, const WantedImage *image) {
        for (size_t i = 0; i < image->contents.count; i++) {
                ssize_t n = find_wanted_content(planner->wanted, image->contents.items[i]);

                if (n >= 0 && planner->blocked[n])
                        return image->contents.items[i];
        }
        return NULL;
}

static int plan_image(Planner *planner, size_t n, Failure *failure) {
        const WantedImage *wanted = &planner->wanted->images[n];
        const char *blocked_content = find_blocked_content(planner, wanted);
        ssize_t kept, replaced;
        bool blocked;
        int r;

        r = find_image(planner, wanted, &kept, &replaced, &blocked);
        if (r < 0)
                return r;
        if (kept >= 0) {
                planner->fates[kept] = FATE_KEPT;
                planner->plan.images_kept++;
                r = blocked_content && !planner->wanted->garbage_only
                            ? skip_image(planner, wanted, blocked_content, failure)
                            : 0;
                if (r < 0)
                        return r;
        } else if (planner->wanted->garbage_only)
                return 0;
        else if (blocked || blocked_content)
                return skip_image(planner, wanted, blocked_content ?: wanted->name, failure);
        else {
                if (replaced >= 0)
                        planner->fates[replaced] = FATE_REPLACED;
                r = add_image_step(planner, wanted, replaced >= 0 ? &planner->inventory->images[replaced] : NULL);
                if (r < 0)
                        return r;
        }
        planner->satisfied[n] = true;
        planner->bootable++;
        return 0;
}

/* --- 2. Images that go ---------------------------------------------------------------------------------------- */

/* Whether IMAGE is of a generation whose document could not be read. */
static int is_shielded(const Planner *planner, const EspImage *image, bool *ret) {
        const Wanted *wanted = planner->wanted;
        static const Sha256 any;
        ImageName name, shield;
        int r;

        *ret = false;
        if (image_name_parse(image->name, wanted->token, &name) < 0)
                return 0;
        for (size_t i = 0; i < wanted->shielded_count && !*ret; i++) {
                _cleanup_(free_pointer) char *text = NULL;
                Span rest;

                r = image_name_format(wanted->token, wanted->shielded[i].profile, wanted->shielded[i].generation, NULL,
                                      &any, &text);
                if (r < 0)
                        return r;
                r = image_name_parse(text, wanted->token, &shield);
                if (r < 0 || !span_starts_with(name.identity, shield.identity))
                        continue;
                rest = (Span){name.identity.data + shield.identity.size, name.identity.size - shield.identity.size};
                *ret = rest.size == 0 || span_starts_with(rest, span_of("-specialisation-"));
        }
        return 0;
}

/* Whether IMAGE starts a system whose wanted image is not going to be there: then it is all that this system has. */
static bool is_last_resort(const Planner *planner, const EspImage *image) {
        for (size_t i = 0; i < planner->wanted->image_count; i++)
                if (!planner->satisfied[i] && image->facts.toplevel &&
                    strcmp(planner->wanted->images[i].toplevel, image->facts.toplevel) == 0)
                        return true;
        return false;
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

static int judge_image(Planner *planner, const EspImage *image, Fate *fate) {
        bool shielded;
        int r;

        *fate = FATE_STAYS;
        if (!image->regular || !image->our_form || is_booted(planner, image))
                return 0;
        r = is_shielded(planner, image, &shielded);
        if (r < 0 || shielded)
                return r;
        if (is_ours(planner, image)) {
                *fate = is_last_resort(planner, image) ? FATE_STAYS : FATE_GOES;
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
                                                       "since it might refer to it.",
                                      image->name, strerror(-image->error));
}

static int judge_images(Planner *planner) {
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

static int remove_images(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->image_count; i++) {
                const EspImage *image = &planner->inventory->images[i];

                if (planner->fates[i] != FATE_GOES)
                        continue;
                r = add_step(planner,
                             (Step){.kind = STEP_REMOVE_IMAGE, .path = path_join(ESP_IMAGE_FOLDER, image->name)}, 0,
                             image->size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- 3. Contents ---------------------------------------------------------------------------------------------- */

static const EspContent *find_content(const Planner *planner, const char *name) {
        size_t from, to;

        name_index_find(&planner->contents, name, &from, &to);
        return from < to ? &planner->inventory->contents[planner->contents.entries[from].value] : NULL;
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
        for (size_t i = 0; i < wanted->content_count; i++) {
                _cleanup_(free_pointer) char *path = path_join(ESP_CONTENT_FOLDER, wanted->contents[i].name);

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
                if (list_has_name(&planner->wanted->images[i].contents, content->name) &&
                    !find_blocked_content(planner, &planner->wanted->images[i]))
                        return true;
        return false;
}

static int write_contents(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->wanted->content_count; i++) {
                const WantedContent *content = &planner->wanted->contents[i];
                const EspContent *there = find_content(planner, content->name);

                planner->blocked[i] = there && !there->regular;
                if (there && there->regular && there->size == content->size)
                        planner->plan.contents_kept++;
        }
        for (size_t i = 0; i < planner->wanted->content_count && !planner->wanted->garbage_only; i++) {
                const WantedContent *content = &planner->wanted->contents[i];
                const EspContent *there = find_content(planner, content->name);

                if (planner->blocked[i] || (there && there->size == content->size) || !is_needed(planner, content))
                        continue;
                r = add_step(planner,
                             (Step){.kind = STEP_WRITE_CONTENT,
                                    .path = path_join(ESP_CONTENT_FOLDER, content->name),
                                    .content = content},
                             content->size, there ? there->size : 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int remove_contents(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->content_count && !planner->keep_contents; i++) {
                const EspContent *content = &planner->inventory->contents[i];
                _cleanup_(free_pointer) char *path = path_join(ESP_CONTENT_FOLDER, content->name);
                size_t from, to;

                if (!path)
                        return -ENOMEM;
                name_index_find(&planner->references, path, &from, &to);
                if (!content->regular || !content->exact_form || from < to)
                        continue;
                r = add_step(planner, (Step){.kind = STEP_REMOVE_CONTENT, .path = TAKE_POINTER(path)}, 0,
                             content->size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- 4. Boot loaders and loader.conf -------------------------------------------------------------------------- */

/* Whether the loader that is there has to give way; with a warning where it had to, but must not. */
static int judge_loader(Planner *planner, LoaderPlace place, bool *ret) {
        const EspLoader *loader = &planner->inventory->loaders[place];
        const Wanted *wanted = planner->wanted;
        bool good = loader->error == 0 && (!wanted->has_signer || loader->signed_by_current);
        int order;

        *ret = false;
        if (loader->exists && !loader->regular)
                return string_list_add_format(&planner->plan.warnings,
                                              "%s is no file: systemd-boot is not installed there.", loader->path);
        if (loader->exists && loader->size > 0 && !loader->version && place == LOADER_FALLBACK)
                return 0; /* another system's */
        if (!loader->exists || loader->size == 0 || !loader->version || loader->error < 0) {
                *ret = true;
                return 0;
        }
        order = version_compare(wanted->loader_version, loader->version);
        *ret = order > 0 || (order == 0 && !good) || (order < 0 && wanted->allow_downgrade);
        if (order < 0 && !good && !*ret)
                return string_list_add_format(&planner->plan.warnings,
                                              "%s is systemd-boot %s, not signed by the current key: it is kept, since "
                                              "it is newer than %s. Where Secure Boot is on it will not run.",
                                              loader->path, loader->version, wanted->loader_version);
        return 0;
}

static int plan_loaders(Planner *planner) {
        static const StepKind kinds[LOADER_PLACES] = {STEP_WRITE_LOADER, STEP_WRITE_FALLBACK};
        bool replace;
        int r;

        if (!planner->wanted->loader_version || planner->wanted->garbage_only)
                return 0;
        for (LoaderPlace place = 0; place < LOADER_PLACES; place++) {
                const EspLoader *loader = &planner->inventory->loaders[place];

                r = judge_loader(planner, place, &replace);
                if (r < 0)
                        return r;
                if (!replace)
                        continue;
                r = add_step(planner, (Step){.kind = kinds[place], .path = strdup(loader->path)},
                             planner->wanted->loader_size, loader->size);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int plan_loader_conf(Planner *planner) {
        const Inventory *inventory = planner->inventory;
        const Wanted *wanted = planner->wanted;

        if (!wanted->has_loader_conf || wanted->garbage_only)
                return 0;
        if (inventory->loader_conf_blocked)
                return string_list_add(&planner->plan.warnings, "loader/loader.conf is no file: it is not written.");
        if (inventory->has_loader_conf &&
            span_equal(buffer_span(&inventory->loader_conf), buffer_span(&wanted->loader_conf)))
                return 0;
        return add_step(planner, (Step){.kind = STEP_WRITE_LOADER_CONF, .path = strdup("loader/loader.conf")},
                        wanted->loader_conf.size, inventory->loader_conf.size);
}

/* --- All of it ------------------------------------------------------------------------------------------------ */

static int remove_leftovers(Planner *planner) {
        int r;

        for (size_t i = 0; i < planner->inventory->leftover_count; i++) {
                const EspLeftover *leftover = &planner->inventory->leftovers[i];

                r = add_step(planner, (Step){.kind = STEP_REMOVE_TEMPORARY, .path = strdup(leftover->path)}, 0,
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
        planner->satisfied = calloc(wanted->image_count + 1, sizeof(planner->satisfied[0]));
        planner->blocked = calloc(wanted->content_count + 1, sizeof(planner->blocked[0]));
        if (!planner->fates || !planner->satisfied || !planner->blocked)
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

static bool removes_images(const Planner *planner) {
        for (size_t i = 0; i < planner->inventory->image_count; i++)
                if (planner->fates[i] == FATE_GOES)
                        return true;
        return false;
}

/* Whether it fits while all that is replaced or removed is still there (but for left-over temporary files). */
static int check_space(const Planner *planner, VolumeSpace space, Failure *failure) {
        uint64_t available = space.free_bytes, garbage = 0;

        for (size_t i = 0; i < planner->plan.step_count; i++) {
                const Step *step = &planner->plan.steps[i];

                if (step->kind == STEP_REMOVE_TEMPORARY)
                        available += step->frees;
                else
                        garbage += step->frees;
        }
        if (planner->plan.takes <= available)
                return 0;
        return failure_set(failure, CONDITION_ESP_FULL,
                           "the new boot files do not fit on the EFI system partition: %" PRIu64 " bytes are needed, "
                           "%" PRIu64 " are free, %" PRIu64 " are missing (what is replaced or removed afterwards has "
                           "%" PRIu64 ")",
                           planner->plan.takes, available, planner->plan.takes - available, garbage);
}

static int run_planner(Planner *planner, VolumeSpace space, Failure *failure) {
        int r;

        r = planner_prepare(planner);
        if (r < 0)
                return r;
        r = remove_leftovers(planner);
        if (r < 0)
                return r;
        r = write_contents(planner);
        if (r < 0)
                return r;
        for (size_t i = 0; i < planner->wanted->image_count; i++) {
                r = plan_image(planner, i, failure);
                if (r < 0)
                        return r;
        }
        r = judge_images(planner);
        if (r < 0)
                return r;
        if (planner->bootable == 0 && (!planner->wanted->garbage_only || removes_images(planner)))
                return failure_set(failure, CONDITION_NOTHING_BOOTABLE,
                                   "no boot image would remain on the EFI system partition");
        r = collect_references(planner);
        if (r < 0)
                return r;
        r = plan_loaders(planner);
        if (r < 0)
                return r;
        r = plan_loader_conf(planner);
        if (r < 0)
                return r;
        r = remove_images(planner);
        if (r < 0)
                return r;
        r = remove_contents(planner);
        if (r < 0)
                return r;
        return check_space(planner, space, failure);
}

int plan_make(const Inventory *inventory, const Wanted *wanted, VolumeSpace space, Plan *ret, Failure *failure) {
        _cleanup_(planner_done) Planner planner = {
                .inventory = inventory,
                .wanted = wanted,
                .cluster_bytes = space.cluster_bytes ?: CLUSTER_BYTES_DEFAULT,
        };
        int r;

        r = run_planner(&planner, space, failure);
        if (r < 0)
                return failure_set_errno(failure, r, "cannot plan the changes to the EFI system partition");
        for (size_t i = 1; i < planner.plan.step_count; i++)
                assert(planner.plan.steps[i - 1].kind <= planner.plan.steps[i].kind);
        *ret = TAKE_STRUCT(planner.plan);
        return 0;
}

void plan_done(Plan *plan) {
        for (size_t i = 0; i < plan->step_count; i++) {
                free(plan->steps[i].path);
                free(plan->steps[i].counter_from);
        }
        free(plan->steps);
        string_list_done(&plan->warnings);
        string_list_done(&plan->left_alone);
        *plan = (Plan){};
}

const char *step_kind_name(StepKind kind) {
        static const char *const names[STEP_KINDS] = {
                [STEP_REMOVE_TEMPORARY] = "remove-temporary", [STEP_WRITE_CONTENT] = "write-content",
                [STEP_WRITE_IMAGE] = "write-image",           [STEP_WRITE_LOADER] = "write-loader",
                [STEP_WRITE_FALLBACK] = "write-fallback",     [STEP_WRITE_LOADER_CONF] = "write-loader-conf",
                [STEP_REMOVE_IMAGE] = "remove-image",         [STEP_REMOVE_CONTENT] = "remove-content",
        };

        return names[kind];
}
