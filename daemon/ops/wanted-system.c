/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/wanted-system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-conf.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

enum {
        MACHINE_ID_LENGTH = 32,
        MACHINE_ID_FILE_MAX = 4096,
        LOADER_CONFIG_MAX = 1024 * 1024,
        BUILT_MAX_BYTES = 64 * 1024 * 1024, /* of images that are kept */
};

static void stop_building(WantedSystem *system) {
        if (system->ahead)
                ahead_free(TAKE_POINTER(system->ahead));
        free(TAKE_POINTER(system->ahead_images));
        system->ahead_count = system->ahead_next = 0;
}

void wanted_system_done(WantedSystem *system) {
        stop_building(system);
        wanted_done(&system->wanted);
        for (size_t i = 0; i < system->image_count; i++) {
                image_source_done(system->images[i]);
                free(system->images[i]);
        }
        free(system->images);
        store_contents_free(system->store);
        buffer_done(&system->built_loader);
        string_list_done(&system->warnings);
        *system = (WantedSystem){};
}

/* A source of its own address, which stays while the array grows. */
static int add_source(WantedSystem *system, ImageSource **ret) {
        ImageSource **images = reallocarray(system->images, system->image_count + 1, sizeof(*images));

        if (!images)
                return -ENOMEM;
        system->images = images;
        *ret = images[system->image_count] = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        system->image_count++;
        return 0;
}

static int want_content(Wanted *wanted, ContentSource *source) {
        WantedContent *content;
        int r;

        r = wanted_add_content(wanted, source->name, &content);
        if (r < 0 || content->size != 0)
                return r;
        content->size = source->size;
        content->hash = source->hash;
        content->source = source;
        return 0;
}

/* GROUP: the same for all variants of GENERATION. */
static int want_image(WantedSystem *system, const Generation *generation, size_t group, ImageSource *source,
                      bool is_default) {
        WantedImage *image;
        int r;

        system->kept_secrets += source->keeps_secrets;
        r = wanted_add_image(&system->wanted, &image);
        if (r < 0)
                return r;
        image->name = strdup(source->name);
        image->title = strdup(source->title);
        image->toplevel = strdup(source->toplevel);
        image->size = image_builder_estimate(source->stub, &source->image);
        image->tries = system->context->settings->tries;
        image->is_default = is_default;
        image->group = group;
        image->made = generation->made;
        image->is_protected = generation->is_booted || generation->is_confirmed;
        image->is_confirmed = generation->is_confirmed;
        image->source = source;
        if (!image->name || !image->title || !image->toplevel)
                return -ENOMEM;
        for (size_t i = 0; i < source->content_count; i++) {
                r = string_list_add(&image->contents, source->contents[i].name);
                if (r >= 0)
                        r = want_content(&system->wanted, &source->contents[i]);
                if (r < 0)
                        return r;
                system->has_secrets |= source->contents[i].is_secret;
        }
        return 0;
}

/* A generation that can't be used: its images stay as they are, and what they refer to. */
static int leave_out(WantedSystem *system, const Generation *generation, const Failure *why) {
        _cleanup_(free_pointer) char *title = generation_title(generation, /* variant= */ NULL);
        int r;

        if (!title)
                return -ENOMEM;
        system->in_part = true;
        r = string_list_add_format(&system->warnings, "%s is left out: %s", title, why->message);
        if (r < 0)
                return r;
        return wanted_add_shielded(&system->wanted, generation->profile ? generation->profile : "", generation->number);
}

static int read_variants(WantedSystem *system, const WantedRequest *wanted, const Generation *generation,
                         Failure *failure) {
        Signer *signer = system->builder->signer;
        ImageSourceRequest request = {
                .context = system->context,
                .store = system->store,
                .stubs = system->builder->stubs,
                .certificate = signer ? signer_certificate(signer) : NULL,
                .generation = generation,
                .is_default = generation == wanted->default_generation,
                .secrets = wanted->secrets,
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < generation->variants.count; i++) {
                ImageSource *source;

                request.variant = &generation->variants.items[i];
                r = add_source(system, &source);
                if (r >= 0)
                        r = image_source_init(source, &request, &system->warnings, failure);
        }
        return r;
}

/* All variants of a generation are wanted, or none. */
static int add_generation(WantedSystem *system, const WantedRequest *request, const Generation *generation,
                          Failure *failure) {
        bool holds_default = generation == request->default_generation;
        _cleanup_(failure_done) Failure problem = {};
        size_t first = system->image_count;
        int r;

        r = read_variants(system, request, generation, &problem);
        if (r < 0 && problem.message && !holds_default)
                return leave_out(system, generation, &problem);
        if (r < 0)
                return failure_pass(failure, &problem, r);

        for (size_t i = 0; r >= 0 && i < generation->variants.count; i++)
                r = want_image(system, generation, first, system->images[first + i],
                               holds_default && &generation->variants.items[i] == request->default_variant);
        return r;
}

