/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/synthesis.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/boot/bootspec.h"
#include "daemon/boot/generation.h"
#include "daemon/boot/store-link.h"
#include "daemon/boot/text.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define MODULES_FOLDER "kernel-modules/lib/modules"
#define SPECIALISATION_FOLDER "specialisation"

void system_facts_done(SystemFacts *facts) {
        for (size_t i = 0; i < facts->specialisation_count; i++)
                system_facts_done(&facts->specialisations[i]);
        free(facts->specialisations);
        free(facts->name);
        free(facts->toplevel);
        free(facts->kernel);
        free(facts->init);
        free(facts->initrd);
        free(facts->secrets);
        free(facts->params);
        free(facts->version);
        free(facts->system);
        free(facts->release);
        *facts = (SystemFacts){};
}

/* A toplevel that is being read. */
typedef struct Place {
        int root;
        const char *toplevel;
        Failure *failure;
} Place;

/* Refuses the toplevel because of NAME in it, which may be any bytes. */
static int refuse(const Place *place, const char *name, const char *why) {
        if (text_problem(name, /* tab_allowed= */ false))
                name = SPECIALISATION_FOLDER;
        return failure_set(place->failure, CONDITION_BAD_BOOTSPEC, "%s has no boot.json, and its %s %s",
                           place->toplevel, name, why);
}

static int refuse_errno(const Place *place, const char *name, int error) {
        char why[128];

        if (error == -ENOMEM)
                return error;
        if (error == -EXDEV)
                return refuse(place, name, "leads out of " GENERATION_STORE);
        snprintf(why, sizeof(why), "cannot be read: %s", strerror(-error));
        return refuse(place, name, why);
}

/* Finds NAME in the toplevel, which must be of this type. *RET is NULL if it is missing. */
static int find(const Place *place, const char *name, mode_t type, char **ret) {
        _cleanup_(free_pointer) char *path = path_join(place->toplevel, name), *real = NULL;
        struct stat st;
        int r;

        *ret = NULL;
        if (!path)
                return -ENOMEM;
        r = store_link_follow(place->root, path, &real, &st);
        if (r == -ENOENT) {
                _cleanup_(close_fd) int fd = root_open(place->root, path, O_PATH | O_NOFOLLOW);

                return fd == -ENOENT ? 0 : refuse(place, name, "leads to nothing");
        }
        if (r < 0)
                return refuse_errno(place, name, r);
        if (text_problem(real, /* tab_allowed= */ false))
                return refuse(place, name, "leads to a name that is no text");
        if ((st.st_mode & S_IFMT) != type)
                return refuse(place, name, type == S_IFDIR ? "is no folder" : "is no regular file");
        *ret = TAKE_POINTER(real);
        return 0;
}

static int find_required(const Place *place, const char *name, mode_t type, char **ret) {
        int r = find(place, name, type, ret);

        if (r < 0)
                return r;
        return *ret ? 0 : refuse(place, name, "is missing");
}

static int read_content(const Place *place, const char *name, const char *path, Buffer *ret) {
        _cleanup_(close_fd) int fd = root_open(place->root, path, O_RDONLY | O_NOFOLLOW);
        int r = fd < 0 ? fd : file_read_fd(fd, SYNTHESIS_MAX_TEXT, ret);

        return r < 0 ? refuse_errno(place, name, r) : 0;
}

/* The content of the file NAME, without white space at its end. */
static int read_text(const Place *place, const char *name, char **ret) {
        _cleanup_(free_pointer) char *path = NULL;
        _cleanup_(buffer_done) Buffer content = {};
        char *text;
        int r;

        r = find_required(place, name, S_IFREG, &path);
        if (r < 0)
                return r;
        r = read_content(place, name, path, &content);
        if (r < 0)
                return r;
        if (content.size > 0 && memchr(content.data, 0, content.size))
                return refuse(place, name, "has a control character");
        while (content.size > 0 && strchr(" \t\r\n", content.data[content.size - 1]))
                content.size--;
        text = strndup((const char *)content.data ?: "", content.size);
        if (!text)
                return -ENOMEM;
        if (text_problem(text, /* tab_allowed= */ true)) {
                r = refuse(place, name, text_problem(text, /* tab_allowed= */ true));
                free(text);
                return r;
        }
        *ret = text;
        return 0;
}

/* The names in a folder of the toplevel, each of them text; none where it is missing. */
static int list_names(const Place *place, const char *name, size_t maximum, StringList *ret) {
        _cleanup_(free_pointer) char *folder = NULL;
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        r = find(place, name, S_IFDIR, &folder);
        if (r < 0 || !folder)
                return r;
        fd = root_open(place->root, folder, O_RDONLY | O_DIRECTORY);
        r = fd < 0 ? fd : folder_list(fd, ".", maximum, ret);
        if (r == -E2BIG)
                return refuse(place, name, "has too many names");
        if (r < 0)
                return refuse_errno(place, name, r);
        for (size_t i = 0; i < ret->count; i++)
                if (text_problem(ret->items[i], /* tab_allowed= */ false))
                        return refuse(place, name, "holds a name that is no text");
        return 0;
}

/* The name of the folder with the kernel's modules; with several the first. */
static int read_release(const Place *place, char **ret) {
        _cleanup_(string_list_done) StringList names = {};
        int r;

        r = list_names(place, MODULES_FOLDER, SYNTHESIS_MAX_RELEASES, &names);
        if (r < 0 || names.count == 0)
                return r;
        *ret = strdup(names.items[0]);
        return *ret ? 0 : -ENOMEM;
}

