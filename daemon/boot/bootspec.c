/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/bootspec.h"

/* Reads bootspec documents (NixOS RFC 125). A document is an object with the member "org.nixos.bootspec.v1", the member
 * "org.nixos.specialisation.v1" (specialisation names to documents) and extensions, each under a name of its own. In a
 * nested document the extensions are that specialisation's. Optional members may also be null. */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/boot/synthesis.h"
#include "daemon/boot/text.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define MEMBER_BOOTSPEC "org.nixos.bootspec.v1"
#define MEMBER_SPECIALISATION "org.nixos.specialisation.v1"
#define EXTENSION_OURS "org.lanzaboote.lanzad"
#define EXTENSION_SYSTEMD_BOOT "org.nixos.systemd-boot"

/* One document, and the place in it. */
typedef struct Reader {
        const char *where;
        Failure *failure;
        size_t specialisations; /* seen so far, on all levels */
        unsigned depth;
        const char *path; /* of the document on this level: "", or ending with a dot */
} Reader;

typedef enum TextKind { TEXT_LABEL, TEXT_SYSTEM, TEXT_PATH, TEXT_PATH_WORD, TEXT_SORT_KEY } TextKind;

void bootspec_done(Bootspec *bootspec) {
        free(bootspec->label);
        free(bootspec->init);
        free(bootspec->kernel);
        free(bootspec->initrd);
        free(bootspec->initrd_secrets);
        string_list_done(&bootspec->kernel_params);
        free(bootspec->system);
        free(bootspec->toplevel);
        free(bootspec->sort_key);
        free(bootspec->stub);
        free(bootspec->device_tree);
        for (size_t i = 0; i < bootspec->specialisation_count; i++) {
                free(bootspec->specialisations[i].name);
                bootspec_done(&bootspec->specialisations[i].bootspec);
        }
        free(bootspec->specialisations);
        *bootspec = (Bootspec){};
}

static void json_unref(json_t **json) {
        json_decref(*json);
}

static const char *type_name(const json_t *value) {
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "an object";
        case JSON_ARRAY:
                return "an array";
        case JSON_STRING:
                return "a string";
        case JSON_INTEGER:
        case JSON_REAL:
                return "a number";
        case JSON_TRUE:
        case JSON_FALSE:
                return "a boolean";
        case JSON_NULL:
                return "null";
        }
        return "of an unknown type";
}

/* Refuses the document because of the member GROUP.NAME of this level (NAME may be NULL). */
static _printf_(4, 5) int refuse(Reader *reader, const char *group, const char *name, const char *format, ...) {
        _cleanup_(free_pointer) char *why = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&why, format, arguments);
        va_end(arguments);
        if (r < 0) {
                why = NULL;
                return -ENOMEM;
        }
        return failure_set(reader->failure, CONDITION_BAD_BOOTSPEC, "%s: %s\"%s\"%s%s %s", reader->where, reader->path,
                           group, name ? "." : "", name ? name : "", why);
}