static int add_toplevels(Wanted *wanted, const Generation *generation) {
        int r = 0;

        if (generation->toplevel)
                r = string_list_add(&wanted->toplevels, generation->toplevel);
        for (size_t i = 0; r >= 0 && i < generation->variants.count; i++)
                r = string_list_add(&wanted->toplevels, generation->variants.items[i].bootspec->toplevel);
        return r;
}

static int add_generations(WantedSystem *system, const WantedRequest *request, Failure *failure) {
        int r;

        for (size_t i = 0; i < request->generations->count; i++) {
                const Generation *generation = &request->generations->items[i];

                r = add_toplevels(&system->wanted, generation);
                if (r >= 0 && generation->problem.message)
                        r = leave_out(system, generation, &generation->problem);
                else if (r >= 0 && generation->chosen)
                        r = add_generation(system, request, generation, failure);
                if (r < 0)
                        return r;
                context_progress(system->context, "read", i + 1, request->generations->count);
        }
        return 0;
}

static int warn_of_kept_secrets(WantedSystem *system) {
        if (system->kept_secrets == 0)
                return 0;
        return string_list_add_format(&system->warnings,
                                      "%zu boot image%s the initrd secrets that %s: no new ones were handed over, as "
                                      "root's 'lanzactl sync' does where their programs do not fail",
                                      system->kept_secrets, system->kept_secrets == 1 ? " keeps" : "s keep",
                                      system->kept_secrets == 1 ? "it has" : "they have");
}

/* The administrator's lines for loader.conf. */
static int read_loader_config(const Context *context, Buffer *ret, Failure *failure) {
        const char *path = context->settings->loader_config;
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        if (!path)
                return 0;
        fd = root_open(context->root_fd, path, O_RDONLY);
        r = fd < 0 ? fd : file_read_fd(fd, LOADER_CONFIG_MAX, ret);
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "Cannot read LoaderConfig=%s: %s", path,
                                   file_error_text(r));
        return 0;
}

static int set_loader_conf(WantedSystem *system, Failure *failure) {
        const Settings *settings = system->context->settings;
        Wanted *wanted = &system->wanted;
        _cleanup_(buffer_done) Buffer lines = {};
        int r;

        r = read_loader_config(system->context, &lines, failure);
        if (r < 0)
                return r;
        wanted->has_loader_conf = true;
        wanted->counting = settings->tries > 0;
        r = loader_conf_add_lines(buffer_span(&lines), &wanted->loader_lines);
        if (r == -EINVAL)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION,
                                   "LoaderConfig=%s has a line with control characters", settings->loader_config);
        return r;
}

static int set_text(char **place, const char *text) {
        if (!text)
                return 0;
        *place = strdup(text);
        return *place ? 0 : -ENOMEM;
}

/* machine-id(5). One that is not well-formed ("uninitialized") is none. */
static int read_machine_id(const Context *context, char **ret) {
        _cleanup_(close_fd) int fd = root_open(context->root_fd, "/etc/machine-id", O_RDONLY);
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        r = fd < 0 ? fd : file_read_fd(fd, MACHINE_ID_FILE_MAX, &text);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (text.size < MACHINE_ID_LENGTH || (text.size > MACHINE_ID_LENGTH && text.data[MACHINE_ID_LENGTH] != '\n'))
                return 0;
        for (size_t i = 0; i < MACHINE_ID_LENGTH; i++)
                if (!(text.data[i] >= '0' && text.data[i] <= '9') && !(text.data[i] >= 'a' && text.data[i] <= 'f'))
                        return 0;
        *ret = strndup((const char *)text.data, MACHINE_ID_LENGTH);
        return *ret ? 0 : -ENOMEM;
}

