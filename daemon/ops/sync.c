/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ops/boot-check.h"
#include "daemon/ops/boot-option.h"
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
        if (run->opening)
                builder_opening_free(run->opening);
        if (run->builder.signer)
                run->context->signatures += signer_signature_count(run->builder.signer);
        for (size_t i = 0; run->volumes && i < run->partitions.count; i++)
                sync_volume_done(&run->volumes[i]);
        free(run->volumes);
        partitions_done(&run->partitions);
        image_builder_done(&run->builder);
        system_choice_done(&run->choice);
        if (run->cache)
                hash_cache_free(run->cache);
        close_fd(&run->cache_folder);
}

/* --- One volume's failure is not the run's --------------------------------------------------------------------- */

/* What fails for one volume is written down there, and the run goes on with the others. Memory that is short, and who
 * cancels, mean all of them. */
static int note(SyncVolume *volume, int r, Failure *problem, Failure *failure) {
        if (r >= 0)
                return 0;
        if (r == -ENOMEM || problem->condition == CONDITION_CANCELED)
                return failure_pass(failure, problem, r);
        if (!problem->message)
                failure_set_errno(problem, r, "Cannot bring %s up to date", volume->partition->path);
        volume->error = r;
        failure_pass(&volume->problem, problem, r);
        return 0;
}

typedef int (*VolumePart)(SyncRun *run, SyncVolume *volume, Failure *failure);
typedef int (*VolumeLook)(const SyncRun *run, SyncVolume *volume, Failure *failure);

static int look(const SyncRun *run, SyncVolume *volume, VolumeLook part, Failure *failure) {
        _cleanup_(failure_done) Failure problem = {};

        return volume->error < 0 ? 0 : note(volume, part(run, volume, &problem), &problem, failure);
}

static int each(SyncRun *run, VolumeLook part, Failure *failure) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++)
                r = look(run, &run->volumes[i], part, failure);
        return r;
}

/* Without it nothing of its home can be written. A former XBOOTLDR partition is only tidied up. */
static bool is_essential(const SyncVolume *volume) {
        return volume->partition->role == VOLUME_ESP || volume->partition->has_images;
}

static const SyncVolume *find_failed(const SyncRun *run, size_t home) {
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->partitions.items[i].home == home && run->volumes[i].error < 0 &&
                    is_essential(&run->volumes[i]))
                        return &run->volumes[i];
        return NULL;
}

/* A home boots as a whole or not at all: where a volume failed, the others are left alone. */
static void settle(SyncRun *run) {
        for (size_t i = 0; i < run->partitions.count; i++) {
                SyncVolume *volume = &run->volumes[i];
                const SyncVolume *failed = volume->error < 0 ? NULL : find_failed(run, volume->partition->home);

                if (!failed)
                        continue;
                volume->follows = true;
                volume->error = failed->error;
                failure_set(&volume->problem, failed->problem.condition,
                            "It belongs to %s, which could not be brought up to date",
                            failed->partition->path ?: "an EFI system partition");
        }
}

/* If there is nothing left to go on with: what is wrong with all of them, under the name of the first. */
static int check_any(SyncRun *run, Failure *failure) {
        _cleanup_(buffer_done) Buffer text = {};
        const SyncVolume *first = NULL;
        int r = 0;

        settle(run);
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0 && is_essential(&run->volumes[i]))
                        return 0;
        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++) {
                const SyncVolume *volume = &run->volumes[i];

                if (volume->follows)
                        continue;
                r = buffer_append_format(&text, "%s%s", first ? "; " : "", volume->problem.message ?: "");
                first = first ?: volume;
        }
        if (r < 0)
                return r;
        failure_set(failure, first->problem.condition, "%.*s", (int)text.size, (const char *)text.data);
        if (first->problem.hint)
                failure_set_hint(failure, "%s", first->problem.hint);
        return first->error;
}

/* --- Opening --------------------------------------------------------------------------------------------------- */

static int compare_places(const void *a, const void *b) {
        const SyncVolume *const *x = a, *const *y = b;
        struct stat x_stat = {}, y_stat = {};

        fstat((*x)->partition->volume.fd, &x_stat);
        fstat((*y)->partition->volume.fd, &y_stat);
        if (x_stat.st_dev != y_stat.st_dev)
                return x_stat.st_dev < y_stat.st_dev ? -1 : 1;
        return x_stat.st_ino < y_stat.st_ino ? -1 : x_stat.st_ino > y_stat.st_ino;
}

