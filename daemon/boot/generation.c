/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/boot/text.h"
#include "daemon/boot/trusted-way.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define OTHER_PROFILES "system-profiles"

static void generation_done(Generation *generation) {
        free(generation->profile);
        free(generation->link);
        free(generation->toplevel);
        boot_variant_list_done(&generation->variants);
        bootspec_done(&generation->bootspec);
        failure_done(&generation->problem);
        *generation = (Generation){};
}

void generation_list_done(GenerationList *list) {
        for (size_t i = 0; i < list->count; i++)
                generation_done(list->items + i);
        free(list->items);
        *list = (GenerationList){};
}

int toplevel_resolve(int root, const char *link, char **ret) {
        static const char store[] = GENERATION_STORE "/";
        _cleanup_(close_fd) int fd = root_open(root, link, O_PATH);
        _cleanup_(free_pointer) char *path = NULL;
        struct stat st;
        int r;

        if (fd < 0)
                return fd;
        r = root_path_of(root, fd, &path);
        if (r < 0)
                return r;
        if (strncmp(path, store, strlen(store)) != 0 || strchr(path + strlen(store), '/'))
                return -EXDEV;
        if (text_problem(path, /* tab_allowed= */ false))
                return -EINVAL;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        *ret = TAKE_POINTER(path);
        return 0;
}

/* A folder of links that is being read. */
typedef struct Folder {
        int root, fd;
        const char *path;     /* inside ROOT */
        bool is_system;       /* holds the links of "system", and those of no other profile */
        StringList *warnings; /* may be NULL */
        GenerationList *list; /* grows */
        Failure *failure;
} Folder;

static int report_folder(const char *path, int error, Failure *failure) {
        failure_set_errno(failure, error, "Cannot open the profile folder %s", path);
        failure_set_hint(failure,
                         "%s name the folder that holds the generations' links as Profiles= in the section [Boot] of "
                         "/etc/lanza/lanzad.conf.",
                         error == -ENOENT ? "If this is not NixOS, there is nothing to bring to the ESP: sign what it "
                                            "boots with 'lanzactl sign'. Else"
                                          : "Mend it, or");
        return error;
}

/* Opens and checks a folder: nobody but root and ourselves may add links that we act on. -ENOENT is left to the caller.
 */
static int folder_open(Folder *folder) {
        _cleanup_(close_fd) int fd = root_open(folder->root, folder->path, O_RDONLY | O_DIRECTORY);
        struct stat st;
        int r;

        if (fd == -ENOENT)
                return fd;
        if (fd < 0)
                return report_folder(folder->path, fd, folder->failure);
        if (fstat(fd, &st) < 0)
                return failure_set_errno(folder->failure, -errno, "Cannot examine the profile folder %s", folder->path);
        if (!file_owner_trusted(&st) || st.st_mode & (S_IWGRP | S_IWOTH))
                return trusted_way_refuse("The profile folder", folder->path, &st, folder->failure);
        r = trusted_way_check(folder->root, folder->path, folder->failure);
        if (r < 0)
                return failure_set_errno(folder->failure, r, "Cannot examine the way to the profile folder %s",
                                         folder->path);
        folder->fd = TAKE_FD(fd);
        return 0;
}

GenerationLink generation_link_parse(const char *name, size_t *ret_length, uint64_t *ret_number) {
        static const char suffix[] = "-link";
        size_t end = strlen(name), start;
        uint64_t number;

        if (end <= strlen(suffix) || strcmp(name + end - strlen(suffix), suffix) != 0)
                return GENERATION_LINK_FOREIGN;
        end -= strlen(suffix);
        for (start = end; start > 0 && name[start - 1] >= '0' && name[start - 1] <= '9';)
                start--;
        if (start == end || start < 2 || name[start - 1] != '-')
                return GENERATION_LINK_FOREIGN;

        *ret_length = start - 1;
        errno = 0;
        number = strtoull(name + start, NULL, 10);
        if (errno != 0 || name[start] == '0')
                return GENERATION_LINK_ODD;
        *ret_number = number;
        return GENERATION_LINK_GOOD;
}

/* Why the link's toplevel cannot be used. */
static int set_link_problem(Generation *generation, int error) {
        const char *why = error == -ENOENT    ? "leads to nothing"
                          : error == -ELOOP   ? "leads around in a circle"
                          : error == -EXDEV   ? "does not lead directly into " GENERATION_STORE
                          : error == -ENOTDIR ? "does not lead to a folder"
                                              : NULL;

        if (why)
                return failure_set(&generation->problem, CONDITION_BAD_BOOTSPEC, "%s %s", generation->link, why);
        return failure_set(&generation->problem, CONDITION_BAD_BOOTSPEC, "%s cannot be followed: %s", generation->link,
                           strerror(-error));
}

/* Whether the link itself names something in the store, as Nix makes it. A link by way of another folder would let the
 * owner of that folder decide what is signed. */