int wanted_system_init(WantedSystem *system, const Context *context, const ImageBuilder *builder, HashCache *cache,
                       const WantedRequest *request, Failure *failure) {
        Wanted *wanted = &system->wanted;
        int r;

        *system = (WantedSystem){.context = context, .builder = builder};
        wanted->garbage_only = request->garbage_only;
        wanted->renew_stubs = request->renew_stubs;
        wanted->has_signer = builder->signer != NULL;
        wanted->loader_size = image_builder_estimate_loader(builder);

        r = store_contents_new(context, cache, &system->store);
        if (r >= 0)
                r = set_text(&wanted->token, context->settings->entry_token);
        if (r >= 0)
                r = set_text(&wanted->loader_version, builder->loader_version);
        if (r >= 0)
                r = read_machine_id(context, &wanted->machine_id);
        if (r >= 0)
                r = system_booted_toplevel(context, &wanted->booted_toplevel);
        if (r >= 0)
                r = system_loader_variable(context, "LoaderEntrySelected", &wanted->booted_entry);
        if (r >= 0)
                r = add_generations(system, request, failure);
        if (r >= 0)
                r = warn_of_kept_secrets(system);
        if (r >= 0)
                r = set_loader_conf(system, failure);
        return r;
}

static int open_content(void *userdata, const WantedContent *content, int *ret, Failure *failure) {
        const WantedSystem *system = userdata;
        int fd = content_source_open(content->source, system->context, failure);

        if (fd < 0)
                return fd;
        *ret = fd;
        return 0;
}

static int build_next(void *userdata, size_t index, Buffer *ret, Failure *failure) {
        const WantedSystem *system = userdata;
        const ImageSource *source = system->ahead_images[index];

        return image_builder_image(system->builder, source->stub, &source->image, ret, failure);
}

static bool is_ahead(const WantedSystem *system, const ImageSource *source) {
        for (size_t i = 0; i < system->ahead_count; i++)
                if (system->ahead_images[i] == source)
                        return true;
        return false;
}

/* What several volumes get is built once, for the first of them. */
static void add_ahead(WantedSystem *system, const Plan *plan, bool is_first) {
        for (size_t i = 0; i < plan->step_count; i++) {
                if (plan->steps[i].kind != STEP_WRITE_IMAGE)
                        continue;
                if (is_first || !is_ahead(system, plan->steps[i].image->source))
                        system->ahead_images[system->ahead_count++] = plan->steps[i].image->source;
        }
}

int wanted_system_build_ahead(WantedSystem *system, const Plan *const *plans, size_t count) {
        stop_building(system);
        system->ahead_images = calloc(system->image_count + 1, sizeof(*system->ahead_images));
        if (!system->ahead_images)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                add_ahead(system, plans[i], i == 0);
        return system->ahead_count == 0 ? 0 : ahead_new(build_next, system, system->ahead_count, &system->ahead);
}

static int build(WantedSystem *system, ImageSource *source, Failure *failure) {
        for (size_t i = system->ahead_next; system->ahead && i < system->ahead_count; i++)
                if (system->ahead_images[i] == source) {
                        system->ahead_next = i + 1;
                        return ahead_take(system->ahead, i, &source->built, failure);
                }
        return image_builder_image(system->builder, source->stub, &source->image, &source->built, failure);
}

static int keep_built(WantedSystem *system, ImageSource *source, Failure *failure) {
        int r;

        if (source->built.size > 0)
                return 0;
        r = build(system, source, failure);
        if (r >= 0)
                system->built_bytes += source->built.size;
        return r;
}

/* Beyond a certain size all of them together are not kept: then one is built again, with the same bytes. */
int wanted_system_build_image(WantedSystem *system, const WantedImage *image, Buffer *ret, Failure *failure) {
        ImageSource *source = image->source;
        int r;

        r = keep_built(system, source, failure);
        if (r < 0)
                return r;
        if (system->keeps_built && system->built_bytes <= BUILT_MAX_BYTES)
                return buffer_append(ret, buffer_span(&source->built));
        system->built_bytes -= source->built.size;
        *ret = TAKE_STRUCT(source->built);
        return 0;
}

int wanted_system_build_loader(WantedSystem *system, Buffer *ret, Failure *failure) {
        int r;

        if (system->built_loader.size == 0) {
                r = image_builder_loader(system->builder, &system->built_loader, failure);
                if (r < 0)
                        return r;
        }
        return buffer_append(ret, buffer_span(&system->built_loader));
}

static int build_image(void *userdata, const WantedImage *image, Buffer *ret, Failure *failure) {
        return wanted_system_build_image(userdata, image, ret, failure);
}

static int build_loader(void *userdata, Buffer *ret, Failure *failure) {
        return wanted_system_build_loader(userdata, ret, failure);
}

static void report_progress(void *userdata, StepKind phase, uint64_t done, uint64_t total) {
        const WantedSystem *system = userdata;

        context_progress(system->context, step_kind_name(phase), done, total);
}

ApplySources wanted_system_sources(WantedSystem *system) {
        return (ApplySources){
                .userdata = system,
                .open_content = open_content,
                .build_image = build_image,
                .build_loader = build_loader,
                .progress = report_progress,
        };
}
