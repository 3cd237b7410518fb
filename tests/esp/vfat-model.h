/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A model of vfat as far as power cuts go, behind the operations that apply uses.
 *
 * The disk is a list of names, each with a size and its clusters; the clusters' bytes; and the allocation table. What
 * an operation changes of these is a record. Records before a barrier are durable; of those behind the last barrier a
 * cut keeps any, in any order. So a cut can show a file's entry without its bytes, or its bytes without the table; and
 * a rename, whose two entries are two records, both names or neither, or (since Linux makes the new entry empty and
 * fills it in later) an empty file, or one with its short name only.
 *
 * Free clusters are handed out lowest first, so that what was freed is reused at once. Freeing a cluster that is free
 * is what Linux calls a file system error: the volume turns read-only. */

#include "tests/esp/esp-fixture.h"

enum { MODEL_CLUSTER = 256, MODEL_CLUSTERS = 512, MODEL_FILES = 64, MODEL_FILE_CLUSTERS = 16 };

typedef struct ModelEntry {
        unsigned size, n_clusters;
        uint16_t clusters[MODEL_FILE_CLUSTERS];
} ModelEntry;

typedef struct ModelName {
        char *path; /* NULL: a free place */
        ModelEntry entry;
} ModelName;

typedef struct ModelDisk {
        ModelName names[MODEL_FILES];
        uint8_t bytes[MODEL_CLUSTERS][MODEL_CLUSTER];
        bool allocated[MODEL_CLUSTERS];
} ModelDisk;

typedef enum ModelChange {
        MODEL_SET_NAME,
        MODEL_REMOVE_NAME,
        MODEL_BYTES,
        MODEL_ALLOCATE,
        MODEL_FREE,
        MODEL_BARRIER,
} ModelChange;

typedef struct ModelRecord {
        ModelChange change;
        char *path;       /* of a name */
        ModelEntry entry; /* MODEL_SET_NAME */
        bool renamed;     /* MODEL_SET_NAME by a rename */
        unsigned cluster;
        uint8_t bytes[MODEL_CLUSTER];
} ModelRecord;

/* A file that has a name or is open. */
struct EspFile {
        char *path; /* NULL: removed or replaced */
        ModelEntry entry;
        unsigned opened;
};

typedef struct Model {
        EspIo io;
        ModelDisk start;                /* all of it durable */
        GPtrArray *log;                 /* of ModelRecord */
        GPtrArray *files;               /* of EspFile */
        GPtrArray *folders;             /* those that were made; others are there if they hold a file */
        bool allocated[MODEL_CLUSTERS]; /* as the running system sees it */
        bool read_only;
        unsigned errors; /* file system errors */
} Model;

/* --- The disk ------------------------------------------------------------------------------------------------- */

static inline void model_disk_done(ModelDisk *disk) {
        for (unsigned i = 0; i < MODEL_FILES; i++)
                g_free(disk->names[i].path);
        *disk = (ModelDisk){};
}

static inline ModelName *model_disk_find(ModelDisk *disk, const char *path) {
        for (unsigned i = 0; i < MODEL_FILES; i++)
                if (disk->names[i].path && fat_name_equal(disk->names[i].path, path))
                        return &disk->names[i];
        return NULL;
}

static inline void model_disk_set(ModelDisk *disk, const char *path, const ModelEntry *entry) {
        ModelName *name = model_disk_find(disk, path);

        for (unsigned i = 0; !name && i < MODEL_FILES; i++)
                if (!disk->names[i].path) {
                        name = &disk->names[i];
                        name->path = g_strdup(path);
                }
        g_assert_nonnull(name);
        name->entry = *entry;
}

static inline void model_disk_remove(ModelDisk *disk, const char *path) {
        ModelName *name = model_disk_find(disk, path);

        if (name)
                g_clear_pointer(&name->path, g_free);
}

static inline void model_disk_copy(const ModelDisk *from, ModelDisk *to) {
        *to = *from;
        for (unsigned i = 0; i < MODEL_FILES; i++)
                to->names[i].path = g_strdup(from->names[i].path);
}

