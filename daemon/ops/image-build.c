/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/image-build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-version.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-assemble.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

enum {
        SECTION_ROUNDING = 4096, /* no FileAlignment that we meet is larger */
        SIGNATURE_ROOM = 16 * 1024,
};

void image_builder_done(ImageBuilder *builder) {
        if (builder->signer)
                signer_free(builder->signer);
        buffer_done(&builder->stub);
        buffer_done(&builder->loader);
        free(builder->loader_version);
        *builder = (ImageBuilder){};
}

/* Reads a PE binary of the configuration; WHAT says what it should be. */
static int read_binary(const Context *context, const char *path, const char *what, Buffer *ret, Failure *failure) {
        _cleanup_(close_fd) int fd = root_open(context->root_fd, path, O_RDONLY);
        _cleanup_(buffer_done) Buffer content = {};
        PeImage image;
        int r;

        r = fd < 0 ? fd : file_read_fd(fd, BINARY_MAX_BYTES, &content);
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_IMAGE, "%s %s%s cannot be read: %s", what, context->root,
                                   path, strerror(-r));
        r = pe_image_parse(buffer_span(&content), &image);
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_IMAGE, "%s %s%s is no PE image, or a damaged one", what,
                                   context->root, path);
        if (image.machine != PE_MACHINE_X64)
                return failure_set(failure, CONDITION_BAD_IMAGE, "%s %s%s is for another machine (0x%04x, not x86-64)",
                                   what, context->root, path, image.machine);
        *ret = TAKE_STRUCT(content);
        return 0;
}

int image_stub_read(const Context *context, Buffer *ret, Failure *failure) {
        return read_binary(context, context->settings->stub, "The stub", ret, failure);
}

int image_builder_init(ImageBuilder *builder, const Context *context, Signer *signer, Failure *failure) {
        const Settings *settings = context->settings;
        int r;

        *builder = (ImageBuilder){.signer = signer};
        r = image_stub_read(context, &builder->stub, failure);
        if (r < 0)
                return r;
        r = read_binary(context, settings->loader, "The boot loader", &builder->loader, failure);
        if (r < 0)
                return r;
        r = loader_version_find(buffer_span(&builder->loader), &builder->loader_version);
        if (r == -ENOENT)
                return failure_set(failure, CONDITION_BAD_IMAGE, "The boot loader %s%s is no systemd-boot",
                                   context->root, settings->loader);
        return r;
}

uint64_t image_builder_estimate(const ImageBuilder *builder, const BootImage *image) {
        uint64_t size = builder->stub.size + SIGNATURE_ROOM;

        for (size_t i = 0; i < image->section_count; i++)
                size += (image->sections[i].content.size / SECTION_ROUNDING + 1) * SECTION_ROUNDING;
        return size;
}

uint64_t image_builder_estimate_loader(const ImageBuilder *builder) {
        return builder->loader.size + SIGNATURE_ROOM;
}

/* A fixed time makes the signature reproducible; the certificate's beginning is one at which it was valid. */
static int sign(const ImageBuilder *builder, const char *what, Buffer *image, Failure *failure) {
        int r;

        if (!builder->signer)
                return 0;
        r = authenticode_sign(image, builder->signer, certificate_not_before(signer_certificate(builder->signer)));
        if (r == -EBADMSG)
                return failure_set(failure, CONDITION_BAD_IMAGE, "%s cannot be signed: it is damaged", what);
        return r < 0 ? failure_set_errno(failure, r, "Cannot sign %s", what) : 0;
}

int image_builder_image(const ImageBuilder *builder, const BootImage *image, Buffer *ret, Failure *failure) {
        PeNewSection sections[BOOT_IMAGE_SECTIONS_MAX];
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        for (size_t i = 0; i < image->section_count; i++)
                sections[i] = (PeNewSection){image->sections[i].name, buffer_span(&image->sections[i].content)};
        r = pe_assemble(buffer_span(&builder->stub), sections, image->section_count, &built);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_IMAGE, "The stub cannot take the sections of %s: %s",
                                   image->title, strerror(-r));
        r = sign(builder, image->title, &built, failure);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(built);
        return 0;
}

int image_builder_loader(const ImageBuilder *builder, Buffer *ret, Failure *failure) {
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        r = buffer_append(&built, buffer_span(&builder->loader));
        if (r < 0)
                return r;
        r = sign(builder, "the boot loader", &built, failure);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(built);
        return 0;
}