/* In an order that does not depend on how they are configured: two runs never wait for each other. */
static int lock_volumes(SyncRun *run, Failure *failure) {
        SyncVolume **order = calloc(run->partitions.count + 1, sizeof(*order));
        size_t count = 0;
        int r = 0;

        if (!order)
                return -ENOMEM;
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0)
                        order[count++] = &run->volumes[i];
        qsort(order, count, sizeof(*order), compare_places);
        for (size_t i = 0; r >= 0 && i < count; i++)
                r = look(run, order[i], sync_volume_lock, failure);
        free(order);
        return r;
}

static int open_volumes(SyncRun *run, Failure *failure) {
        int r;

        r = partitions_open(run->context, &run->partitions, failure);
        if (r < 0)
                return r;
        run->volumes = calloc(run->partitions.count + 1, sizeof(*run->volumes));
        if (!run->volumes)
                return -ENOMEM;
        for (size_t i = 0; i < run->partitions.count; i++) {
                Partition *partition = &run->partitions.items[i];

                run->volumes[i].partition = partition;
                run->volumes[i].error = partition->error;
                failure_pass(&run->volumes[i].problem, &partition->problem, partition->error);
        }
        r = each(run, sync_volume_check, failure);
        if (r >= 0)
                r = lock_volumes(run, failure);
        return r < 0 ? r : check_any(run, failure);
}

/* Without a cache everything is read again: slower, and nothing worse. A dry run reads it and makes no folder. */
static int open_cache(SyncRun *run) {
        int root = run->context->root_fd;

        run->cache_folder = run->write->dry_run ? root_open(root, CACHE_FOLDER, O_RDONLY | O_DIRECTORY)
                                                : root_make_folder(root, CACHE_FOLDER, 0700);
        return run->cache_folder < 0 ? hash_cache_new(&run->cache) : hash_cache_load(run->cache_folder, &run->cache);
}

/* What all volumes have in common: which generations, which key, which stubs. */
static int choose(SyncRun *run, const SyncParameters *asked, Failure *failure) {
        const ToplevelRequest request = {asked->toplevel, asked->allow_unlisted};
        int r;

        r = builder_opening_new(run->context, &run->opening);
        if (r >= 0)
                r = system_choose(run->context, &request, &run->result->warnings, &run->choice, failure);
        if (r >= 0)
                r = builder_opening_take(run->opening, &run->builder, &run->result->warnings, failure);
        return r < 0 ? r : open_cache(run);
}

/* --- Planning -------------------------------------------------------------------------------------------------- */

static int work_out_with(SyncRun *run, const SyncParameters *asked, const KeptSecretsSearch *kept, Failure *failure) {
        const SecretsSupply secrets = {
                .context = run->context,
                .handed_in = &asked->secrets,
                .only_kept = run->garbage_only,
                .kept = *kept,
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

/* Secrets that stand on one volume are good for all. */
static int work_out_wanted(SyncRun *run, const SyncParameters *asked, Failure *failure) {
        KeptSecretsPlace *places = calloc(run->partitions.count + 1, sizeof(*places));
        KeptSecretsSearch kept = {.places = places, .certificate = sync_certificate(run)};
        int r;

        if (!places)
                return -ENOMEM;
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0)
                        places[kept.place_count++] =
                                (KeptSecretsPlace){&run->partitions.items[i].volume, &run->volumes[i].inventory};
        r = work_out_with(run, asked, &kept, failure);
        free(places);
        return r;
}

/* What one volume knows to have been confirmed good is so on all. */
static void choose_confirmed(SyncRun *run) {
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0)
                        confirmed_generations_choose(run->context, &run->volumes[i].inventory,
                                                     &run->choice.generations);
}

static int check_unsigned(const SyncRun *run, Failure *failure) {
        int r = 0;

        if (run->builder.signer || run->garbage_only)
                return 0;
        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0)
                        r = boot_check_unsigned(run->context, &run->partitions.items[i].volume, failure);
        return r;
}

