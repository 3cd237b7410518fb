/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/image-source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/crypto/stream-digest.h"
#include "daemon/esp/esp-names.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"
#include "stubs/stub-abi.h"

char *generation_title(const Generation *generation, const BootVariant *variant) {
        const char *profile = generation->profile, *specialisation = variant ? variant->specialisation : NULL;
        char *title;
        int r = asprintf(&title, "%s%s%sgeneration %llu%s%s", profile ? "profile " : "", profile ? profile : "",
                         profile ? ", " : "", (unsigned long long)generation->number,
                         specialisation ? ", specialisation " : "", specialisation ? specialisation : "");

        return r < 0 ? NULL : title;
}

void image_source_done(ImageSource *source) {
        for (size_t i = 0; i < source->content_count; i++) {
                free(source->contents[i].name);
                free(source->contents[i].path);
                sealed_memory_free(source->contents[i].memory);
        }
        free(source->title);
        free(source->name);
        free(source->toplevel);
        boot_image_done(&source->image);
        buffer_done(&source->built);
        *source = (ImageSource){};
}

/* The next content, named after its kind and hash. */
static int add_content(ImageSource *source, const ImageSourceRequest *request, ContentKind kind, const Sha256 *hash,
                       uint64_t size, ContentSource **ret) {
        _cleanup_(free_pointer) char *version = NULL;
        ContentSource *content = &source->contents[source->content_count];
        int r;

        r = kernel_version(request->variant->bootspec->kernel, &version);
        if (r >= 0)
                r = content_name_format(kind, version, hash, &content->name);
        if (r < 0)
                return r;
        source->content_count++;
        content->hash = *hash;
        content->size = size;
        *ret = content;
        return 0;
}

static int add_store_file(ImageSource *source, const ImageSourceRequest *request, ContentKind kind, const char *path,
                          uint64_t maximum, Failure *failure) {
        const StoreContent *file;
        ContentSource *content;
        int r;

        r = store_contents_find(request->store, path, maximum, &file, failure);
        if (r >= 0)
                r = add_content(source, request, kind, &file->hash, file->size, &content);
        if (r < 0)
                return r;
        content->path = strdup(file->path);
        return content->path ? 0 : -ENOMEM;
}

/* Secrets that are there already keep their name. */
static int add_kept_secrets(ImageSource *source, KeptSecrets *kept) {
        source->contents[source->content_count++] = (ContentSource){
                .name = TAKE_POINTER(kept->name),
                .hash = kept->hash,
                .size = kept->size,
                .volume = kept->volume,
                .is_secret = true,
        };
        return 0;
}

static int add_new_secrets(ImageSource *source, const ImageSourceRequest *request, SealedMemory **memory) {
        ContentSource *content;
        Sha256 hash;
        int r;

        r = sha256_of_file((*memory)->fd, (*memory)->size, &hash);
        if (r < 0)
                return r;
        r = add_content(source, request, CONTENT_INITRD, &hash, (*memory)->size, &content);
        if (r < 0)
                return r;
        content->memory = TAKE_POINTER(*memory);
        content->is_secret = true;
        return 0;
}

static int add_secrets(ImageSource *source, const ImageSourceRequest *request, StringList *warnings, Failure *failure) {
        _cleanup_(secrets_done) Secrets secrets = {};
        const SecretsRequest wanted = {
                .variant = request->variant,
                .title = source->title,
                .kernel = source->contents[0].name,
                .initrd = source->contents[1].name,
                .is_default = request->is_default,
        };
        int r;

        r = secrets_obtain(request->secrets, &wanted, warnings, &secrets, failure);
        if (r < 0)
                return r;
        source->keeps_secrets = secrets.not_handed_in;
        if (secrets.kept.name)
                return add_kept_secrets(source, &secrets.kept);
        return secrets.memory ? add_new_secrets(source, request, &secrets.memory) : 0;
}

