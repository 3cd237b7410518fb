/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/context.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/firmware/variables-memory.h"
#include "daemon/util/file.h"
#include "daemon/util/lock.h"
#include "daemon/util/root.h"

enum {
        HOSTNAME_FILE_MAX = 4096,
        LOCK_TIMEOUT_MAX = 24 * 60 * 60, /* seconds */
};

static int open_root(Context *context, const char *root, Failure *failure) {
        size_t length = root ? strlen(root) : 0;

        /* Whoever has an empty variable there means another place than "/". */
        if (root && length == 0)
                return failure_set_errno(failure, -EINVAL, "The root folder has an empty name");
        while (length > 0 && root[length - 1] == '/')
                length--;
        context->root = strndup(root ? root : "", length);
        if (!context->root)
                return -ENOMEM;
        context->root_fd = file_open(AT_FDCWD, length > 0 ? context->root : "/", O_PATH | O_DIRECTORY, 0);
        if (context->root_fd < 0)
                return failure_set_errno(failure, context->root_fd, "Cannot open the root folder %s", root);
        return 0;
}

static int open_keys(Context *context, const char *key_folder, Failure *failure) {
        const Settings *settings = context->settings;
        const char *configured[] = {
                settings->platform_key,         settings->key_exchange_key,         settings->database_key,
                settings->platform_certificate, settings->key_exchange_certificate, settings->database_certificate,
        };
        char *paths[ARRAY_LENGTH(configured)] = {}, *folder;
        KeyStoreLocation location = {};
        int r = 0;

        folder = key_folder ? strdup(key_folder) : context_path(context, settings->key_directory);
        if (!folder)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_LENGTH(configured); i++)
                if (configured[i] && !key_folder) {
                        paths[i] = context_path(context, configured[i]);
                        if (!paths[i])
                                r = -ENOMEM;
                }
        if (r >= 0) {
                location.folder = folder;
                if (!key_folder) {
                        location.tree = context->root;
                        location.tree_fd = context->root_fd;
                }
                for (size_t i = 0; i < KEY_ROLE_COUNT; i++) {
                        location.key_files[i] = paths[i];
                        location.certificate_files[i] = paths[KEY_ROLE_COUNT + i];
                }
                r = key_store_open(&location, &context->keys, failure);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
                free(paths[i]);
        free(folder);
        return r;
}

static int open_variables_file(Context *context, const char *path, Failure *failure) {
        int r = variables_new_memory_file(path, &context->variables);

        if (r == -EBADMSG)
                return failure_set_errno(failure, r, "%s is no file of firmware variables", path);
        return r < 0 ? failure_set_errno(failure, r, "Cannot read the firmware variables in %s", path) : 0;
}

/* A machine without EFI variables is none to refuse here: what needs them says so. */
static int open_variables(Context *context, const char *file, Failure *failure) {
        _cleanup_(failure_done) Failure refused = {};
        int r;

        if (file)
                return open_variables_file(context, file, failure);
        if (!context->live)
                return 0;
        r = variables_new_efivar(&context->variables, &refused);
        if (r < 0 && refused.condition != CONDITION_NOT_SUPPORTED)
                return failure_pass(failure, &refused, r);
        return 0;
}

int context_new(const Settings *settings, const char *root, const char *key_folder, const char *variables_file,
                Context **ret, Failure *failure) {
        _cleanup_(context_freep) Context *context = calloc(1, sizeof(*context));
        int r;

        if (!context)
                return -ENOMEM;
        context->settings = settings;
        context->live = !root;
        context->any_folder = root;
        context->root_fd = -EBADF;
        context->now = time(NULL);

        r = open_root(context, root, failure);
        if (r < 0)
                return r;
        r = open_keys(context, key_folder, failure);
        if (r < 0)
                return r;
        r = open_variables(context, variables_file, failure);
        if (r < 0)
                return r;
        *ret = TAKE_POINTER(context);
        return 0;
}

Context *context_free(Context *context) {
        variables_free(context->variables);
        if (context->keys)
                key_store_free(context->keys);
        close_fd(&context->root_fd);
        free(context->root);
        free(context);
        return NULL;
}

char *context_path(const Context *context, const char *path) {
        char *joined;

        return asprintf(&joined, "%s%s", context->root, path) < 0 ? NULL : joined;
}

int context_no_variables(const Context *context, const char *what, Failure *failure) {
        int r = failure_set(failure, CONDITION_NOT_SUPPORTED, "There are no EFI variables %s%s", what,
                            context->live ? "" : ": those of the running firmware are not this tree's");

        if (!context->live)
                failure_set_hint(failure, "Run this on the system itself, once it has booted.");
        return r;
}

char *context_machine_name(const Context *context) {
        _cleanup_(close_fd) int fd = root_open(context->root_fd, "/etc/hostname", O_RDONLY);
        _cleanup_(buffer_done) Buffer text = {};
        char name[65] = "";
        size_t length = 0;

        if (fd >= 0 && file_read_fd(fd, HOSTNAME_FILE_MAX, &text) >= 0) {
                while (length < text.size && length < sizeof(name) - 1 && isgraph(text.data[length])) {
                        name[length] = text.data[length];
                        length++;
                }
                name[length] = 0;
        } else if (context->live && gethostname(name, sizeof(name) - 1) < 0) {
                name[0] = 0;
        }
        return strdup(*name ? name : "NixOS");
}

int context_lock_folder(const Context *context, int fd, const char *name, const WriteParameters *write,
                        Failure *failure) {
        uint64_t seconds = write->timeout > LOCK_TIMEOUT_MAX ? LOCK_TIMEOUT_MAX : write->timeout;

        return folder_lock(fd, name, seconds * 1000, context->waiting, context->progress_userdata, failure);
}

int context_lock_keys(Context *context, const WriteParameters *write, Failure *failure) {
        int r;

        r = key_store_make_folder(context->keys, failure);
        if (r < 0)
                return r;
        return context_lock_folder(context, key_store_fd(context->keys), "the key store", write, failure);
}

void context_progress(const Context *context, const char *phase, uint64_t done, uint64_t total) {
        if (context->progress)
                context->progress(context->progress_userdata, phase, done, total);
}
