/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What came, or in a dry run would come, of sync and gc. */

#include "daemon/esp/apply.h"
#include "daemon/esp/plan.h"
#include "daemon/ops/partitions.h"
#include "daemon/ops/record.h"
#include "daemon/util/failure.h"

/* One volume's part. */
typedef struct SyncPartition {
        char *path;           /* mount point; absent if none is configured and none was found */
        char *partition_uuid; /* absent in a tree, and if it was not found */
        char *role;           /* "esp", "xbootldr" */
        bool boots;           /* the firmware starts the boot loader that leads here, as far as can be told */
        char *problem, *hint; /* why it was not brought up to date, and what to do about that; absent if it was */
        char *error;          /* the problem's name, "EspFull" */
        char *default_entry;  /* the default's boot image, without boot counter; absent if it can't be booted from here
                               */
        StringList images_written, images_removed;     /* file names */
        StringList contents_written, contents_removed; /* file names */
        StringList entries_removed;                    /* file names in loader/entries */
        StringList loaders_written;                    /* paths; loader/loader.conf too */
        char *boot_entry;                              /* variable, new in the boot order; absent: that stays */
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

/* Appends a volume; valid until the next one is. Then what kept it from being brought up to date, if anything did; and
 * what the plan would do, or what was done. -ENOMEM. */
int sync_result_add(SyncResult *result, const Partition *partition, SyncPartition **ret);
int sync_result_set_problem(SyncPartition *partition, const Failure *problem);
int sync_result_set_plan(SyncPartition *partition, const Plan *plan);
int sync_result_set_applied(SyncPartition *partition, const Plan *plan, ApplyResult *done);
