/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync-volume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ops/image-facts.h"
#include "daemon/pe/authenticode.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define ARCHITECTURE "x64"
#define STORE_FOLDER "/nix/store"

void sync_volume_done(SyncVolume *volume) {
        plan_done(&volume->plan);
        inventory_done(&volume->inventory);
        if (volume->volume.path)
                esp_volume_done(&volume->volume);
        *volume = (SyncVolume){};
}

Certificate *sync_certificate(const SyncRun *run) {
        return run->builder.signer ? signer_certificate(run->builder.signer) : NULL;
}

int sync_volume_open(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        int r;

        r = system_esp(run->context, &volume->volume, failure);
        if (r < 0)
                return r;
        if (run->write->dry_run)
                return 0;
        r = esp_volume_check_writable(&volume->volume, failure);
        if (r < 0)
                return r;
        r = context_lock_folder(run->context, volume->volume.fd, volume->volume.path, run->write, failure);
        if (r == condition_errno(CONDITION_BUSY) && volume->volume.world_readable)
                failure_set_hint(
                        failure,
                        "Run this again when the other operation has ended, or wait longer with '--timeout'. Where %s "
                        "can be read by others, anybody can hold that lock: 'lslocks' shows who does; mount it with "
                        "the options umask=0077.",
                        volume->volume.path);
        return r;
}

/* A boot loader that says it is signed by us, and whose signature is not good any more, is damaged: it would not run.
 */
static int verify_loaders(const SyncRun *run, SyncVolume *volume) {
        for (LoaderPlace place = 0; place < LOADER_PLACES; place++) {
                EspLoader *loader = &volume->inventory.loaders[place];
                _cleanup_(buffer_done) Buffer binary = {};
                int r;

                if (loader->error < 0 || !loader->signed_by_current)
                        continue;
                r = file_read(volume->volume.fd, loader->path, BINARY_MAX_BYTES, &binary);
                if (r >= 0)
                        r = authenticode_verify(buffer_span(&binary), signer_certificate(run->builder.signer));
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        loader->error = r;
        }
        return 0;
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

        r = inventory_read(volume->volume.fd, &parameters, &volume->inventory, failure);
        return r < 0 ? r : verify_loaders(run, volume);
}

static int check_privacy(const SyncRun *run, const SyncVolume *volume, Failure *failure) {
        if (!volume->volume.world_readable || !run->system.has_secrets || run->system.wanted.garbage_only)
                return 0;
        if (run->context->settings->strict_permissions)
                return failure_set(failure, CONDITION_ESP_NOT_PRIVATE,
                                   "%s can be read by others, and initrd secrets belong there", volume->volume.path);
        return string_list_add_format(&run->result->warnings,
                                      "%s can be read by others, and initrd secrets stand on it; mount it with the "
                                      "options umask=0077",
                                      volume->volume.path);
}

int sync_volume_plan(const SyncRun *run, SyncVolume *volume, Failure *failure) {
        const VolumeSpace space = {.free_bytes = volume->volume.free_bytes,
                                   .cluster_bytes = volume->volume.cluster_bytes};
        int r;

        r = plan_make(&volume->inventory, &run->system.wanted, space, &volume->plan, failure);
        return r < 0 ? r : check_privacy(run, volume, failure);
}

/* Makes durable what images will name, then carries the plan out. */
static int apply(SyncRun *run, SyncVolume *volume, ApplyResult *ret, Failure *failure) {
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

        esp_system_io_init(&io, volume->volume.fd);
        r = apply_plan(&io.io, &run->system.wanted, &volume->plan, &sources, ret, failure);
        while (count > 0)
                close_fd(&durable[--count]);
        return r;
}

int sync_volume_apply(SyncRun *run, SyncVolume *volume, Failure *failure) {
        _cleanup_(apply_result_done) ApplyResult done = {};
        _cleanup_(failure_done) Failure problem = {};
        int r;

        volume->in_part = volume->plan.left_out.count > 0 || volume->plan.blocked;
        if (run->write->dry_run)
                return sync_result_add_plan(run->result, &volume->volume, &volume->plan);
        r = apply(run, volume, &done, &problem);
        if (r < 0 && !done.all_written)
                return failure_pass(failure, &problem, r);
        /* The machine boots what it should; what is left over is for the next run. */
        volume->in_part = volume->in_part || r < 0;
        if (r < 0)
                r = string_list_add_format(&run->result->warnings,
                                           "Not all that nothing needs any more was removed: %s",
                                           problem.message ?: strerror(-r));
        return r < 0 ? r : sync_result_add_applied(run->result, &volume->volume, &volume->plan, &done);
}
