/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Boot images for tests, as text instead of PE, so that a test reads like what it is about; and what it takes to want
 * them and to write them.
 *
 *     MZ fake image
 *     toplevel=/nix/store/1
 *     signer=current              (or held: once ours; other: someone else's; none)
 *     reference=\EFI\nixos\kernel-6.1-….efi
 *     …x                          (padding)
 *     end
 *
 * Without the last line it was cut off. Contents are named after their SHA-256, so a name tells whether it is whole. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/crypto/digest.h"
#include "daemon/esp/apply.h"
#include "daemon/esp/esp-names.h"
#include "daemon/esp/inventory.h"
#include "daemon/esp/plan.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define FAKE_IMAGE_PADDING 1500

static inline Sha256 fake_hash(const char *text) {
        Sha256 hash;

        g_assert_cmpint(sha256_of(span_from_string(text), &hash), ==, 0);
        return hash;
}

/* The name of the content that is TEXT. Owned. */
static inline char *fake_content_name(ContentKind kind, const char *text) {
        Sha256 hash = fake_hash(text);
        char *name;

        g_assert_cmpint(content_name_format(kind, "6.1", &hash, &name), ==, 0);
        return name;
}

/* Any of KERNEL, INITRD (their texts) and TOPLEVEL may be NULL. Owned. */
static inline char *fake_image(const char *toplevel, const char *signer, const char *kernel, const char *initrd) {
        GString *text = g_string_new("MZ fake image\n");
        g_autofree char *padding = g_strnfill(FAKE_IMAGE_PADDING, 'x');
        const char *contents[] = {kernel, initrd};

        if (toplevel)
                g_string_append_printf(text, "toplevel=%s\n", toplevel);
        g_string_append_printf(text, "signer=%s\n", signer);
        for (unsigned i = 0; i < G_N_ELEMENTS(contents); i++) {
                g_autofree char *name = contents[i] ? fake_content_name((ContentKind)i, contents[i]) : NULL;

                if (name)
                        g_string_append_printf(text, "reference=\\EFI\\nixos\\%s\n", name);
        }
        g_string_append_printf(text, "%s\nend\n", padding);
        return g_string_free(text, FALSE);
}

/* An ImageReader. USERDATA may point to a counter of calls. */
static inline int fake_read_image(void *userdata, int fd, ImageFacts *ret) {
        _cleanup_(buffer_done) Buffer bytes = {};
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;
        int r;

        if (userdata)
                (*(unsigned *)userdata)++;
        r = file_read_fd(fd, 1024 * 1024, &bytes);
        if (r < 0)
                return r;
        text = g_strndup(bytes.data ? (const char *)bytes.data : "", bytes.size);
        if (!g_str_has_prefix(text, "MZ"))
                return -ENOEXEC;
        if (!g_str_has_suffix(text, "\nend\n"))
                return -EBADMSG;

        lines = g_strsplit(text, "\n", -1);
        for (char **line = lines; *line; line++) {
                const char *value = strchr(*line, '=') ? strchr(*line, '=') + 1 : "";

                if (g_str_has_prefix(*line, "toplevel="))
                        ret->toplevel = strdup(value);
                else if (g_str_has_prefix(*line, "reference="))
                        g_assert_cmpint(string_list_add(&ret->references, value), ==, 0);
                else if (g_str_has_prefix(*line, "signer=")) {
                        ret->signed_by_current = strcmp(value, "current") == 0;
                        ret->signed_by_us = ret->signed_by_current || strcmp(value, "held") == 0;
                }
        }
        return 0;
}

/* A generation, as a test speaks of it. */
typedef struct FakeGeneration {
        unsigned number;
        const char *specialisation; /* NULL: none */
        const char *toplevel;
        const char *kernel, *initrd; /* their texts */
        const char *key;             /* names the signing key, part of the image's hash; NULL: "key" */
        bool is_default;
        unsigned tries;
} FakeGeneration;

/* The name of its image, without counter. Owned. */
static inline char *fake_image_name(const FakeGeneration *generation) {
        g_autofree char *covered = g_strjoin("\n", generation->toplevel, generation->specialisation ?: "",
                                             generation->kernel, generation->initrd, generation->key ?: "key", NULL);
        Sha256 hash = fake_hash(covered);
        char *name;

        g_assert_cmpint(image_name_format(NULL, NULL, generation->number, generation->specialisation, &hash, &name), ==,
                        0);
        return name;
}

static inline void want_content(Wanted *wanted, WantedImage *image, ContentKind kind, const char *text) {
        g_autofree char *name = fake_content_name(kind, text);
        WantedContent *content;

        g_assert_cmpint(wanted_add_content(wanted, name, &content), ==, 0);
        content->size = strlen(text);
        content->hash = fake_hash(text);
        content->source = (void *)text;
        g_assert_cmpint(string_list_add(&image->contents, name), ==, 0);
}

/* Wants the image of GENERATION (which must outlive WANTED) and its contents. */
static inline void want_generation(Wanted *wanted, const FakeGeneration *generation) {
        WantedImage *image;

        g_assert_cmpint(wanted_add_image(wanted, &image), ==, 0);
        image->name = fake_image_name(generation);
        g_assert_cmpint(asprintf(&image->title, "generation %u", generation->number), >=, 0);
        image->toplevel = strdup(generation->toplevel);
        image->size = 2 * FAKE_IMAGE_PADDING;
        image->tries = generation->tries;
        image->is_default = generation->is_default;
        image->group = generation->number;
        image->source = (void *)generation;
        want_content(wanted, image, CONTENT_KERNEL, generation->kernel);
        want_content(wanted, image, CONTENT_INITRD, generation->initrd);
        g_assert_cmpint(string_list_add(&wanted->toplevels, generation->toplevel), ==, 0);
}

/* Sources of what want_generation() wants. */
typedef struct FakeSources {
        ApplySources sources;
        const char *loader;  /* the text of a signed systemd-boot */
        unsigned built;      /* images and loaders that were made and signed */
        const char *corrupt; /* text of a content whose source differs from its hash; NULL: none */
} FakeSources;

static inline int fake_open_content(void *userdata, const WantedContent *content, int *ret_fd, Failure *failure) {
        const FakeSources *sources = userdata;
        const char *text = content->source;
        int fd = memfd_create("content", MFD_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        if (sources->corrupt && strcmp(sources->corrupt, text) == 0) {
                g_assert_cmpint(file_write_fd(fd, span_from_string("?")), ==, 0);
                text++;
        }
        g_assert_cmpint(file_write_fd(fd, span_from_string(text)), ==, 0);
        *ret_fd = fd;
        return 0;
}

static inline int fake_build_image(void *userdata, const WantedImage *image, Buffer *ret, Failure *failure) {
        const FakeGeneration *generation = image->source;
        g_autofree char *text = fake_image(generation->toplevel, "current", generation->kernel, generation->initrd);

        ((FakeSources *)userdata)->built++;
        return buffer_append_string(ret, text);
}

static inline int fake_build_loader(void *userdata, Buffer *ret, Failure *failure) {
        FakeSources *sources = userdata;

        sources->built++;
        return buffer_append_string(ret, sources->loader);
}

static inline void fake_sources_init(FakeSources *sources) {
        *sources = (FakeSources){
                .sources = {.userdata = sources,
                            .open_content = fake_open_content,
                            .build_image = fake_build_image,
                            .build_loader = fake_build_loader},
                .loader = "MZ fake image\nsigner=current\n#### LoaderInfo: systemd-boot 257 ####\nend\n",
        };
}

static inline int fake_inventory(int root, Inventory *ret) {
        InventoryParameters parameters = {.read_image = fake_read_image, .architecture = "x64"};

        return inventory_read(root, &parameters, ret, NULL);
}

/* A volume in a temporary folder. */
typedef struct Volume {
        char *path;
        int fd;
} Volume;

static inline void volume_open(Volume *volume, gconstpointer unused) {
        volume->path = test_folder_make();
        volume->fd = open(volume->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(volume->fd, >=, 0);
}

static inline void volume_close(Volume *volume, gconstpointer unused) {
        close(volume->fd);
        test_folder_remove(volume->path);
}

static inline void volume_write(Volume *volume, const char *path, const char *text) {
        test_write(volume->path, path, text, -1, 0600);
}

/* The path of a content or of an image (COUNTER: "" or "+2-1"). Owned. */
static inline char *content_path(ContentKind kind, const char *text) {
        g_autofree char *name = fake_content_name(kind, text);

        return g_strdup_printf("EFI/nixos/%s", name);
}

static inline char *image_path(const FakeGeneration *generation, const char *counter) {
        g_autofree char *name = fake_image_name(generation);
        g_autofree char *counted = entry_name_with_counter(name, span_from_string(counter));

        return g_strdup_printf("EFI/Linux/%s", counted);
}

static inline void volume_put_image(Volume *volume, const FakeGeneration *generation, const char *signer,
                                    const char *counter) {
        g_autofree char *text = fake_image(generation->toplevel, signer, generation->kernel, generation->initrd);
        g_autofree char *path = image_path(generation, counter);

        volume_write(volume, path, text);
}

static inline void volume_put_contents(Volume *volume, const FakeGeneration *generation) {
        g_autofree char *kernel = content_path(CONTENT_KERNEL, generation->kernel);
        g_autofree char *initrd = content_path(CONTENT_INITRD, generation->initrd);

        volume_write(volume, kernel, generation->kernel);
        volume_write(volume, initrd, generation->initrd);
}

/* As an earlier sync left it. */
static inline void volume_put(Volume *volume, const FakeGeneration *generation) {
        volume_put_contents(volume, generation);
        volume_put_image(volume, generation, "current", "");
}
