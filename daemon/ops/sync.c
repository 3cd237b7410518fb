/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/esp/apply.h"
#include "daemon/esp/inventory.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/boot-check.h"
#include "daemon/ops/context.h"
#include "daemon/ops/image-facts.h"
#include "daemon/ops/initrd-secrets.h"
#include "daemon/ops/secrets-supply.h"
#include "daemon/ops/signing.h"
#include "daemon/ops/sync-result.h"
#include "daemon/ops/system.h"
#include "daemon/ops/wanted-system.h"
#include "daemon/pe/authenticode.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define ARCHITECTURE "x64"
#define CACHE_FOLDER "/var/cache/lanzad"
#define STORE_FOLDER "/nix/store"

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

/* Everything that one run holds. */
typedef struct Run {
        Context *context;
        EspVolume volume;
        int cache_folder;
        HashCache *cache;
        SystemChoice choice;
        ImageBuilder builder;
        WantedSystem system;
        Inventory inventory;
        Plan plan;
        bool in_part; /* not everything was carried out */
} Run;

static void run_done(Run *run) {
        if (run->builder.signer)
                run->context->signatures += signer_signature_count(run->builder.signer);
        plan_done(&run->plan);
        inventory_done(&run->inventory);
        wanted_system_done(&run->system);
        image_builder_done(&run->builder);
        system_choice_done(&run->choice);
        if (run->cache)
                hash_cache_free(run->cache);
        close_fd(&run->cache_folder);
        if (run->volume.path)
                esp_volume_done(&run->volume);
}

static int open_volume(Run *run, const WriteParameters *write, Failure *failure) {
        int r;

        r = system_esp(run->context, &run->volume, failure);
        if (r < 0)
                return r;
        if (write->dry_run)
                return 0;
        r = esp_volume_check_writable(&run->volume, failure);
        if (r < 0)
                return r;
        r = context_lock_folder(run->context, run->volume.fd, run->volume.path, write, failure);
        if (r == condition_errno(CONDITION_BUSY) && run->volume.world_readable)
                failure_set_hint(
                        failure,
                        "Run this again when the other operation has ended, or wait longer with '--timeout'. Where %s "
                        "can be read by others, anybody can hold that lock: 'lslocks' shows who does; mount it with "
                        "the options umask=0077.",
                        run->volume.path);
        return r;
}

/* Without a cache everything is read again: slower, and nothing worse. A dry run reads it and makes no folder. */
static int open_cache(Run *run, bool dry_run) {
        int root = run->context->root_fd;

        run->cache_folder = dry_run ? root_open(root, CACHE_FOLDER, O_RDONLY | O_DIRECTORY)
                                    : root_make_folder(root, CACHE_FOLDER, 0700);
        return run->cache_folder < 0 ? hash_cache_new(&run->cache) : hash_cache_load(run->cache_folder, &run->cache);
}

static int open_builder(Run *run, StringList *warnings, Failure *failure) {
        Signer *signer = NULL;
        int r;

        r = signing_signer(run->context, &signer, warnings, failure);
        return r < 0 ? r : image_builder_init(&run->builder, run->context, signer, failure);
}

static Certificate *current_certificate(const Run *run) {
        return run->builder.signer ? signer_certificate(run->builder.signer) : NULL;
}

static int work_out_wanted(Run *run, const SyncParameters *asked, bool garbage_only, Failure *failure) {
        const SecretsSupply secrets = {
                .context = run->context,
                .handed_in = &asked->secrets,
                .only_kept = garbage_only,
                .kept = {&run->volume, &run->inventory, current_certificate(run)},
        };
        const WantedRequest request = {
                .generations = &run->choice.generations,
                .default_generation = run->choice.default_generation,
                .default_variant = run->choice.default_variant,
                .garbage_only = garbage_only,
                .renew_stubs = asked->restub,
                .secrets = &secrets,
        };

        return wanted_system_init(&run->system, run->context, &run->builder, run->cache, &request, failure);
}

/* A boot loader that says it is signed by us, and whose signature is not good any more, is damaged: it would not run.
 */
static int verify_loaders(Run *run) {
        for (LoaderPlace place = 0; place < LOADER_PLACES; place++) {
                EspLoader *loader = &run->inventory.loaders[place];
                _cleanup_(buffer_done) Buffer binary = {};
                int r;

                if (loader->error < 0 || !loader->signed_by_current)
                        continue;
                r = file_read(run->volume.fd, loader->path, BINARY_MAX_BYTES, &binary);
                if (r >= 0)
                        r = authenticode_verify(buffer_span(&binary), signer_certificate(run->builder.signer));
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        loader->error = r;
        }
        return 0;
}

static int take_inventory(Run *run, const SyncParameters *asked, Failure *failure) {
        ImageFactsReader reader = {
                .keys = run->context->keys,
                .current = current_certificate(run),
                .stubs = asked->restub ? run->builder.stubs : NULL,
                .generations = &run->choice.generations,
        };
        InventoryParameters parameters = {
                .read_image = image_facts_read,
                .userdata = &reader,
                .token = run->context->settings->entry_token,
                .architecture = ARCHITECTURE,
        };
        int r;

        r = inventory_read(run->volume.fd, &parameters, &run->inventory, failure);
        return r < 0 ? r : verify_loaders(run);
}

static int make_plan(Run *run, Failure *failure) {
        VolumeSpace space = {.free_bytes = run->volume.free_bytes, .cluster_bytes = run->volume.cluster_bytes};

        return plan_make(&run->inventory, &run->system.wanted, space, &run->plan, failure);
}