/* A file that is named by its place in the toplevel, wherever it leads to; *RET is NULL if it is missing. */
static int find_in_place(const Place *place, const char *name, char **ret) {
        _cleanup_(free_pointer) char *real = NULL;
        int r = find(place, name, S_IFREG, &real);

        if (r < 0 || !real)
                return r;
        *ret = path_join(place->toplevel, name);
        return *ret ? 0 : -ENOMEM;
}

/* Everything but the specialisations. */
static int describe(const Place *place, SystemFacts *facts) {
        int r;

        facts->toplevel = strdup(place->toplevel);
        r = facts->toplevel ? find_required(place, "kernel", S_IFREG, &facts->kernel) : -ENOMEM;
        if (r >= 0)
                r = find(place, "initrd", S_IFREG, &facts->initrd);
        if (r >= 0)
                r = find_in_place(place, "init", &facts->init);
        if (r >= 0 && !facts->init)
                r = refuse(place, "init", "is missing");
        if (r >= 0)
                r = find_in_place(place, "append-initrd-secrets", &facts->secrets);
        if (r >= 0)
                r = read_text(place, "kernel-params", &facts->params);
        if (r >= 0)
                r = read_text(place, "nixos-version", &facts->version);
        if (r >= 0)
                r = read_text(place, "system", &facts->system);
        return r < 0 ? r : read_release(place, &facts->release);
}

static int describe_specialisation(const Place *outer, const char *name, SystemFacts *facts) {
        _cleanup_(free_pointer) char *relative = path_join(SPECIALISATION_FOLDER, name), *toplevel = NULL;
        Place place = *outer;
        int r;

        if (!relative)
                return -ENOMEM;
        r = find_required(outer, relative, S_IFDIR, &toplevel);
        if (r < 0)
                return r;
        if (strchr(toplevel + strlen(GENERATION_STORE "/"), '/') || strcmp(toplevel, outer->toplevel) == 0)
                return refuse(outer, relative, "is no other system of " GENERATION_STORE);
        facts->name = strdup(name);
        if (!facts->name)
                return -ENOMEM;
        place.toplevel = toplevel;
        return describe(&place, facts);
}

static int describe_specialisations(const Place *place, SystemFacts *facts) {
        _cleanup_(string_list_done) StringList names = {};
        int r;

        r = list_names(place, SPECIALISATION_FOLDER, BOOTSPEC_MAX_SPECIALISATIONS, &names);
        if (r < 0 || names.count == 0)
                return r;
        facts->specialisations = calloc(names.count, sizeof(*facts->specialisations));
        if (!facts->specialisations)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < names.count; i++) {
                facts->specialisation_count++;
                r = describe_specialisation(place, names.items[i], &facts->specialisations[i]);
        }
        return r;
}

int system_facts_read(int root, const char *toplevel, SystemFacts *ret, Failure *failure) {
        _cleanup_(system_facts_done) SystemFacts facts = {};
        const Place place = {.root = root, .toplevel = toplevel, .failure = failure};
        int r;

        r = describe(&place, &facts);
        if (r >= 0)
                r = describe_specialisations(&place, &facts);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(facts);
        return 0;
}

static void json_unref(json_t **json) {
        json_decref(*json);
}

/* "NixOS VERSION (Linux RELEASE)". */
static json_t *make_label(const SystemFacts *facts) {
        if (!facts->release)
                return json_sprintf("NixOS %s", facts->version);
        return json_sprintf("NixOS %s (Linux %s)", facts->version, facts->release);
}

/* Split at each single space, as the reference does: joined again they are what they were. */
static json_t *make_params(const SystemFacts *facts) {
        _cleanup_(json_unref) json_t *params = json_array();
        const char *next = facts->params;

        while (params && *next) {
                size_t length = strcspn(next, " ");

                if (json_array_append_new(params, json_stringn(next, length)) < 0)
                        return NULL;
                next += length;
                next += *next == ' ';
        }
        return TAKE_POINTER(params);
}

static json_t *make_document(const SystemFacts *facts) {
        _cleanup_(json_unref) json_t *specialisations = json_object(), *label = make_label(facts),
                                     *params = make_params(facts);

        if (!specialisations || !label || !params)
                return NULL;
        for (size_t i = 0; i < facts->specialisation_count; i++)
                if (json_object_set_new(specialisations, facts->specialisations[i].name,
                                        make_document(&facts->specialisations[i])) < 0)
                        return NULL;
        return json_pack("{s:{s:O, s:s, s:s, s:s?, s:s?, s:O, s:s, s:s}, s:O}", "org.nixos.bootspec.v1", "label", label,
                         "init", facts->init, "kernel", facts->kernel, "initrd", facts->initrd, "initrdSecrets",
                         facts->secrets, "kernelParams", params, "system", facts->system, "toplevel", facts->toplevel,
                         "org.nixos.specialisation.v1", specialisations);
}

static int append_json(const char *text, size_t size, void *buffer) {
        return buffer_append(buffer, (Span){(const uint8_t *)text, size});
}

int system_facts_format(const SystemFacts *facts, Buffer *ret) {
        _cleanup_(json_unref) json_t *document = make_document(facts);
        _cleanup_(buffer_done) Buffer text = {};

        if (!document)
                return -EINVAL;
        if (json_dump_callback(document, append_json, &text, JSON_COMPACT | JSON_SORT_KEYS) < 0)
                return -ENOMEM;
        *ret = TAKE_STRUCT(text);
        return 0;
}

int bootspec_synthesise(int root, const char *toplevel, Buffer *ret, Failure *failure) {
        _cleanup_(system_facts_done) SystemFacts facts = {};
        int r;

        r = system_facts_read(root, toplevel, &facts, failure);
        if (r >= 0)
                r = system_facts_format(&facts, ret);
        if (r == -EINVAL)
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s has no boot.json, and none can be made",
                                   toplevel);
        return r;
}
