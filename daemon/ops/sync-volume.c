/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync-volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ops/boot-check.h"
#include "daemon/ops/image-facts.h"
#include "daemon/pe/authenticode.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define ARCHITECTURE "x64"
#define STORE_FOLDER "/nix/store"

void sync_volume_done(SyncVolume *volume) {
        free(volume->boot_option);
        apply_result_done(&volume->done);
        plan_done(&volume->plan);
        inventory_done(&volume->inventory);
        failure_done(&volume->problem);
}

Certificate *sync_certificate(const SyncRun *run) {
        return run->builder.signer ? signer_certificate(run->builder.signer) : NULL;
}

int sync_volume_check(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        return run->write->dry_run ? 0 : esp_volume_check_writable(&volume->partition->volume, failure);
}

int sync_volume_lock(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        const EspVolume *esp = &volume->partition->volume;
        int r;

        if (run->write->dry_run)
                return 0;
        r = context_lock_folder(run->context, esp->fd, esp->path, run->write, failure);
        if (r == condition_errno(CONDITION_BUSY) && esp->world_readable)
                failure_set_hint(
                        failure,
                        "Run this again when the other operation has ended, or wait longer with '--timeout'. Where %s "
                        "can be read by others, anybody can hold that lock: 'lslocks' shows who does; mount it with "
                        "the options umask=0077.",
                        esp->path);
        return r;
}

typedef struct VerifiedBinary {
        Buffer bytes;
        int verdict; /* of authenticode_verify() */
} VerifiedBinary;

/* The same bytes, which is what both places usually hold, are verified once. */
static int verify_binary(Buffer *bytes, Certificate *certificate, VerifiedBinary *last) {
        if (last->bytes.size == 0 || !span_equal(buffer_span(bytes), buffer_span(&last->bytes))) {
                buffer_done(&last->bytes);
                last->bytes = TAKE_STRUCT(*bytes);
                last->verdict = authenticode_verify(buffer_span(&last->bytes), certificate);
        }
        return last->verdict;
}

/* A boot loader that says it is signed by us, and whose signature is not good any more, is damaged: it would not run.
 */
static int verify_loaders(const SyncRun *run, SyncVolume *volume) {
        VerifiedBinary last = {};
        int r = 0;

        for (LoaderPlace place = 0; place < LOADER_PLACES && r != -ENOMEM; place++) {
                EspLoader *loader = &volume->inventory.loaders[place];
                _cleanup_(buffer_done) Buffer bytes = {};

                if (loader->error < 0 || !loader->signed_by_current)
                        continue;
                r = file_read(volume->partition->volume.fd, loader->path, BINARY_MAX_BYTES, &bytes);
                if (r >= 0)
                        r = verify_binary(&bytes, signer_certificate(run->builder.signer), &last);
                if (r < 0)
                        loader->error = r;
        }
        buffer_done(&last.bytes);
        return r == -ENOMEM ? r : 0;
}

int sync_volume_read(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        ImageFactsReader reader = {
                .keys = run->context->keys,
                .current = sync_certificate(run),
                .stubs = run->renew_stubs ? run->builder.stubs : NULL,
                .generations = &run->choice.generations,
        };
        InventoryParameters parameters = {
                .read_image = image_facts_read,
                .userdata = &reader,
                .token = run->context->settings->entry_token,
                .architecture = ARCHITECTURE,
        };
        int r;

        r = inventory_read(volume->partition->volume.fd, &parameters, &volume->inventory, failure);
        return r < 0 ? r : verify_loaders(run, volume);
}

static int check_privacy(const SyncRun *run, const SyncVolume *volume, Failure *failure) {
        const EspVolume *esp = &volume->partition->volume;

        if (!esp->world_readable || !volume->partition->has_images || !run->system.has_secrets || run->garbage_only)
                return 0;
        if (run->context->settings->strict_permissions)
                return failure_set(failure, CONDITION_ESP_NOT_PRIVATE,
                                   "%s can be read by others, and initrd secrets belong there", esp->path);
        return string_list_add_format(&run->result->warnings,
                                      "%s can be read by others, and initrd secrets stand on it; mount it with the "
                                      "options umask=0077",
                                      esp->path);
}

/* Another volume of the same home where the images stand, or where they do not belong; NULL if there is none. */
static const SyncVolume *find_mate(const SyncRun *run, const SyncVolume *volume, bool has_images) {
        const PartitionList *list = &run->partitions;

        for (size_t i = 0; i < list->count; i++)
                if (list->items[i].home == volume->partition->home && &run->volumes[i] != volume &&
                    list->items[i].has_images == has_images)
                        return &run->volumes[i];
        return NULL;
}

