/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/image-build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-version.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-assemble.h"

enum {
        SECTION_ROUNDING = 4096, /* no FileAlignment that we meet is larger */
        SIGNATURE_ROOM = 16 * 1024,
};

void image_builder_done(ImageBuilder *builder) {
        if (builder->signer)
                signer_free(builder->signer);
        stub_shelf_free(builder->stubs);
        buffer_done(&builder->loader);
        free(builder->loader_version);
        *builder = (ImageBuilder){};
}

int boot_loader_read(const Context *context, Buffer *ret, char **ret_version, Failure *failure) {
        const char *path = context->settings->loader;
        _cleanup_(buffer_done) Buffer loader = {};
        int r;

        r = pe_binary_read(context, path, "The boot loader", &loader, failure);
        if (r < 0)
                return r;
        if (authenticode_check_form(buffer_span(&loader)) < 0)
                return failure_set(failure, CONDITION_BAD_IMAGE, "The boot loader %s%s cannot be signed: it is damaged",
                                   context->root, path);
        r = loader_version_find(buffer_span(&loader), ret_version);
        if (r == -ENOENT)
                return failure_set(failure, CONDITION_BAD_IMAGE, "The boot loader %s%s is no systemd-boot",
                                   context->root, path);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(loader);
        return 0;
}

int image_builder_init(ImageBuilder *builder, const Context *context, Signer *signer, Failure *failure) {
        int r;

        *builder = (ImageBuilder){.signer = signer};
        r = stub_shelf_new(context, &builder->stubs, failure);
        return r < 0 ? r : boot_loader_read(context, &builder->loader, &builder->loader_version, failure);
}

uint64_t image_builder_estimate(Span stub, const BootImage *image) {
        uint64_t size = stub.size + SIGNATURE_ROOM;

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

int image_builder_image(const ImageBuilder *builder, Span stub, const BootImage *image, Buffer *ret, Failure *failure) {
        PeNewSection sections[BOOT_IMAGE_SECTIONS_MAX];
        _cleanup_(buffer_done) Buffer built = {};
        int r;

        for (size_t i = 0; i < image->section_count; i++)
                sections[i] = (PeNewSection){image->sections[i].name, buffer_span(&image->sections[i].content)};
        r = pe_assemble(stub, sections, image->section_count, &built);
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