static int check_link_text(const Folder *folder, const char *name) {
        static const char store[] = GENERATION_STORE "/";
        char target[PATH_MAX];
        ssize_t n = readlinkat(folder->fd, name, target, sizeof(target));

        if (n < 0)
                return -errno;
        return (size_t)n > strlen(store) && memcmp(target, store, strlen(store)) == 0 ? 0 : -EXDEV;
}

/* Reads what the link leads to. What is wrong becomes the generation's problem; only lack of memory is an error. */
static int read_generation(const Folder *folder, const char *name, Generation *generation) {
        struct stat st;
        int r;

        if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                set_link_problem(generation, -errno);
                return 0;
        }
        generation->made = st.st_mtime;
        if (!S_ISLNK(st.st_mode)) {
                failure_set(&generation->problem, CONDITION_BAD_BOOTSPEC, "%s is not a symbolic link",
                            generation->link);
                return 0;
        }
        if (!file_owner_trusted(&st)) {
                failure_set(&generation->problem, CONDITION_BAD_BOOTSPEC, "%s belongs to user %u, not to root",
                            generation->link, st.st_uid);
                return 0;
        }
        r = toplevel_resolve(folder->root, generation->link, &generation->toplevel);
        if (r == -ENOMEM)
                return r;
        if (r >= 0)
                r = check_link_text(folder, name);
        if (r < 0) {
                free(TAKE_POINTER(generation->toplevel));
                set_link_problem(generation, r);
                return 0;
        }
        r = bootspec_load(folder->root, generation->toplevel, &generation->bootspec, &generation->problem);
        if (r < 0)
                return generation->problem.message ? 0 : r;
        return 0;
}