static int plan_with_images(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        return volume->partition->has_images ? sync_volume_plan(run, volume, failure) : 0;
}

static int plan_without_images(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        return volume->partition->has_images ? 0 : sync_volume_plan(run, volume, failure);
}

/* Whoever needs to know what becomes of the images comes after them. */
static int make_plans(SyncRun *run, Failure *failure) {
        int r;

        r = each(run, plan_with_images, failure);
        if (r < 0)
                return r;
        settle(run);
        r = each(run, plan_without_images, failure);
        if (r >= 0)
                r = each(run, sync_volume_check_default, failure);
        return r < 0 ? r : check_any(run, failure);
}

static int build_ahead(SyncRun *run) {
        const Plan **plans = calloc(run->partitions.count + 1, sizeof(*plans));
        size_t count = 0;
        int r;

        if (!plans)
                return -ENOMEM;
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0)
                        plans[count++] = &run->volumes[i].plan;
        r = run->write->dry_run ? 0 : wanted_system_build_ahead(&run->system, plans, count);
        free(plans);
        return r;
}

/* The key signs well. What it signs, the firmware takes on each volume or on none. */
static int check_boot(SyncRun *run, Failure *failure) {
        int r = builder_opening_check_key(run->opening, failure);

        run->system.keeps_built = run->partitions.count > 1;
        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++)
                if (run->volumes[i].error >= 0)
                        r = boot_check_plan(run->context, &run->system, &run->volumes[i].plan, failure);
        return r;
}

/* --- Carrying out ---------------------------------------------------------------------------------------------- */

static int take_part(SyncRun *run, SyncVolume *volume, VolumePart part, Failure *failure) {
        _cleanup_(failure_done) Failure problem = {};

        return volume->error < 0 ? 0 : note(volume, part(run, volume, &problem), &problem, failure);
}

/* In each home what is to be booted first, and then what boots it. */
static int write_home(SyncRun *run, size_t home, Failure *failure) {
        int r = 0;

        for (int images = 1; images >= 0; images--) {
                for (size_t i = 0; r >= 0 && i < run->partitions.count; i++) {
                        const Partition *partition = &run->partitions.items[i];

                        if (partition->home == home && partition->has_images == images)
                                r = take_part(run, &run->volumes[i], sync_volume_write, failure);
                }
                settle(run);
        }
        return r;
}

/* Nothing is removed before all is written: secrets may come from another volume. */
static int write_and_collect(SyncRun *run, Failure *failure) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++)
                if (run->partitions.items[i].home == i)
                        r = write_home(run, i, failure);
        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++)
                r = take_part(run, &run->volumes[i], sync_volume_collect, failure);
        return r;
}

static bool has_failed(const SyncRun *run) {
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error < 0)
                        return true;
        return false;
}

/* Not all that was planned was carried out. */
static bool has_failed_writing(const SyncRun *run) {
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->volumes[i].error < 0 && run->volumes[i].plan.step_count > 0)
                        return true;
        return false;
}

/* A remembered hash may be what was wrong: then the next run reads everything anew. */
static int keep_hashes(SyncRun *run) {
        int r;

        if (run->cache_folder < 0)
                return 0;
        if (has_failed_writing(run)) {
                unlinkat(run->cache_folder, HASH_CACHE_FILE, 0);
                return 0;
        }
        r = hash_cache_save(run->cache, run->cache_folder);
        return r >= 0 ? 0
                      : string_list_add_format(&run->result->warnings, "Cannot keep hashes in %s%s: %s",
                                               run->context->root, CACHE_FOLDER, strerror(-r));
}

static int carry_out(SyncRun *run, Failure *failure) {
        int r;

        if (run->write->dry_run)
                return 0;
        if (run->builder.signer) {
                r = key_store_remember(run->context->keys, failure);
                if (r < 0)
                        return r;
        }
        r = write_and_collect(run, failure);
        if (r >= 0)
                r = keep_hashes(run);
        return r < 0 ? r : check_any(run, failure);
}

/* --- The firmware's boot order --------------------------------------------------------------------------------- */

static void note_booting(SyncRun *run, size_t home) {
        for (size_t i = 0; i < run->partitions.count; i++)
                if (run->partitions.items[i].home == home)
                        run->partitions.items[i].boots = true;
}

