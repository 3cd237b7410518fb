/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/util/file.h"
#include "daemon/util/guid.h"
#include "daemon/util/utf16.h"

/* Boot Loader Interface. */
static const Guid loader_vendor = GUID_INIT(0x4a67b082, 0x0a4c, 0x41cf, 0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f);

int system_generations(const Context *context, StringList *warnings, GenerationList *ret, Failure *failure) {
        _cleanup_(generation_list_done) GenerationList all = {};
        const StringList *folders = &context->settings->profiles;
        int r;

        for (size_t i = 0; i < folders->count; i++) {
                _cleanup_(generation_list_done) GenerationList list = {};

                r = generation_list_read(context->root_fd, folders->items[i], warnings, &list, failure);
                if (r >= 0)
                        r = generation_list_append(&all, &list);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_STRUCT(all);
        return 0;
}

void system_choice_done(SystemChoice *choice) {
        generation_list_done(&choice->generations);
        *choice = (SystemChoice){};
}

/* A link to a toplevel, such as a specialisation's in its parent's folder, is as good as its own path. */
static int resolve_toplevel(const Context *context, const char *path, char **ret, Failure *failure) {
        int r;

        *ret = NULL;
        if (!path)
                return 0;
        if (path[0] != '/')
                return failure_set(failure, CONDITION_FOREIGN_TOPLEVEL, "'%s' is no absolute path of a toplevel", path);
        r = toplevel_resolve(context->root_fd, path, ret);
        if (r >= 0 || r == -ENOMEM)
                return r;
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

static int add_unlisted(const Context *context, const ToplevelRequest *request, const char *toplevel,
                        GenerationList *list, Failure *failure) {
        if (!request->allow_unlisted || !toplevel || generation_list_find(list, toplevel, /* ret_variant= */ NULL))
                return 0;
        return generation_list_add_unlisted(context->root_fd, toplevel, list, failure);
}

int system_choose(const Context *context, const ToplevelRequest *request, StringList *warnings, SystemChoice *ret,
                  Failure *failure) {
        _cleanup_(system_choice_done) SystemChoice chosen = {};
        _cleanup_(free_pointer) char *booted = NULL, *asked_for = NULL;
        GenerationChoice choice = {.limit = context->settings->limit};
        int r;

        r = system_generations(context, warnings, &chosen.generations, failure);
        if (r < 0)
                return r;
        r = system_booted_toplevel(context, &booted);
        if (r < 0)
                return r;
        r = resolve_toplevel(context, request->path, &asked_for, failure);
        if (r < 0)
                return r;
        r = add_unlisted(context, request, asked_for, &chosen.generations, failure);
        if (r < 0)
                return r;
        choice.booted_toplevel = booted;
        choice.default_toplevel = asked_for;
        r = generations_choose(&chosen.generations, &choice, &chosen.default_generation, &chosen.default_variant,
                               failure);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(chosen);
        return 0;
}

int system_booted_toplevel(const Context *context, char **ret) {
        int r;

        *ret = NULL;
        r = toplevel_resolve(context->root_fd, GENERATION_BOOTED_SYSTEM, ret);
        return r == -ENOMEM ? r : 0;
}

int system_loader_variable(const Context *context, const char *name, char **ret) {
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        *ret = NULL;
        if (!context->variables)
                return 0;
        r = variables_read(context->variables, &loader_vendor, name, /* ret_attributes= */ NULL, &content);
        if (r >= 0)
                r = utf16_to_utf8(buffer_span(&content), ret, /* ret_size= */ NULL);
        return r == -ENOMEM ? r : 0;
}
