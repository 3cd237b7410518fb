/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/stub-shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/boot/boot-image.h"
#include "daemon/boot/store-link.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-assemble.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"
#include "stubs/stub-abi.h"

typedef struct Stub {
        char *path; /* as the bootspec names it; NULL for the configured one */
        Buffer bytes;
} Stub;

struct StubShelf {
        const Context *context;
        Stub *items; /* the configured one first */
        size_t count;
};

StubShelf *stub_shelf_free(StubShelf *shelf) {
        for (size_t i = 0; shelf && i < shelf->count; i++) {
                free(shelf->items[i].path);
                buffer_done(&shelf->items[i].bytes);
        }
        if (shelf)
                free(shelf->items);
        free(shelf);
        return NULL;
}

int pe_binary_read(const Context *context, const char *path, const char *what, Buffer *ret, Failure *failure) {
        _cleanup_(close_fd) int fd = root_open(context->root_fd, path, O_RDONLY);
        _cleanup_(buffer_done) Buffer content = {};
        PeImage image;
        int r;

        r = fd < 0 ? fd : file_read_fd(fd, BINARY_MAX_BYTES, &content);
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_IMAGE, "%s %s%s cannot be read: %s", what, context->root,
                                   path, file_error_text(r));
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

/* Takes PATH and BYTES over, also on failure. */
static int add(StubShelf *shelf, char *path, Buffer *bytes) {
        Stub *items = reallocarray(shelf->items, shelf->count + 1, sizeof(*items));

        if (!items) {
                free(path);
                return -ENOMEM;
        }
        shelf->items = items;
        items[shelf->count++] = (Stub){.path = path, .bytes = TAKE_STRUCT(*bytes)};
        return 0;
}

static const char *room_problem(int error) {
        return error == -ENOSPC || error == -E2BIG ? "its headers have no room for more"
               : error == -EEXIST                  ? "it has one of them already"
                                                   : "its own are not laid out like an image's";
}

/* Whether an image can be made of it, and signed: better known now than when something is written. */
static int check_room(Span stub, const char *what, const char *root, const char *path, Failure *failure) {
        static const char *const names[] = {LANZA_SECTION_OSREL,  LANZA_SECTION_CMDLINE,
                                            LANZA_SECTION_KERNEL, LANZA_SECTION_KERNEL_HASH,
                                            LANZA_SECTION_INITRD, LANZA_SECTION_INITRD_HASH};
        PeNewSection sections[ARRAY_LENGTH(names)];
        _cleanup_(buffer_done) Buffer image = {};
        int r;

        _Static_assert(ARRAY_LENGTH(names) == BOOT_IMAGE_SECTIONS_MAX, "an image has other sections");
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
                sections[i] = (PeNewSection){names[i], span_from_string("-")};
        r = pe_assemble(stub, sections, ARRAY_LENGTH(sections), &image);
        if (r >= 0)
                r = authenticode_check_form(buffer_span(&image));
        if (r < 0 && r != -ENOMEM)
                return failure_set(failure, CONDITION_BAD_IMAGE, "%s %s%s cannot take the sections of an image: %s",
                                   what, root, path, room_problem(r));
        return r;
}

int stub_shelf_new(const Context *context, StubShelf **ret, Failure *failure) {
        const char *path = context->settings->stub;
        _cleanup_(buffer_done) Buffer bytes = {};
        StubShelf *shelf;
        int r;

        r = pe_binary_read(context, path, "The stub", &bytes, failure);
        if (r >= 0)
                r = check_room(buffer_span(&bytes), "The stub", context->root, path, failure);
        if (r < 0)
                return r;
        shelf = calloc(1, sizeof(*shelf));
        if (!shelf)
                return -ENOMEM;
        shelf->context = context;
        r = add(shelf, /* path= */ NULL, &bytes);
        if (r < 0) {
                stub_shelf_free(shelf);
                return r;
        }
        *ret = shelf;
        return 0;
}

static int read_own(StubShelf *shelf, const char *path, Failure *failure) {
        _cleanup_(free_pointer) char *real = NULL, *copy = NULL;
        _cleanup_(buffer_done) Buffer bytes = {};
        struct stat st;
        int r;

        r = store_link_follow(shelf->context->root_fd, path, &real, &st);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_IMAGE, "Its stub %s %s%s", path,
                                   r == -EXDEV ? "leads out of " GENERATION_STORE : "cannot be read: ",
                                   r == -EXDEV ? "" : strerror(-r));
        r = pe_binary_read(shelf->context, real, "Its stub", &bytes, failure);
        if (r < 0)
                return r;
        r = check_room(buffer_span(&bytes), "Its stub", "", path, failure);
        if (r < 0)
                return r;
        copy = strdup(path);
        return copy ? add(shelf, TAKE_POINTER(copy), &bytes) : -ENOMEM;
}

int stub_shelf_find(StubShelf *shelf, const Bootspec *bootspec, Span *ret, Failure *failure) {
        const Stub *found = bootspec->stub ? NULL : shelf->items;
        int r;

        for (size_t i = 1; i < shelf->count && !found; i++)
                if (strcmp(shelf->items[i].path, bootspec->stub) == 0)
                        found = &shelf->items[i];
        if (!found) {
                r = read_own(shelf, bootspec->stub, failure);
                if (r < 0)
                        return r;
                found = &shelf->items[shelf->count - 1];
        }
        *ret = buffer_span(&found->bytes);
        return 0;
}

int stub_shelf_find_for(StubShelf *shelf, const GenerationList *generations, const char *toplevel, Span *ret) {
        const BootVariant *variant = NULL;
        int r = 0;

        *ret = buffer_span(&shelf->items[0].bytes);
        if (toplevel)
                generation_list_find(generations, toplevel, &variant);
        if (variant && variant->bootspec->stub)
                r = stub_shelf_find(shelf, variant->bootspec, ret, /* failure= */ NULL);
        if (r < 0)
                *ret = (Span){};
        return r == -ENOMEM ? r : 0;
}
