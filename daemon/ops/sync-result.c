/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/sync-result.h"

#include <errno.h>
#include <string.h>

#include "daemon/util/macro.h"

static const Field partition_fields[] = {
        FIELD(SyncPartition, path, FIELD_STRING, "path"),
        FIELD(SyncPartition, partition_uuid, FIELD_STRING, "partition-uuid"),
        FIELD(SyncPartition, role, FIELD_STRING, "role"),
        FIELD(SyncPartition, boots, FIELD_BOOLEAN, "boots"),
        FIELD(SyncPartition, problem, FIELD_STRING, "problem"),
        FIELD(SyncPartition, hint, FIELD_STRING, "hint"),
        FIELD(SyncPartition, error, FIELD_STRING, "error"),
        FIELD(SyncPartition, default_entry, FIELD_STRING, "default-entry"),
        FIELD(SyncPartition, images_written, FIELD_STRINGS, "images-written"),
        FIELD(SyncPartition, images_kept, FIELD_UNSIGNED, "images-kept"),
        FIELD(SyncPartition, images_removed, FIELD_STRINGS, "images-removed"),
        FIELD(SyncPartition, entries_removed, FIELD_STRINGS, "entries-removed"),
        FIELD(SyncPartition, contents_written, FIELD_STRINGS, "contents-written"),
        FIELD(SyncPartition, contents_kept, FIELD_UNSIGNED, "contents-kept"),
        FIELD(SyncPartition, contents_removed, FIELD_STRINGS, "contents-removed"),
        FIELD(SyncPartition, loaders_written, FIELD_STRINGS, "loaders-written"),
        FIELD(SyncPartition, boot_entry, FIELD_STRING, "boot-entry"),
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

static int set_text(char **place, const char *text) {
        if (!text || !*text)
                return 0;
        *place = strdup(text);
        return *place ? 0 : -ENOMEM;
}

int sync_result_add(SyncResult *result, const Partition *found, SyncPartition **ret) {
        SyncPartition *partition = record_list_add(&result->partitions, &partition_record);
        int r;

        if (!partition)
                return -ENOMEM;
        partition->boots = found->boots;
        r = set_text(&partition->path, found->path);
        if (r >= 0)
                r = set_text(&partition->role, partition_role_name(found));
        if (r >= 0 && found->error >= 0)
                r = set_text(&partition->partition_uuid, found->volume.partition_uuid);
        if (r < 0)
                return r;
        *ret = partition;
        return 0;
}

int sync_result_set_problem(SyncPartition *partition, const Failure *problem) {
        int r;

        r = set_text(&partition->problem, problem->message);
        if (r >= 0)
                r = set_text(&partition->hint, failure_hint(problem));
        return r < 0 ? r : set_text(&partition->error, condition_name(problem->condition));
}

/* What was planned, whatever became of it. */
static int set_planned(SyncPartition *partition, const Plan *plan) {
        int r = 0;

        if (plan->default_image && !partition->problem)
                r = set_text(&partition->default_entry, plan->default_image->name);
        partition->images_kept = plan->images_kept;
        partition->contents_kept = plan->contents_kept;
        for (size_t i = 0; r >= 0 && i < plan->left_out.count; i++)
                r = string_list_add(&partition->left_out, plan->left_out.items[i]);
        for (size_t i = 0; r >= 0 && i < plan->left_alone.count; i++)
                r = string_list_add(&partition->left_alone, plan->left_alone.items[i]);
        return r;
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

int sync_result_set_plan(SyncPartition *partition, const Plan *plan) {
        int r;

        r = set_planned(partition, plan);
        for (size_t i = 0; r >= 0 && i < plan->step_count; i++)
                r = add_step(partition, &plan->steps[i]);
        if (r < 0)
                return r;
        partition->bytes_written = plan->takes;
        partition->bytes_removed = plan->frees;
        return 0;
}

int sync_result_set_applied(SyncPartition *partition, const Plan *plan, ApplyResult *done) {
        int r;

        r = set_planned(partition, plan);
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