/* Whether all that the entry claims is allocated: else Linux refuses to read it. */
static inline bool model_disk_sound(const ModelDisk *disk, const ModelEntry *entry) {
        for (unsigned i = 0; i < entry->n_clusters; i++)
                if (!disk->allocated[entry->clusters[i]])
                        return false;
        return true;
}

/* The bytes of the file, as text; of one that can't be read, rubbish of its size. Owned. */
static inline char *model_disk_read(const ModelDisk *disk, const ModelEntry *entry) {
        GString *text = g_string_new(NULL);

        if (!model_disk_sound(disk, entry))
                for (unsigned i = 0; i < entry->size; i++)
                        g_string_append_c(text, '?');
        for (unsigned i = 0; i < entry->n_clusters && text->len < entry->size; i++)
                g_string_append_len(text, (const char *)disk->bytes[entry->clusters[i]],
                                    MIN(MODEL_CLUSTER, entry->size - text->len));
        return g_string_free(text, FALSE);
}

/* How a record turns out when it is kept. */
typedef enum ModelOutcome { MODEL_WHOLE, MODEL_EMPTY, MODEL_SHORT_NAME } ModelOutcome;

static inline void model_disk_apply(ModelDisk *disk, const ModelRecord *record, ModelOutcome outcome) {
        switch (record->change) {
        case MODEL_SET_NAME:
                if (outcome == MODEL_SHORT_NAME && record->renamed && !model_disk_find(disk, record->path)) {
                        g_autofree char *folder = g_path_get_dirname(record->path);
                        g_autofree char *alias = g_strdup_printf("%s/ALIAS~%u.EFI", folder, record->entry.clusters[0]);

                        model_disk_set(disk, alias, &record->entry);
                } else
                        model_disk_set(disk, record->path, outcome == MODEL_EMPTY ? &(ModelEntry){} : &record->entry);
                break;
        case MODEL_REMOVE_NAME:
                model_disk_remove(disk, record->path);
                break;
        case MODEL_BYTES:
                memcpy(disk->bytes[record->cluster], record->bytes, MODEL_CLUSTER);
                break;
        case MODEL_ALLOCATE:
        case MODEL_FREE:
                disk->allocated[record->cluster] = record->change == MODEL_ALLOCATE;
                break;
        case MODEL_BARRIER:
                break;
        }
}

/* What fsck.vfat -a does: of two files that share clusters one loses its content, as does one whose clusters are not
 * allocated; clusters of nobody become free. */
static inline void model_disk_check(ModelDisk *disk, GRand *random) {
        bool used[MODEL_CLUSTERS] = {};
        unsigned first = g_rand_int_range(random, 0, MODEL_FILES);

        for (unsigned i = 0; i < MODEL_FILES; i++) {
                ModelName *name = &disk->names[(first + i) % MODEL_FILES];
                bool bad = !model_disk_sound(disk, &name->entry);

                if (!name->path)
                        continue;
                for (unsigned j = 0; j < name->entry.n_clusters; j++)
                        bad = bad || used[name->entry.clusters[j]];
                if (bad)
                        name->entry = (ModelEntry){};
                for (unsigned j = 0; j < name->entry.n_clusters; j++)
                        used[name->entry.clusters[j]] = true;
        }
        memcpy(disk->allocated, used, sizeof(used));
}

/* --- Operations ----------------------------------------------------------------------------------------------- */

static inline Model *model_of(EspIo *io) {
        return (Model *)io;
}

static inline void model_record_free(void *pointer) {
        ModelRecord *record = pointer;

        g_free(record->path);
        g_free(record);
}

static inline void model_log(Model *model, const ModelRecord *record) {
        ModelRecord *copy = g_memdup2(record, sizeof(*record));

        copy->path = g_strdup(record->path);
        g_ptr_array_add(model->log, copy);
}

static inline EspFile *model_find(Model *model, const char *path) {
        for (unsigned i = 0; i < model->files->len; i++) {
                EspFile *file = model->files->pdata[i];

                if (file->path && fat_name_equal(file->path, path))
                        return file;
        }
        return NULL;
}