static int check_privacy(const Run *run, StringList *warnings, Failure *failure) {
        if (!run->volume.world_readable || !run->system.has_secrets || run->system.wanted.garbage_only)
                return 0;
        if (run->context->settings->strict_permissions)
                return failure_set(failure, CONDITION_ESP_NOT_PRIVATE,
                                   "%s can be read by others, and initrd secrets belong there", run->volume.path);
        return string_list_add_format(warnings,
                                      "%s can be read by others, and initrd secrets stand on it; mount it with the "
                                      "options umask=0077",
                                      run->volume.path);
}

/* Makes durable what images will name, then carries the plan out. */
static int apply(Run *run, ApplyResult *ret, Failure *failure) {
        Context *context = run->context;
        ApplySources sources = wanted_system_sources(&run->system);
        int durable[1 + 64];
        size_t count = 0;
        EspSystemIo io;
        int r;

        durable[count] = root_open(context->root_fd, STORE_FOLDER, O_RDONLY | O_DIRECTORY);
        if (durable[count] >= 0)
                count++;
        for (size_t i = 0; i < context->settings->profiles.count && count < ARRAY_LENGTH(durable); i++) {
                durable[count] =
                        root_open(context->root_fd, context->settings->profiles.items[i], O_RDONLY | O_DIRECTORY);
                if (durable[count] >= 0)
                        count++;
        }
        sources.durable_fds = durable;
        sources.durable_count = count;

        esp_system_io_init(&io, run->volume.fd);
        r = apply_plan(&io.io, &run->system.wanted, &run->plan, &sources, ret, failure);
        while (count > 0)
                close_fd(&durable[--count]);
        return r;
}

static int keep_hashes(Run *run, StringList *warnings) {
        int r = run->cache_folder >= 0 ? hash_cache_save(run->cache, run->cache_folder) : 0;

        return r >= 0 ? 0
                      : string_list_add_format(warnings, "Cannot keep hashes in %s%s: %s", run->context->root,
                                               CACHE_FOLDER, strerror(-r));
}

static int carry_out(Run *run, const SyncParameters *asked, SyncResult *result, Failure *failure) {
        _cleanup_(apply_result_done) ApplyResult done = {};
        _cleanup_(failure_done) Failure problem = {};
        int r;

        if (asked->write.dry_run)
                return sync_result_add_plan(result, &run->volume, &run->plan);

        if (run->builder.signer) {
                r = key_store_remember(run->context->keys, failure);
                if (r < 0)
                        return r;
        }
        r = apply(run, &done, &problem);
        if (r < 0 && !done.all_written) {
                /* A remembered hash may be what was wrong: the next run reads everything anew. */
                if (run->cache_folder >= 0)
                        unlinkat(run->cache_folder, HASH_CACHE_FILE, 0);
                return failure_pass(failure, &problem, r);
        }
        /* The machine boots what it should; what is left over is for the next run. */
        run->in_part = r < 0;
        if (r < 0)
                r = string_list_add_format(&result->warnings, "Not all that nothing needs any more was removed: %s",
                                           problem.message ?: strerror(-r));
        if (r >= 0)
                r = keep_hashes(run, &result->warnings);
        if (r < 0)
                return r;
        return sync_result_add_applied(result, &run->volume, &run->plan, &done);
}

static int move_warnings(StringList *from, StringList *to) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < from->count; i++)
                r = string_list_add(to, from->items[i]);
        return r;
}

static int synchronise(Context *context, const SyncParameters *asked, bool garbage_only, SyncResult *result,
                       Failure *failure) {
        _cleanup_(run_done) Run run = {.context = context, .cache_folder = -EBADF};
        const ToplevelRequest request = {asked->toplevel, asked->allow_unlisted};
        int r;

        result->dry_run = asked->write.dry_run;
        if (!asked->write.dry_run) {
                r = context_lock_keys(context, &asked->write, failure);
                if (r < 0)
                        return r;
        }
        r = open_volume(&run, &asked->write, failure);
        if (r < 0)
                return r;
        r = open_cache(&run, asked->write.dry_run);
        if (r < 0)
                return r;
        r = system_choose(context, &request, &result->warnings, &run.choice, failure);
        if (r < 0)
                return r;
        r = open_builder(&run, &result->warnings, failure);
        if (r < 0)
                return r;
        r = take_inventory(&run, asked, failure);
        if (r < 0)
                return r;
        r = work_out_wanted(&run, asked, garbage_only, failure);
        if (r < 0)
                return r;
        if (!run.builder.signer && !garbage_only) {
                r = boot_check_unsigned(context, &run.volume, failure);
                if (r < 0)
                        return r;
        }
        r = make_plan(&run, failure);
        if (r < 0)
                return r;
        r = check_privacy(&run, &result->warnings, failure);
        if (r < 0)
                return r;
        r = boot_check_plan(context, &run.volume, &run.system, &run.plan, failure);
        if (r < 0)
                return r;
        r = carry_out(&run, asked, result, failure);
        if (r < 0)
                return r;
        r = move_warnings(&run.system.warnings, &result->warnings);
        if (r >= 0)
                r = move_warnings(&run.plan.warnings, &result->warnings);
        if (r < 0)
                return r;
        return run.system.in_part || run.in_part ? OPERATION_IN_PART : 0;
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
