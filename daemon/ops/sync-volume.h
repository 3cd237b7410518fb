/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run of sync or gc: what it holds for all volumes, and what it holds for each. */

#include "daemon/boot/hash-cache.h"
#include "daemon/esp/apply.h"
#include "daemon/esp/esp-volume.h"
#include "daemon/esp/inventory.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/context.h"
#include "daemon/ops/image-build.h"
#include "daemon/ops/parameters.h"
#include "daemon/ops/sync-result.h"
#include "daemon/ops/system.h"
#include "daemon/ops/wanted-system.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

/* For all volumes. */
typedef struct SyncRun {
        Context *context;
        const WriteParameters *write;
        SyncResult *result;
        bool garbage_only, renew_stubs;
        int cache_folder; /* negative: there is none */
        HashCache *cache;
        SystemChoice choice;
        ImageBuilder builder;
        WantedSystem system; /* the same images and contents on each */
} SyncRun;

/* For one. */
typedef struct SyncVolume {
        EspVolume volume;
        Inventory inventory;
        Plan plan;
        bool in_part; /* not all garbage was removed, a generation was left out, or a file cannot be written */
} SyncVolume;

void sync_volume_done(SyncVolume *volume);

/* In this order. Opens the volume and, unless it is a dry run, locks it; reads what stands there, which needs the
 * choice and the builder; plans, after wanted_system_init(); carries the plan out, or puts it into the result if it is
 * a dry run. */
int sync_volume_open(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_read(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_plan(const SyncRun *run, SyncVolume *volume, Failure *failure);
int sync_volume_apply(SyncRun *run, SyncVolume *volume, Failure *failure);

/* Of the key that signs; NULL: there is none. */
Certificate *sync_certificate(const SyncRun *run);
