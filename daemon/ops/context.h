/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every operation acts on: one system, seen through its root folder, its key store and its firmware. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/firmware/variables.h"
#include "daemon/keys/key-store.h"
#include "daemon/ops/parameters.h"
#include "daemon/ops/settings.h"
#include "daemon/util/failure.h"
#include "daemon/util/lock.h"
#include "daemon/util/macro.h"

typedef struct Context Context;

struct Context {
        const Settings *settings; /* borrowed; paths as written, that is inside the root */
        bool live;                /* the running system, whose ESP must be mounted and whose firmware counts */
        bool runs_programs;       /* generations' own programs may be run: never by the service */
        char *root;               /* "" for "/", else the tree's path, without a slash at its end */
        int root_fd;
        KeyStore *keys;
        Variables *variables; /* NULL: there are none, or they are not this tree's */
        int64_t now;          /* seconds since 1970 */
        uint64_t signatures;  /* how often boot images and boot loaders were signed: nothing to do means none */

        bool any_folder;                    /* any folder will do as ESP: in a tree, and in tests */
        const char *const *partition_uuids; /* for tests: what such folders count as, in the order of partitions.h, up
                                             * to a NULL; NULL: as nothing. Borrowed */

        /* Called as work goes on, if set: what is done, in units of the phase. */
        void (*progress)(void *userdata, const char *phase, uint64_t done, uint64_t total);
        void *progress_userdata;

        /* Asked while an operation waits for another one that holds a lock (util/lock.h), if set; nothing has been
         * changed then. */
        LockWaiting waiting;
};

/* A context of the system below ROOT (NULL: the running one; "/" is a tree like any other). KEY_FOLDER (NULL: the
 * configured one) is a key store that is not below ROOT. VARIABLES_FILE is a firmware in a file, as of
 * variables-memory.h, not below ROOT either; NULL: the firmware of the running system, none for a tree. SETTINGS must
 * outlive it. */
int context_new(const Settings *settings, const char *root, const char *key_folder, const char *variables_file,
                Context **ret, Failure *failure);
Context *context_free(Context *context); /* returns NULL */
DEFINE_POINTER_CLEANUP(Context *, context_free)

/* PATH (absolute, inside the root) as it is seen from here. Owned; NULL if memory is short. */
char *context_path(const Context *context, const char *path);

/* NotSupported, for whoever needs firmware variables where there are none; WHAT for: "to enroll keys in". */
int context_no_variables(const Context *context, const char *what, Failure *failure);

/* A name for this machine, for people: its host name, else "NixOS". Owned; NULL if memory is short. */
char *context_machine_name(const Context *context);

/* Makes the key store's folder if need be and locks it, for as long as the context lives. Busy after the timeout. Who
 * also locks an ESP does that later. */
int context_lock_keys(Context *context, const WriteParameters *write, Failure *failure);

/* The same for a folder that is open as FD, for as long as that is open. */
int context_lock_folder(const Context *context, int fd, const char *name, const WriteParameters *write,
                        Failure *failure);

void context_progress(const Context *context, const char *phase, uint64_t done, uint64_t total);