static int add_contents(ImageSource *source, const ImageSourceRequest *request, StringList *warnings,
                        Failure *failure) {
        const Bootspec *bootspec = request->variant->bootspec;
        int r;

        r = add_store_file(source, request, CONTENT_KERNEL, bootspec->kernel, LANZA_KERNEL_MAX_BYTES, failure);
        if (r < 0 || !bootspec->initrd)
                return r;
        r = add_store_file(source, request, CONTENT_INITRD, bootspec->initrd, LANZA_INITRDS_MAX_BYTES, failure);
        if (r < 0)
                return r;
        return add_secrets(source, request, warnings, failure);
}

/* The ESP path by which the image refers to each content. */
static int content_paths(const ImageSource *source, StringList *ret) {
        for (size_t i = 0; i < source->content_count; i++) {
                _cleanup_(free_pointer) char *path = path_join(ESP_CONTENT_FOLDER, source->contents[i].name);
                _cleanup_(free_pointer) char *esp_path = NULL;
                int r = path ? esp_path_format(path, &esp_path) : -ENOMEM;

                if (r >= 0)
                        r = string_list_add(ret, esp_path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compose(ImageSource *source, const ImageSourceRequest *request, StringList *warnings, Failure *failure) {
        const Generation *generation = request->generation;
        const Settings *settings = request->context->settings;
        BootContent contents[IMAGE_CONTENTS_MAX];
        _cleanup_(string_list_done) StringList paths = {};
        int r;

        r = content_paths(source, &paths);
        if (r < 0)
                return r;
        for (size_t i = 0; i < paths.count; i++)
                contents[i] = (BootContent){paths.items[i], source->contents[i].hash};

        BootImageInput input = {
                .profile = generation->profile,
                .generation = generation->number,
                .made = generation->made,
                .toplevel = generation->toplevel,
                .variant = request->variant,
                .default_sort_key = settings->sort_key,
                .kernel = contents[0],
                .initrds = contents + 1,
                .initrd_count = paths.count - 1,
                .certificate = request->certificate,
        };
        r = boot_image_compose(&input, warnings, &source->image, failure);
        if (r < 0)
                return r;
        return image_name_format(settings->entry_token, generation->profile, generation->number,
                                 request->variant->specialisation, &source->image.hash, &source->name);
}

/* On x86-64 Linux asks ACPI, and the image has no section for it. */
static int warn_of_device_tree(const ImageSource *source, const Bootspec *bootspec, StringList *warnings) {
        if (!bootspec->device_tree)
                return 0;
        return string_list_add_format(warnings,
                                      "The device tree of %s, %s, is not used: boot images for x86-64 have none",
                                      source->title, bootspec->device_tree);
}

int image_source_init(ImageSource *source, const ImageSourceRequest *request, StringList *warnings, Failure *failure) {
        int r;

        *source = (ImageSource){
                .title = generation_title(request->generation, request->variant),
                .toplevel = strdup(request->variant->bootspec->toplevel),
        };
        r = source->title && source->toplevel ? 0 : -ENOMEM;
        if (r >= 0)
                r = stub_shelf_find(request->stubs, request->variant->bootspec, &source->stub, failure);
        if (r >= 0)
                r = add_contents(source, request, warnings, failure);
        if (r >= 0)
                r = compose(source, request, warnings, failure);
        if (r >= 0)
                r = warn_of_device_tree(source, request->variant->bootspec, warnings);
        if (r < 0)
                image_source_done(source);
        return r;
}

/* A descriptor of its own. */
static int open_memory(const SealedMemory *memory) {
        int fd = fcntl(memory->fd, F_DUPFD_CLOEXEC, 3);

        return fd == -1 ? -errno : fd;
}

/* To be copied to another volume. */
static int open_kept(const ContentSource *source) {
        _cleanup_(free_pointer) char *path = path_join(ESP_CONTENT_FOLDER, source->name);

        return path ? file_open(source->volume->fd, path, O_RDONLY | O_NOFOLLOW, 0) : -ENOMEM;
}

int content_source_open(const ContentSource *source, const Context *context, Failure *failure) {
        int fd = source->path     ? root_open(context->root_fd, source->path, O_RDONLY)
                 : source->memory ? open_memory(source->memory)
                                  : open_kept(source);

        if (fd < 0)
                return failure_set_errno(failure, fd, "Cannot open %s", source->path ? source->path : source->name);
        return fd;
}
