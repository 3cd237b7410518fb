/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What came, or in a dry run would come, of sync and gc. */

#include "daemon/esp/apply.h"
#include "daemon/esp/esp-volume.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/record.h"

/* One volume's part. */
typedef struct SyncPartition {
        char *path;           /* mount point */
        char *partition_uuid; /* absent in a tree */
        char *default_entry;  /* the default's boot image, without boot counter; absent if it does not stand there */
        StringList images_written, images_removed;     /* file names */
        StringList contents_written, contents_removed; /* file names */
        StringList entries_removed;                    /* file names in loader/entries */
        StringList loaders_written;                    /* paths; loader/loader.conf too */
        StringList left_out;                           /* "generation 7": for want of room; with its specialisations */
        StringList left_alone; /* images of our form that are not provably ours: theirs is the decision of a person */
        uint64_t images_kept, contents_kept;
        uint64_t bytes_written, bytes_removed;
} SyncPartition;

typedef struct SyncResult {
        bool dry_run;
        RecordList partitions;
        StringList warnings;
} SyncResult;

extern const Record sync_result_record;

/* Appends a volume: what the plan would do, or what was done. -ENOMEM. */
int sync_result_add_plan(SyncResult *result, const EspVolume *volume, const Plan *plan);
int sync_result_add_applied(SyncResult *result, const EspVolume *volume, const Plan *plan, ApplyResult *done);