/* Absolute, without an empty component, "." or "..", and no slash at the end. */
static const char *path_problem(const char *path) {
        if (*path != '/')
                return "is not an absolute path";
        if (strlen(path) >= PATH_MAX)
                return "is too long for a path";
        while (*path == '/') {
                size_t length = strcspn(++path, "/");

                if (length == 0 || (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
                        return "is not a normalised path";
                path += length;
        }
        return NULL;
}

/* Why VALUE cannot stand for something of that kind, or NULL. */
static const char *value_problem(TextKind kind, const char *value) {
        const char *problem = text_problem(value, /* tab_allowed= */ false);
        bool is_path = kind == TEXT_PATH || kind == TEXT_PATH_WORD;

        if (problem)
                return problem;
        if (!*value)
                return "is empty";
        if (is_path && (problem = path_problem(value)))
                return problem;
        if (!is_path && strlen(value) > BOOTSPEC_MAX_TEXT)
                return "is too long";
        if (kind == TEXT_PATH_WORD && strpbrk(value, " \"'"))
                return "has a space or a quote, and cannot be a word of the command line";
        if (kind == TEXT_SYSTEM &&
            value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")])
                return "is not the name of a kind of system";
        return NULL;
}

/* Reads the text OBJECT.NAME; if it is not there or null, *ret becomes NULL. GROUP is how OBJECT is called. */
static int read_optional(Reader *reader, const char *group, const json_t *object, const char *name, TextKind kind,
                         char **ret) {
        const json_t *value = json_object_get(object, name);
        const char *problem;
        char *copy;

        if (!value || json_is_null(value)) {
                *ret = NULL;
                return 0;
        }
        if (!json_is_string(value))
                return refuse(reader, group, name, "is %s instead of a string", type_name(value));
        problem = value_problem(kind, json_string_value(value));
        if (problem)
                return refuse(reader, group, name, "%s", problem);
        copy = strdup(json_string_value(value));
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

static int read_required(Reader *reader, const json_t *object, const char *name, TextKind kind, char **ret) {
        int r = read_optional(reader, MEMBER_BOOTSPEC, object, name, kind, ret);

        if (r < 0)
                return r;
        return *ret ? 0 : refuse(reader, MEMBER_BOOTSPEC, name, "is missing");
}

static int read_kernel_params(Reader *reader, const json_t *object, StringList *ret) {
        const json_t *params = json_object_get(object, "kernelParams"), *param;
        size_t i;
        int r;

        if (!params)
                return refuse(reader, MEMBER_BOOTSPEC, "kernelParams", "is missing");
        if (!json_is_array(params))
                return refuse(reader, MEMBER_BOOTSPEC, "kernelParams", "is %s instead of an array", type_name(params));
        if (json_array_size(params) > BOOTSPEC_MAX_PARAMS)
                return refuse(reader, MEMBER_BOOTSPEC, "kernelParams", "has more than %i items", BOOTSPEC_MAX_PARAMS);
        json_array_foreach(params, i, param) {
                const char *problem;

                if (!json_is_string(param))
                        return refuse(reader, MEMBER_BOOTSPEC, "kernelParams", "has %s instead of a string as item %zu",
                                      type_name(param), i);
                problem = text_problem(json_string_value(param), /* tab_allowed= */ true);
                if (problem)
                        return refuse(reader, MEMBER_BOOTSPEC, "kernelParams", "has an item %zu that %s", i, problem);
                r = string_list_add(ret, json_string_value(param));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The object DOCUMENT.NAME; NULL if it is not there or null. */
static int read_object(Reader *reader, const json_t *document, const char *name, const json_t **ret) {
        const json_t *object = json_object_get(document, name);

        if (object && !json_is_object(object) && !json_is_null(object))
                return refuse(reader, name, NULL, "is %s instead of an object", type_name(object));
        *ret = json_is_object(object) ? object : NULL;
        return 0;
}

static int read_extensions(Reader *reader, const json_t *document, Bootspec *bootspec) {
        static const struct {
                const char *extension, *member;
        } sort_keys[] = {
                {EXTENSION_OURS, "sortKey"},
                {"org.nix-community.lanzaboote", "sort_key"},
                {EXTENSION_SYSTEMD_BOOT, "sortKey"},
        };
        const json_t *extension;
        int r;

        for (size_t i = 0; i < ARRAY_LENGTH(sort_keys); i++) {
                _cleanup_(free_pointer) char *sort_key = NULL;

                r = read_object(reader, document, sort_keys[i].extension, &extension);
                if (r < 0)
                        return r;
                r = read_optional(reader, sort_keys[i].extension, extension, sort_keys[i].member, TEXT_SORT_KEY,
                                  &sort_key);
                if (r < 0)
                        return r;
                if (!bootspec->sort_key)
                        bootspec->sort_key = TAKE_POINTER(sort_key);
        }

        r = read_object(reader, document, EXTENSION_OURS, &extension);
        if (r < 0)
                return r;
        r = read_optional(reader, EXTENSION_OURS, extension, "stub", TEXT_PATH, &bootspec->stub);
        if (r >= 0)
                r = read_object(reader, document, EXTENSION_SYSTEMD_BOOT, &extension);
        if (r < 0)
                return r;
        return read_optional(reader, EXTENSION_SYSTEMD_BOOT, extension, "devicetree", TEXT_PATH,
                             &bootspec->device_tree);
}

static int read_members(Reader *reader, const json_t *document, Bootspec *bootspec) {
        const json_t *object;
        int r;

        r = read_object(reader, document, MEMBER_BOOTSPEC, &object);
        if (r < 0)
                return r;
        if (!object)
                return refuse(reader, MEMBER_BOOTSPEC, NULL, "is missing");

        const struct {
                const char *name;
                TextKind kind;
                bool required;
                char **field;
        } members[] = {
                {"label", TEXT_LABEL, true, &bootspec->label},
                {"system", TEXT_SYSTEM, true, &bootspec->system},
                {"toplevel", TEXT_PATH, true, &bootspec->toplevel},
                {"init", TEXT_PATH_WORD, true, &bootspec->init},
                {"kernel", TEXT_PATH, true, &bootspec->kernel},
                {"initrd", TEXT_PATH, false, &bootspec->initrd},
                {"initrdSecrets", TEXT_PATH, false, &bootspec->initrd_secrets},
        };
        for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
                if (members[i].required)
                        r = read_required(reader, object, members[i].name, members[i].kind, members[i].field);
                else
                        r = read_optional(reader, MEMBER_BOOTSPEC, object, members[i].name, members[i].kind,
                                          members[i].field);
                if (r < 0)
                        return r;
        }
        return read_kernel_params(reader, object, &bootspec->kernel_params);
}

static const char *name_problem(const char *name) {
        const char *problem = value_problem(TEXT_LABEL, name);

        if (problem)
                return problem;
        if (strchr(name, '/'))
                return "has a slash";
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? "is no file name" : NULL;
}

static int read_document(Reader *reader, const json_t *document, Bootspec *bootspec);

/* Reads one specialisation, whose name was found good. */
static int read_specialisation(const Reader *outer, const char *name, const json_t *document, Bootspec *bootspec,
                               size_t *specialisations) {
        _cleanup_(free_pointer) char *path = NULL;
        Reader reader = *outer;
        int r;

        if (asprintf(&path, "%s\"%s\".\"%s\".", outer->path, MEMBER_SPECIALISATION, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        reader.path = path;
        reader.depth++;
        reader.specialisations = *specialisations;
        r = read_document(&reader, document, bootspec);
        *specialisations = reader.specialisations;
        return r;
}

static int compare_specialisations(const void *a, const void *b) {
        return strcmp(((const BootspecSpecialisation *)a)->name, ((const BootspecSpecialisation *)b)->name);
}

static int read_specialisations(Reader *reader, const json_t *document, Bootspec *bootspec) {
        const json_t *object;
        const char *name;
        json_t *value;
        int r;

        r = read_object(reader, document, MEMBER_SPECIALISATION, &object);
        if (r < 0)
                return r;
        if (!object || json_object_size(object) == 0)
                return 0;
        if (reader->depth >= BOOTSPEC_MAX_DEPTH)
                return refuse(reader, MEMBER_SPECIALISATION, NULL, "is nested more than %i levels deep",
                              BOOTSPEC_MAX_DEPTH);
        if (json_object_size(object) > BOOTSPEC_MAX_SPECIALISATIONS - reader->specialisations)
                return refuse(reader, MEMBER_SPECIALISATION, NULL,
                              "has too many members: the document has more than %i specialisations",
                              BOOTSPEC_MAX_SPECIALISATIONS);
        reader->specialisations += json_object_size(object);
        bootspec->specialisations = calloc(json_object_size(object), sizeof(*bootspec->specialisations));
        if (!bootspec->specialisations)
                return -ENOMEM;

        json_object_foreach((json_t *)object, name, value) {
                const char *problem = name_problem(name);
                BootspecSpecialisation *specialisation = bootspec->specialisations + bootspec->specialisation_count;

                if (problem)
                        return refuse(reader, MEMBER_SPECIALISATION, NULL, "has a member whose name %s", problem);
                specialisation->name = strdup(name);
                if (!specialisation->name)
                        return -ENOMEM;
                bootspec->specialisation_count++;
                r = read_specialisation(reader, name, value, &specialisation->bootspec, &reader->specialisations);
                if (r < 0)
                        return r;
        }
        qsort(bootspec->specialisations, bootspec->specialisation_count, sizeof(*bootspec->specialisations),
              compare_specialisations);
        return 0;
}

static int read_document(Reader *reader, const json_t *document, Bootspec *bootspec) {
        int r;

        if (!json_is_object(document))
                return failure_set(reader->failure, CONDITION_BAD_BOOTSPEC, "%s: %.*s%sis %s instead of an object",
                                   reader->where, (int)(*reader->path ? strlen(reader->path) - 1 : 0), reader->path,
                                   *reader->path ? " " : "the document ", type_name(document));
        r = read_members(reader, document, bootspec);
        if (r < 0)
                return r;
        r = read_extensions(reader, document, bootspec);
        if (r < 0)
                return r;
        return read_specialisations(reader, document, bootspec);
}

static int refuse_size(const char *where, Failure *failure) {
        return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s has more than %i bytes", where, BOOTSPEC_MAX_BYTES);
}

int bootspec_parse(Span json, const char *where, Bootspec *ret, Failure *failure) {
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(json_unref) json_t *document = NULL;
        Reader reader = {.where = where, .failure = failure, .path = ""};
        json_error_t error;
        int r;

        if (json.size > BOOTSPEC_MAX_BYTES)
                return refuse_size(where, failure);
        document = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &error);
        if (!document && json_error_code(&error) == json_error_out_of_memory)
                return -ENOMEM;
        if (!document) {
                /* What the library quotes of the document may be anything. */
                char *quotation = strstr(error.text, " near ");

                if (quotation)
                        *quotation = 0;
                if (text_problem(error.text, /* tab_allowed= */ false))
                        strcpy(error.text, "malformed");
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s, line %i, column %i: %s", where, error.line,
                                   error.column, error.text);
        }

        r = read_document(&reader, document, &bootspec);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(bootspec);
        return 0;
}

/* Whether there is anything under the name: a link that leads nowhere is something. */
static bool stands_there(int root, const char *path) {
        _cleanup_(close_fd) int fd = root_open(root, path, O_PATH | O_NOFOLLOW);

        return fd != -ENOENT;
}

/* The document's text, made where there is none. *RET_WHERE is how to call it; owned. */
static int read_or_make_text(int root, const char *toplevel, char **ret_where, Buffer *ret, Failure *failure) {
        _cleanup_(free_pointer) char *path = path_join(toplevel, "boot.json"), *where = NULL;
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        if (!path)
                return -ENOMEM;
        fd = root_open(root, path, O_RDONLY);
        if (fd == -ENOENT && !stands_there(root, path)) {
                if (asprintf(&where, "%s, which has no boot.json", toplevel) < 0)
                        where = NULL;
                r = where ? bootspec_synthesise(root, toplevel, ret, failure) : -ENOMEM;
        } else {
                where = TAKE_POINTER(path);
                r = fd < 0 ? fd : file_read_fd(fd, BOOTSPEC_MAX_BYTES, ret);
                if (r == -EFBIG)
                        return refuse_size(where, failure);
                if (r < 0 && r != -ENOMEM)
                        return failure_set(failure, CONDITION_BAD_BOOTSPEC, "Cannot read %s: %s", where,
                                           file_error_text(r));
        }
        if (r < 0)
                return r;
        *ret_where = TAKE_POINTER(where);
        return 0;
}

int bootspec_load(int root, const char *toplevel, Bootspec *ret, Failure *failure) {
        _cleanup_(bootspec_done) Bootspec bootspec = {};
        _cleanup_(free_pointer) char *where = NULL;
        _cleanup_(buffer_done) Buffer json = {};
        int r;

        r = read_or_make_text(root, toplevel, &where, &json, failure);
        if (r < 0)
                return r;
        r = bootspec_parse(buffer_span(&json), where, &bootspec, failure);
        if (r < 0)
                return r;
        if (strcmp(bootspec.toplevel, toplevel) != 0)
                return failure_set(failure, CONDITION_BAD_BOOTSPEC, "%s is of another toplevel: it names %s", where,
                                   bootspec.toplevel);
        *ret = TAKE_STRUCT(bootspec);
        return 0;
}

void boot_variant_list_done(BootVariantList *list) {
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].specialisation);
        free(list->items);
        *list = (BootVariantList){};
}

/* Adds BOOTSPEC, whose name is NAME, and what is nested in it. Takes NAME over. The depth is bounded by the parser. */
static int add_variants(BootVariantList *list, const Bootspec *bootspec, char *name) {
        BootVariant *items = realloc(list->items, (list->count + 1) * sizeof(*items));
        int r;

        if (!items) {
                free(name);
                return -ENOMEM;
        }
        list->items = items;
        items[list->count++] = (BootVariant){name, bootspec};

        for (size_t i = 0; i < bootspec->specialisation_count; i++) {
                const BootspecSpecialisation *inner = bootspec->specialisations + i;
                char *joined;

                if (asprintf(&joined, "%s%s%s", name ? name : "", name ? "/" : "", inner->name) < 0)
                        return -ENOMEM;
                r = add_variants(list, &inner->bootspec, joined);
                if (r < 0)
                        return r;
        }
        return 0;
}

int bootspec_variants(const Bootspec *bootspec, BootVariantList *ret) {
        _cleanup_(boot_variant_list_done) BootVariantList list = {};
        int r;

        r = add_variants(&list, bootspec, NULL);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(list);
        return 0;
}

const BootVariant *boot_variant_list_find(const BootVariantList *list, const char *toplevel) {
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i].bootspec->toplevel, toplevel) == 0)
                        return list->items + i;
        return NULL;
}
