/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ops/boot-check.h"
#include "daemon/ops/confirmed-generation.h"
#include "daemon/ops/context.h"
#include "daemon/ops/initrd-secrets.h"
#include "daemon/ops/secrets-supply.h"
#include "daemon/ops/signing.h"
#include "daemon/ops/sync-result.h"
#include "daemon/ops/sync-volume.h"
#include "daemon/ops/system.h"
#include "daemon/ops/wanted-system.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define CACHE_FOLDER "/var/cache/lanzad"

typedef struct SyncParameters {
        WriteParameters write;
        char *toplevel;
        bool restub, allow_unlisted;
        SealedMemory *configuration; /* for whoever runs the operation: daemon/execution.c */
        MemoryList secrets;          /* by the variant's toplevel; empty memory: it has none */
} SyncParameters;

static const Field sync_fields[] = {
        WRITE_PARAMETER_FIELDS(SyncParameters),
        {.name = "toplevel",
         .type = FIELD_STRING,
         .offset = offsetof(SyncParameters, toplevel),
         .help = "the system that is to be the default entry",
         .argument = "PATH"},
        {.name = "restub",
         .type = FIELD_BOOLEAN,
         .offset = offsetof(SyncParameters, restub),
         .help = "give images that are there already the stub that new ones get"},
        {.name = "allow-unlisted",
         .type = FIELD_BOOLEAN,
         .offset = offsetof(SyncParameters, allow_unlisted),
         .help = "TOPLEVEL may be a system of the store that is in no profile",
         .root_only = true},
        {.name = "configuration",
         .type = FIELD_MEMORY,
         .offset = offsetof(SyncParameters, configuration),
         .maximum = CONFIG_SIZE_MAX,
         .root_only = true},
        {.name = "initrd-secrets",
         .type = FIELD_MEMORIES,
         .offset = offsetof(SyncParameters, secrets),
         .maximum = INITRD_SECRETS_MAX_BYTES,
         .root_only = true},
};
static const Field gc_fields[] = {WRITE_PARAMETER_FIELDS(SyncParameters)};

static const Record sync_parameters = RECORD(SyncParameters, sync_fields);
static const Record gc_parameters = RECORD(SyncParameters, gc_fields);

static void run_done(SyncRun *run) {
        wanted_system_done(&run->system); /* nobody signs any more */
        if (run->builder.signer)
                run->context->signatures += signer_signature_count(run->builder.signer);
        image_builder_done(&run->builder);
        system_choice_done(&run->choice);
        if (run->cache)
                hash_cache_free(run->cache);
        close_fd(&run->cache_folder);
}

/* Without a cache everything is read again: slower, and nothing worse. A dry run reads it and makes no folder. */
static int open_cache(SyncRun *run) {
        int root = run->context->root_fd;

        run->cache_folder = run->write->dry_run ? root_open(root, CACHE_FOLDER, O_RDONLY | O_DIRECTORY)
                                                : root_make_folder(root, CACHE_FOLDER, 0700);
        return run->cache_folder < 0 ? hash_cache_new(&run->cache) : hash_cache_load(run->cache_folder, &run->cache);
}

static int open_builder(SyncRun *run, Failure *failure) {
        Signer *signer = NULL;
        int r;

        r = signing_signer(run->context, &signer, &run->result->warnings, failure);
        return r < 0 ? r : image_builder_init(&run->builder, run->context, signer, failure);
}

/* What all volumes have in common: which generations, which key, which stubs. */
static int choose(SyncRun *run, const SyncParameters *asked, Failure *failure) {
        const ToplevelRequest request = {asked->toplevel, asked->allow_unlisted};
        int r;

        r = open_cache(run);
        if (r < 0)
                return r;
        r = system_choose(run->context, &request, &run->result->warnings, &run->choice, failure);
        return r < 0 ? r : open_builder(run, failure);
}

static int work_out_wanted(SyncRun *run, const SyncParameters *asked, const SyncVolume *volume, Failure *failure) {
        const SecretsSupply secrets = {
                .context = run->context,
                .handed_in = &asked->secrets,
                .only_kept = run->garbage_only,
                .kept = {&volume->volume, &volume->inventory, sync_certificate(run)},
        };
        const WantedRequest request = {
                .generations = &run->choice.generations,
                .default_generation = run->choice.default_generation,
                .default_variant = run->choice.default_variant,
                .garbage_only = run->garbage_only,
                .renew_stubs = run->renew_stubs,
                .secrets = &secrets,
        };

        return wanted_system_init(&run->system, run->context, &run->builder, run->cache, &request, failure);
}

