/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync-result.h"

#include <errno.h>
#include <string.h>

#include "daemon/util/macro.h"

static const Field partition_fields[] = {
        FIELD(SyncPartition, path, FIELD_STRING, "path"),
        FIELD(SyncPartition, partition_uuid, FIELD_STRING, "partition-uuid"),
        FIELD(SyncPartition, default_entry, FIELD_STRING, "default-entry"),
        FIELD(SyncPartition, images_written, FIELD_STRINGS, "images-written"),
        FIELD(SyncPartition, images_kept, FIELD_UNSIGNED, "images-kept"),
        FIELD(SyncPartition, images_removed, FIELD_STRINGS, "images-removed"),
        FIELD(SyncPartition, entries_removed, FIELD_STRINGS, "entries-removed"),
        FIELD(SyncPartition, contents_written, FIELD_STRINGS, "contents-written"),
        FIELD(SyncPartition, contents_kept, FIELD_UNSIGNED, "contents-kept"),
        FIELD(SyncPartition, contents_removed, FIELD_STRINGS, "contents-removed"),
        FIELD(SyncPartition, loaders_written, FIELD_STRINGS, "loaders-written"),
        FIELD(SyncPartition, left_out, FIELD_STRINGS, "left-out"),
        FIELD(SyncPartition, left_alone, FIELD_STRINGS, "left-alone"),
        FIELD(SyncPartition, bytes_written, FIELD_UNSIGNED, "bytes-written"),
        FIELD(SyncPartition, bytes_removed, FIELD_UNSIGNED, "bytes-removed"),
};

static const Record partition_record = RECORD(SyncPartition, partition_fields);

static const Field result_fields[] = {
        FIELD(SyncResult, dry_run, FIELD_BOOLEAN, "dry-run"),
        FIELD_LIST(SyncResult, partitions, partition_record, "partitions"),
        FIELD(SyncResult, warnings, FIELD_STRINGS, "warnings"),
};

const Record sync_result_record = RECORD(SyncResult, result_fields);

static int add_partition(SyncResult *result, const EspVolume *volume, const Plan *plan, SyncPartition **ret) {
        SyncPartition *partition = record_list_add(&result->partitions, &partition_record);

        if (!partition)
                return -ENOMEM;
        partition->path = strdup(volume->path);
        if (volume->partition_uuid[0])
                partition->partition_uuid = strdup(volume->partition_uuid);
        if (plan->default_image)
                partition->default_entry = strdup(plan->default_image->name);
        if (!partition->path || (volume->partition_uuid[0] && !partition->partition_uuid) ||
            (plan->default_image && !partition->default_entry))
                return -ENOMEM;
        partition->images_kept = plan->images_kept;
        partition->contents_kept = plan->contents_kept;
        for (size_t i = 0; i < plan->left_out.count; i++)
                if (string_list_add(&partition->left_out, plan->left_out.items[i]) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < plan->left_alone.count; i++)
                if (string_list_add(&partition->left_alone, plan->left_alone.items[i]) < 0)
                        return -ENOMEM;
        *ret = partition;
        return 0;
}

static const char *file_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int add_step(SyncPartition *partition, const Step *step) {
        switch (step->kind) {
        case STEP_WRITE_CONTENT:
                return string_list_add(&partition->contents_written, file_name(step->path));
        case STEP_WRITE_IMAGE:
                return string_list_add(&partition->images_written, file_name(step->path));
        case STEP_WRITE_LOADER:
        case STEP_WRITE_FALLBACK:
        case STEP_WRITE_LOADER_CONF:
                return string_list_add(&partition->loaders_written, step->path);
        case STEP_REMOVE_IMAGE:
                return string_list_add(&partition->images_removed, file_name(step->path));
        case STEP_REMOVE_ENTRY:
                return string_list_add(&partition->entries_removed, file_name(step->path));
        case STEP_REMOVE_CONTENT:
                return string_list_add(&partition->contents_removed, file_name(step->path));
        default:
                return 0;
        }
}

int sync_result_add_plan(SyncResult *result, const EspVolume *volume, const Plan *plan) {
        SyncPartition *partition;
        int r;

        r = add_partition(result, volume, plan, &partition);
        for (size_t i = 0; r >= 0 && i < plan->step_count; i++)
                r = add_step(partition, &plan->steps[i]);
        if (r < 0)
                return r;
        partition->bytes_written = plan->takes;
        partition->bytes_removed = plan->frees;
        return 0;
}

int sync_result_add_applied(SyncResult *result, const EspVolume *volume, const Plan *plan, ApplyResult *done) {
        SyncPartition *partition;
        int r;

        r = add_partition(result, volume, plan, &partition);
        if (r < 0)
                return r;
        partition->images_written = TAKE_STRUCT(done->images_written);
        partition->images_removed = TAKE_STRUCT(done->images_removed);
        partition->entries_removed = TAKE_STRUCT(done->entries_removed);
        partition->contents_written = TAKE_STRUCT(done->contents_written);
        partition->contents_removed = TAKE_STRUCT(done->contents_removed);
        partition->loaders_written = TAKE_STRUCT(done->loaders_written);
        partition->bytes_written = done->bytes_written;
        partition->bytes_removed = done->bytes_removed;
        return 0;
}
