/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/system.h"

#include <errno.h>
#include <stdio.h>

#include "daemon/util/file.h"
#include "daemon/util/guid.h"
#include "daemon/util/utf16.h"

#define TREE_ESP "/boot"

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

int system_esp(const Context *context, EspVolume *ret, Failure *failure) {
        VolumeSearch search = {.any_folder = context->any_folder};
        const char *path = context->settings->esp_path;
        int r;

        if (!path && context->any_folder)
                path = TREE_ESP;
        r = esp_volume_open(context->root_fd, path, VOLUME_ESP, &search, ret, failure);
        if (r >= 0 && context->any_folder && context->esp_uuid)
                snprintf(ret->partition_uuid, sizeof(ret->partition_uuid), "%s", context->esp_uuid);
        return r;
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