static int append_generation(Folder *folder, const char *name, size_t profile_length, uint64_t number) {
        GenerationList *list = folder->list;
        Generation *items, *generation;
        int r;

        if (list->count >= GENERATIONS_MAX)
                return failure_set(folder->failure, CONDITION_LIMITS_EXCEEDED, "There are more than %i generations",
                                   GENERATIONS_MAX);
        items = realloc(list->items, (list->count + 1) * sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        generation = items + list->count;
        *generation = (Generation){.number = number, .link = path_join(folder->path, name)};
        list->count++; /* frees what follows even if that fails half-way */
        if (!generation->link)
                return -ENOMEM;
        if (!folder->is_system) {
                generation->profile = strndup(name, profile_length);
                if (!generation->profile)
                        return -ENOMEM;
        }
        r = read_generation(folder, name, generation);
        return r < 0 ? r : 0;
}

/* WHY is the end of a sentence that begins with the name, or with "A link in" the folder. */
static int warn(const Folder *folder, const char *name, const char *why) {
        if (!folder->warnings)
                return 0;
        if (text_problem(name, /* tab_allowed= */ false))
                return string_list_add_format(folder->warnings, "A link in %s %s", folder->path, why);
        return string_list_add_format(folder->warnings, "%s/%s %s", folder->path, name, why);
}

static int read_name(Folder *folder, const char *name) {
        size_t length;
        uint64_t number;
        GenerationLink kind = generation_link_parse(name, &length, &number);

        if (kind == GENERATION_LINK_FOREIGN)
                return 0;
        if (folder->is_system && (length != strlen("system") || strncmp(name, "system", length) != 0))
                return 0;
        if (text_problem(name, /* tab_allowed= */ false))
                return warn(folder, name, "is ignored: its name is not UTF-8, or has a control character");
        if (kind == GENERATION_LINK_ODD)
                return warn(folder, name, "is ignored: that is no generation's number");
        return append_generation(folder, name, length, number);
}

static bool is_of_profile(const Generation *generation, const char *profile) {
        return strcmp(generation->profile ? generation->profile : "", profile ? profile : "") == 0;
}

/* The generation of PROFILE (NULL: "system") that the profile's own link names: by name where it stands beside, as Nix
 * makes it, else by the toplevel it leads to. *ret is NULL if there is none. */
static int find_current(const Folder *folder, size_t first, const char *profile, Generation **ret) {
        _cleanup_(free_pointer) char *own = path_join(folder->path, profile ? profile : "system"), *toplevel = NULL;
        char target[PATH_MAX];
        const char *name = target;
        size_t length = strlen(folder->path);
        ssize_t n;
        int r;

        *ret = NULL;
        if (!own)
                return -ENOMEM;
        n = readlinkat(folder->fd, strrchr(own, '/') + 1, target, sizeof(target));
        if (n < 0 || n == sizeof(target))
                return 0;
        target[n] = 0;
        if (strncmp(name, folder->path, length) == 0 && name[length] == '/')
                name += length + 1;
        r = toplevel_resolve(folder->root, own, &toplevel);
        if (r == -ENOMEM)
                return r;

        for (size_t i = first; i < folder->list->count; i++) {
                Generation *generation = folder->list->items + i;

                if (!is_of_profile(generation, profile))
                        continue;
                if (strcmp(strrchr(generation->link, '/') + 1, name) == 0) {
                        *ret = generation;
                        return 0;
                }
                if (!*ret && toplevel && generation->toplevel && strcmp(generation->toplevel, toplevel) == 0)
                        *ret = generation;
        }
        return 0;
}

/* The profile "system" first, others by name, the highest number first in each. */
static int compare_generations(const void *a, const void *b) {
        const Generation *first = a, *second = b;
        int order = strcmp(first->profile ? first->profile : "", second->profile ? second->profile : "");

        if (order != 0)
                return order;
        return first->number > second->number ? -1 : first->number < second->number;
}

static int mark_current(Folder *folder, size_t first) {
        GenerationList *list = folder->list;
        size_t profiles = 0;
        int r;

        if (list->count == first)
                return 0;
        qsort(list->items + first, list->count - first, sizeof(*list->items), compare_generations);
        for (size_t i = first; i < list->count; i++) {
                const char *profile = list->items[i].profile;
                Generation *current;

                if (i > first && is_of_profile(list->items + i - 1, profile))
                        continue;
                if (++profiles > GENERATION_PROFILES_MAX)
                        return failure_set(folder->failure, CONDITION_LIMITS_EXCEEDED,
                                           "There are more than %i profiles in %s", GENERATION_PROFILES_MAX,
                                           folder->path);
                r = find_current(folder, first, profile, &current);
                if (r < 0)
                        return r;
                if (current)
                        current->current = true;
        }
        return 0;
}

/* Adds the generations of one folder to the list. -ENOENT if there is no such folder. */
static int read_folder(Folder *folder) {
        _cleanup_(string_list_done) StringList names = {};
        _cleanup_(close_fd) int fd = -EBADF;
        size_t first = folder->list->count;
        int r;

        r = folder_open(folder);
        if (r < 0)
                return r;
        fd = folder->fd;
        r = folder_list(fd, ".", GENERATION_FOLDER_MAX, &names);
        if (r == -E2BIG)
                return failure_set(folder->failure, CONDITION_LIMITS_EXCEEDED, "%s holds more than %i names",
                                   folder->path, GENERATION_FOLDER_MAX);
        if (r < 0)
                return failure_set_errno(folder->failure, r, "Cannot list the profile folder %s", folder->path);
        for (size_t i = 0; i < names.count; i++) {
                r = read_name(folder, names.items[i]);
                if (r < 0)
                        return r;
        }
        return mark_current(folder, first);
}

/* Lists the variants of all generations, anew where that was done before: a variant borrows the bootspec of a
 * generation, which must have its final place by then. */
static int list_variants(GenerationList *list) {
        int r;

        for (size_t i = 0; i < list->count; i++) {
                Generation *generation = list->items + i;

                boot_variant_list_done(&generation->variants);
                if (generation->problem.message)
                        continue;
                r = bootspec_variants(&generation->bootspec, &generation->variants);
                if (r < 0)
                        return r;
        }
        return 0;
}

int generation_list_append(GenerationList *list, GenerationList *more) {
        Generation *items;

        if (more->count == 0)
                return 0;
        items = reallocarray(list->items, list->count + more->count, sizeof(*items));
        if (!items)
                return -ENOMEM;
        memcpy(items + list->count, more->items, more->count * sizeof(*items));
        list->items = items;
        list->count += more->count;
        free(more->items);
        *more = (GenerationList){};
        return list_variants(list);
}

int generation_list_read(int root, const char *profiles, StringList *warnings, GenerationList *ret, Failure *failure) {
        _cleanup_(free_pointer) char *other = path_join(profiles, OTHER_PROFILES);
        _cleanup_(generation_list_done) GenerationList list = {};
        int r;

        if (!other)
                return -ENOMEM;
        r = read_folder(&(Folder){.root = root,
                                  .path = profiles,
                                  .is_system = true,
                                  .warnings = warnings,
                                  .list = &list,
                                  .failure = failure});
        if (r == -ENOENT)
                return report_folder(profiles, r, failure);
        if (r < 0)
                return r;
        r = read_folder(
                &(Folder){.root = root, .path = other, .warnings = warnings, .list = &list, .failure = failure});
        if (r < 0 && r != -ENOENT)
                return r;
        r = list_variants(&list);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(list);
        return 0;
}

static bool holds(const Generation *generation, const char *toplevel, const BootVariant **ret_variant) {
        const BootVariant *variant = boot_variant_list_find(&generation->variants, toplevel);

        if (!variant && !(generation->toplevel && strcmp(generation->toplevel, toplevel) == 0))
                return false;
        if (ret_variant)
                *ret_variant = variant;
        return true;
}

Generation *generation_list_find(const GenerationList *list, const char *toplevel, const BootVariant **ret_variant) {
        for (size_t i = 0; i < list->count; i++)
                if (list->items[i].current && holds(list->items + i, toplevel, ret_variant))
                        return list->items + i;
        for (size_t i = 0; i < list->count; i++)
                if (holds(list->items + i, toplevel, ret_variant))
                        return list->items + i;
        return NULL;
}