/* The run's wish list, as it concerns this volume. */
static void look_at_wanted(const SyncRun *run, SyncVolume *volume) {
        const Partition *partition = volume->partition;
        const SyncVolume *mate = find_mate(run, volume, !partition->has_images);
        Wanted *wanted = &volume->wanted;

        *wanted = run->system.wanted;
        if (mate && partition->has_images)
                wanted->images_formerly = &mate->inventory;
        else if (mate)
                wanted->images_elsewhere = &mate->plan;
        if (partition->role != VOLUME_ESP) {
                wanted->loader_version = NULL;
                wanted->has_loader_conf = false;
        }
        if (!partition_may_be_booted(&run->partitions, partition))
                wanted->booted_entry = wanted->booted_toplevel = NULL;
}

int sync_volume_plan(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        const EspVolume *esp = &volume->partition->volume;
        const VolumeSpace space = {.free_bytes = esp->free_bytes, .cluster_bytes = esp->cluster_bytes};
        int r;

        look_at_wanted(run, volume);
        r = plan_make(&volume->inventory, &volume->wanted, space, &volume->plan, failure);
        volume->in_part = volume->plan.left_out.count > 0 || volume->plan.blocked;
        return r < 0 ? r : check_privacy(run, volume, failure);
}

int sync_volume_check_default(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        return run->garbage_only ? 0
                                 : boot_check_default(run->context, &volume->partition->volume, &volume->plan, failure);
}

/* What is to be durable before an image names it. */
typedef struct DurableFolders {
        int fds[1 + 64];
        size_t count;
} DurableFolders;

static void durable_folders_done(DurableFolders *folders) {
        while (folders->count > 0)
                close_fd(&folders->fds[--folders->count]);
}

static void durable_folders_open(DurableFolders *folders, const Context *context) {
        const StringList *profiles = &context->settings->profiles;

        for (size_t i = 0; i <= profiles->count && folders->count < ARRAY_LENGTH(folders->fds); i++) {
                const char *path = i == 0 ? STORE_FOLDER : profiles->items[i - 1];

                folders->fds[folders->count] = root_open(context->root_fd, path, O_RDONLY | O_DIRECTORY);
                if (folders->fds[folders->count] >= 0)
                        folders->count++;
        }
}

typedef int (*ApplyPart)(EspIo *io, const Wanted *wanted, const Plan *plan, const ApplySources *sources,
                         ApplyResult *result, Failure *failure);

static int apply(SyncRun *run, SyncVolume *volume, ApplyPart part, Failure *failure) {
        _cleanup_(durable_folders_done) DurableFolders durable = {};
        ApplySources sources = wanted_system_sources(&run->system);
        EspSystemIo io;

        durable_folders_open(&durable, run->context);
        sources.durable_fds = durable.fds;
        sources.durable_count = durable.count;
        esp_system_io_init(&io, volume->partition->volume.fd);
        return part(&io.io, &volume->wanted, &volume->plan, &sources, &volume->done, failure);
}

int sync_volume_write(SyncRun *run, SyncVolume *volume, Failure *failure) {
        return apply(run, volume, apply_writes, failure);
}

int sync_volume_collect(SyncRun *run, SyncVolume *volume, Failure *failure) {
        _cleanup_(failure_done) Failure problem = {};
        int r;

        r = apply(run, volume, apply_garbage, &problem);
        if (r >= 0 || r == -ENOMEM)
                return r;
        /* The machine boots what it should; what is left over is for the next run. */
        volume->in_part = true;
        return string_list_add_format(&run->result->warnings,
                                      "Not all that nothing needs any more was removed from %s: %s",
                                      volume->partition->path, problem.message ?: strerror(-r));
}

int sync_volume_report(SyncRun *run, SyncVolume *volume) {
        SyncPartition *partition;
        int r;

        if (!volume->partition->has_images)
                volume->plan.default_image = NULL;
        r = sync_result_add(run->result, volume->partition, &partition);
        if (r >= 0 && volume->error < 0)
                r = sync_result_set_problem(partition, &volume->problem);
        if (r >= 0 && run->write->dry_run)
                r = sync_result_set_plan(partition, &volume->plan);
        else if (r >= 0)
                r = sync_result_set_applied(partition, &volume->plan, &volume->done);
        if (r >= 0)
                partition->boot_entry = TAKE_POINTER(volume->boot_option);
        return r;
}