/* Frees a file that nobody refers to any more. */
static inline void model_release(Model *model, EspFile *file) {
        if (file->path || file->opened > 0)
                return;
        for (unsigned i = 0; i < file->entry.n_clusters && !model->read_only; i++) {
                unsigned cluster = file->entry.clusters[i];

                if (!model->allocated[cluster]) {
                        model->errors++;
                        model->read_only = true;
                        break;
                }
                model->allocated[cluster] = false;
                model_log(model, &(ModelRecord){.change = MODEL_FREE, .cluster = cluster});
        }
        g_ptr_array_remove_fast(model->files, file);
        g_free(file);
}

static inline int model_make_folders(EspIo *io, const char *folder) {
        g_ptr_array_add(model_of(io)->folders, g_strdup(folder));
        return 0;
}

/* A file's folder is there, too; which folders a cut takes away is not modelled. */
static inline bool model_has_folder_of(const Model *model, const char *path) {
        size_t length = strrchr(path, '/') - path;

        for (size_t i = 0; i < model->folders->len; i++)
                if (strlen(model->folders->pdata[i]) == length && strncmp(model->folders->pdata[i], path, length) == 0)
                        return true;
        for (size_t i = 0; i < model->files->len; i++) {
                const EspFile *file = model->files->pdata[i];

                if (file->path && strncmp(file->path, path, length) == 0 && file->path[length] == '/' &&
                    !strchr(file->path + length + 1, '/'))
                        return true;
        }
        return false;
}

static inline int model_list(EspIo *io, const char *folder, StringList *ret) {
        Model *model = model_of(io);

        for (unsigned i = 0; i < model->files->len; i++) {
                EspFile *file = model->files->pdata[i];
                g_autofree char *parent = file->path ? g_path_get_dirname(file->path) : g_strdup("");

                if (fat_name_equal(parent, folder))
                        g_assert_cmpint(string_list_add(ret, strrchr(file->path, '/') + 1), ==, 0);
        }
        string_list_sort(ret);
        return 0;
}

static inline int model_create(EspIo *io, const char *path, EspFile **ret) {
        Model *model = model_of(io);
        EspFile *file;

        if (model->read_only)
                return -EROFS;
        if (model_find(model, path))
                return -EEXIST;
        if (!model_has_folder_of(model, path))
                return -ENOENT;
        file = g_new0(EspFile, 1);
        file->path = g_strdup(path);
        file->opened = 1;
        g_ptr_array_add(model->files, file);
        model_log(model, &(ModelRecord){.change = MODEL_SET_NAME, .path = (char *)path});
        *ret = file;
        return 0;
}

static inline int model_write(EspIo *io, EspFile *file, Span bytes) {
        Model *model = model_of(io);

        for (size_t offset = 0; offset < bytes.size; offset += MODEL_CLUSTER) {
                ModelRecord record = {.change = MODEL_BYTES};
                unsigned cluster = 0;

                if (model->read_only)
                        return -EROFS;
                g_assert_cmpuint(file->entry.size % MODEL_CLUSTER, ==, 0);
                while (cluster < MODEL_CLUSTERS && model->allocated[cluster])
                        cluster++;
                if (cluster == MODEL_CLUSTERS)
                        return -ENOSPC;
                g_assert_cmpuint(file->entry.n_clusters, <, MODEL_FILE_CLUSTERS);
                model->allocated[cluster] = true;
                file->entry.clusters[file->entry.n_clusters++] = cluster;
                file->entry.size += MIN(MODEL_CLUSTER, bytes.size - offset);
                model_log(model, &(ModelRecord){.change = MODEL_ALLOCATE, .cluster = cluster});
                record.cluster = cluster;
                memcpy(record.bytes, bytes.data + offset, MIN(MODEL_CLUSTER, bytes.size - offset));
                model_log(model, &record);
        }
        model_log(model, &(ModelRecord){.change = MODEL_SET_NAME, .path = file->path, .entry = file->entry});
        return 0;
}

static inline int model_hold(EspIo *io, const char *path, EspFile **ret) {
        EspFile *file = model_find(model_of(io), path);

        if (!file)
                return -ENOENT;
        file->opened++;
        *ret = file;
        return 0;
}

static inline int model_close(EspIo *io, EspFile *file) {
        file->opened--;
        model_release(model_of(io), file);
        return 0;
}