/* A firmware that takes none starts the fallback: that is worth a warning, and no failure. */
static int keep_boot_option(SyncRun *run, size_t home, const EspVolume *behind) {
        SyncVolume *volume = &run->volumes[home];
        const EspVolume *esp = &volume->partition->volume;
        _cleanup_(failure_done) Failure problem = {};
        int r;

        r = boot_option_keep(run->context, esp, behind, run->write->dry_run, &volume->boot_option, &problem);
        if (r > 0)
                note_booting(run, home);
        if (r >= 0 || r == -ENOMEM)
                return r;
        return string_list_add_format(&run->result->warnings,
                                      "The boot order has no entry for %s: %s. With BootEntry=no none is tried for",
                                      esp->path, problem.message ?: strerror(-r));
}

/* Each behind the one before: a further ESP is there for when that fails. Where variables cannot be written, or are not
 * this system's, the order is left to whoever can. */
static int keep_boot_options(SyncRun *run) {
        const Context *context = run->context;
        _cleanup_(failure_done) Failure read_only = {};
        const EspVolume *behind = NULL;
        int r = 0;

        if (run->garbage_only || context->settings->boot_entry != SETTINGS_AUTO || !context->variables ||
            variables_check_writable(context->variables, &read_only) < 0)
                return 0;
        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++) {
                const Partition *partition = &run->partitions.items[i];

                if (partition->role != VOLUME_ESP || run->volumes[i].error < 0 || partition->volume.place.number == 0)
                        continue;
                r = keep_boot_option(run, i, behind);
                behind = &partition->volume;
        }
        return r;
}

/* --- Reporting ------------------------------------------------------------------------------------------------- */

static int add_warnings(const StringList *from, SyncResult *result) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < from->count; i++)
                if (!string_list_contains(&result->warnings, from->items[i]))
                        r = string_list_add(&result->warnings, from->items[i]);
        return r;
}

static int report_volume(SyncRun *run, SyncVolume *volume) {
        const char *hint = failure_hint(&volume->problem);
        int r;

        r = sync_volume_report(run, volume);
        if (r >= 0 && volume->error < 0 && !volume->follows)
                r = string_list_add_format(&run->result->warnings, "%s is not up to date: %s%s%s",
                                           volume->partition->path ?: "The EFI system partition",
                                           volume->problem.message ?: "", hint ? ". " : "", hint ?: "");
        return r < 0 ? r : add_warnings(&volume->plan.warnings, run->result);
}

static int report(SyncRun *run) {
        bool in_part = run->system.in_part || has_failed(run);
        int r;

        r = add_warnings(&run->partitions.warnings, run->result);
        if (r >= 0)
                r = add_warnings(&run->system.warnings, run->result);
        for (size_t i = 0; r >= 0 && i < run->partitions.count; i++) {
                r = report_volume(run, &run->volumes[i]);
                in_part = in_part || run->volumes[i].in_part;
        }
        return r < 0 ? r : in_part ? OPERATION_IN_PART : 0;
}

static int synchronise_volumes(SyncRun *run, const SyncParameters *asked, Failure *failure) {
        int r;

        r = open_volumes(run, failure);
        if (r >= 0)
                r = choose(run, asked, failure);
        if (r >= 0)
                r = each(run, sync_volume_read, failure);
        if (r >= 0)
                r = check_any(run, failure);
        if (r >= 0)
                choose_confirmed(run);
        if (r >= 0)
                r = work_out_wanted(run, asked, failure);
        if (r >= 0)
                r = check_unsigned(run, failure);
        if (r >= 0)
                r = make_plans(run, failure);
        if (r >= 0)
                r = build_ahead(run);
        if (r >= 0)
                r = check_boot(run, failure);
        if (r >= 0)
                r = carry_out(run, failure);
        if (r >= 0)
                r = keep_boot_options(run);
        return r < 0 ? r : report(run);
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
        int r;

        result->dry_run = asked->write.dry_run;
        if (!asked->write.dry_run) {
                r = context_lock_keys(context, &asked->write, failure);
                if (r < 0)
                        return r;
        }
        return synchronise_volumes(&run, asked, failure);
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
