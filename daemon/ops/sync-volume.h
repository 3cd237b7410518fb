/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run of sync or gc: what it holds for all volumes, and what it holds for each. */

#include "daemon/boot/hash-cache.h"
#include "daemon/esp/apply.h"
#include "daemon/esp/inventory.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/builder-opening.h"
#include "daemon/ops/context.h"
#include "daemon/ops/image-build.h"
#include "daemon/ops/parameters.h"
#include "daemon/ops/partitions.h"
#include "daemon/ops/sync-result.h"
#include "daemon/ops/system.h"
#include "daemon/ops/wanted-system.h"
#include "daemon/util/failure.h"

/* For one. */
typedef struct SyncVolume {
        Partition *partition;
        Inventory inventory;
        Wanted wanted; /* the run's, as far as it concerns this volume; borrows from that */
        Plan plan;
        ApplyResult done;
        char *boot_option; /* what is new in the firmware's boot order for it; NULL: nothing */
        int error;         /* negative: it is left as it is, or as far as it got, */
        Failure problem;
        bool follows; /* only because of another volume of its home */
        bool in_part; /* not all garbage was removed, a generation was left out, or a file cannot be written */
} SyncVolume;

/* For all. */
typedef struct SyncRun {
        Context *context;
        const WriteParameters *write;
        SyncResult *result;
        bool garbage_only, renew_stubs;
        PartitionList partitions;
        SyncVolume *volumes; /* one for each partition */
        int cache_folder;    /* negative: there is none */
        HashCache *cache;
        SystemChoice choice;
        BuilderOpening *opening;
        ImageBuilder builder;
        WantedSystem system; /* the same images and contents for each */
} SyncRun;

void sync_volume_done(SyncVolume *volume);

/* In this order; each fails for this volume alone. Whether it can be written to; locks it; reads what stands there,
 * which needs the choice and the builder; plans, after wanted_system_init() and, where its images stand on another
 * volume, after that; asks whether the default's image would start that stays; writes; removes what is left. */
int sync_volume_check(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_lock(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_read(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_plan(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_check_default(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_write(SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_collect(SyncRun *run, SyncVolume *volume, Failure *failure);

/* Puts into the result what came of it. -ENOMEM. */
int sync_volume_report(SyncRun *run, SyncVolume *volume);

/* Of the key that signs; NULL: there is none. */
Certificate *sync_certificate(const SyncRun *run);