static inline int model_rename(EspIo *io, const char *from, const char *to) {
        Model *model = model_of(io);
        EspFile *file = model_find(model, from), *replaced = model_find(model, to);

        if (model->read_only)
                return -EROFS;
        if (!file)
                return -ENOENT;
        model_log(model,
                  &(ModelRecord){.change = MODEL_SET_NAME, .path = (char *)to, .entry = file->entry, .renamed = true});
        model_log(model, &(ModelRecord){.change = MODEL_REMOVE_NAME, .path = (char *)from});
        if (replaced) {
                g_clear_pointer(&replaced->path, g_free);
                model_release(model, replaced);
        }
        g_free(file->path);
        file->path = g_strdup(to);
        return 0;
}

static inline int model_remove(EspIo *io, const char *path) {
        Model *model = model_of(io);
        EspFile *file = model_find(model, path);

        if (model->read_only)
                return -EROFS;
        if (!file)
                return -ENOENT;
        model_log(model, &(ModelRecord){.change = MODEL_REMOVE_NAME, .path = (char *)path});
        g_clear_pointer(&file->path, g_free);
        model_release(model, file);
        return 0;
}

static inline int model_barrier(EspIo *io) {
        model_log(model_of(io), &(ModelRecord){.change = MODEL_BARRIER});
        return 0;
}

static inline int model_free_bytes(EspIo *io, uint64_t *ret) {
        *ret = 0;
        for (unsigned i = 0; i < MODEL_CLUSTERS; i++)
                *ret += model_of(io)->allocated[i] ? 0 : MODEL_CLUSTER;
        return 0;
}

/* A running system that has mounted DISK. */
static inline Model *model_new(const ModelDisk *disk) {
        Model *model = g_new0(Model, 1);

        model->io = (EspIo){
                .make_folders = model_make_folders,
                .list = model_list,
                .create = model_create,
                .write = model_write,
                .hold = model_hold,
                .close = model_close,
                .rename = model_rename,
                .remove = model_remove,
                .barrier = model_barrier,
                .free_bytes = model_free_bytes,
        };
        model_disk_copy(disk, &model->start);
        memcpy(model->allocated, disk->allocated, sizeof(model->allocated));
        model->log = g_ptr_array_new_with_free_func(model_record_free);
        model->files = g_ptr_array_new();
        model->folders = g_ptr_array_new_with_free_func(g_free);
        for (unsigned i = 0; i < MODEL_FILES; i++) {
                EspFile *file;

                if (!disk->names[i].path)
                        continue;
                file = g_new0(EspFile, 1);
                file->path = g_strdup(disk->names[i].path);
                file->entry = disk->names[i].entry;
                g_ptr_array_add(model->files, file);
        }
        return model;
}

static inline void model_free(Model *model) {
        for (unsigned i = 0; i < model->files->len; i++) {
                EspFile *file = model->files->pdata[i];

                g_assert_cmpuint(file->opened, ==, 0);
                g_free(file->path);
                g_free(file);
        }
        g_ptr_array_unref(model->files);
        g_ptr_array_unref(model->folders);
        g_ptr_array_unref(model->log);
        model_disk_done(&model->start);
        g_free(model);
}

/* Says of a record behind the last barrier whether, and how, it reaches the disk. */
typedef bool (*ModelKeep)(void *userdata, unsigned index, ModelOutcome *ret_outcome);

/* What a cut after the first AT records leaves. *ret_pending: how many records no barrier had made durable. KEEP NULL:
 * all of them are kept. */
static inline void model_cut(Model *model, unsigned at, ModelKeep keep, void *userdata, ModelDisk *ret,
                             unsigned *ret_pending) {
        unsigned durable = at;

        while (durable > 0 && ((ModelRecord *)model->log->pdata[durable - 1])->change != MODEL_BARRIER)
                durable--;
        model_disk_copy(&model->start, ret);
        for (unsigned i = 0; i < durable; i++)
                model_disk_apply(ret, model->log->pdata[i], MODEL_WHOLE);
        for (unsigned i = durable; i < at; i++) {
                ModelOutcome outcome = MODEL_WHOLE;

                if (!keep || keep(userdata, i - durable, &outcome))
                        model_disk_apply(ret, model->log->pdata[i], outcome);
        }
        if (ret_pending)
                *ret_pending = at - durable;
}