static int check_unsigned(const SyncRun *run, const SyncVolume *volume, Failure *failure) {
        if (run->builder.signer || run->garbage_only)
                return 0;
        return boot_check_unsigned(run->context, &volume->volume, failure);
}

static int keep_hashes(SyncRun *run) {
        int r = run->cache_folder >= 0 ? hash_cache_save(run->cache, run->cache_folder) : 0;

        return r >= 0 ? 0
                      : string_list_add_format(&run->result->warnings, "Cannot keep hashes in %s%s: %s",
                                               run->context->root, CACHE_FOLDER, strerror(-r));
}

static int carry_out(SyncRun *run, SyncVolume *volume, Failure *failure) {
        int r;

        if (run->builder.signer && !run->write->dry_run) {
                r = key_store_remember(run->context->keys, failure);
                if (r < 0)
                        return r;
        }
        r = sync_volume_apply(run, volume, failure);
        /* A remembered hash may be what was wrong: the next run reads everything anew. */
        if (r < 0 && run->cache_folder >= 0 && !run->write->dry_run)
                unlinkat(run->cache_folder, HASH_CACHE_FILE, 0);
        if (r < 0 || run->write->dry_run)
                return r;
        return keep_hashes(run);
}

static int move_warnings(StringList *from, StringList *to) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < from->count; i++)
                r = string_list_add(to, from->items[i]);
        return r;
}

static int synchronise_volume(SyncRun *run, const SyncParameters *asked, SyncVolume *volume, Failure *failure) {
        int r;

        r = sync_volume_open(run, volume, failure);
        if (r >= 0)
                r = choose(run, asked, failure);
        if (r >= 0)
                r = sync_volume_read(run, volume, failure);
        if (r >= 0)
                confirmed_generations_choose(run->context, &volume->inventory, &run->choice.generations);
        if (r >= 0)
                r = work_out_wanted(run, asked, volume, failure);
        if (r >= 0)
                r = check_unsigned(run, volume, failure);
        if (r >= 0)
                r = sync_volume_plan(run, volume, failure);
        if (r >= 0 && !run->write->dry_run)
                r = wanted_system_build_ahead(&run->system, &volume->plan);
        if (r >= 0)
                r = boot_check_plan(run->context, &volume->volume, &run->system, &volume->plan, failure);
        if (r >= 0)
                r = carry_out(run, volume, failure);
        if (r >= 0)
                r = move_warnings(&run->system.warnings, &run->result->warnings);
        return r < 0 ? r : move_warnings(&volume->plan.warnings, &run->result->warnings);
}

static int synchronise(Context *context, const SyncParameters *asked, bool garbage_only, SyncResult *result,
                       Failure *failure) {
        _cleanup_(run_done) SyncRun run = {
                .context = context,
                .write = &asked->write,
                .result = result,
                .garbage_only = garbage_only,
                .renew_stubs = asked->restub,
                .cache_folder = -EBADF,
        };
        _cleanup_(sync_volume_done) SyncVolume volume = {};
        int r;

        result->dry_run = asked->write.dry_run;
        if (!asked->write.dry_run) {
                r = context_lock_keys(context, &asked->write, failure);
                if (r < 0)
                        return r;
        }
        r = synchronise_volume(&run, asked, &volume, failure);
        if (r < 0)
                return r;
        return run.system.in_part || volume.in_part ? OPERATION_IN_PART : 0;
}

static int run_sync(Context *context, const void *parameters, void *result, Failure *failure) {
        return synchronise(context, parameters, /* garbage_only= */ false, result, failure);
}

static int run_gc(Context *context, const void *parameters, void *result, Failure *failure) {
        return synchronise(context, parameters, /* garbage_only= */ true, result, failure);
}

const Operation sync_operation = {
        .verb = "sync",
        .help = "bring the ESP to the state that the generations ask for",
        .mutates = true,
        .parameters = &sync_parameters,
        .result = &sync_result_record,
        .positional = "toplevel",
        .configuration = "configuration",
        .run = run_sync,
};

const Operation gc_operation = {
        .verb = "gc",
        .help = "remove from the ESP what no generation needs any more",
        .mutates = true,
        .parameters = &gc_parameters,
        .result = &sync_result_record,
        .run = run_gc,
};
