/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/partitions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "daemon/esp/esp-names.h"
#include "daemon/ops/boot-order.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

#define TREE_ESP "/boot"
#define USUAL_XBOOTLDR "/boot"
#define SYSTEMD_BOOT "EFI/systemd/systemd-bootx64.efi"
#define FALLBACK_LOADER "EFI/BOOT/BOOTX64.EFI"

static void partition_done(Partition *partition) {
        if (partition->volume.path)
                esp_volume_done(&partition->volume);
        failure_done(&partition->problem);
        free(partition->path);
}

void partitions_done(PartitionList *list) {
        for (size_t i = 0; i < list->count; i++)
                partition_done(&list->items[i]);
        free(list->items);
        string_list_done(&list->warnings);
        *list = (PartitionList){};
}

const char *partition_role_name(const Partition *partition) {
        return partition->role == VOLUME_ESP ? "esp" : "xbootldr";
}

/* Folders of a tree may all be on one file system; a file system of the machine is one volume, wherever it is mounted.
 */
static bool is_same(const Context *context, const Partition *a, const Partition *b) {
        struct stat a_stat, b_stat;

        if (a->path && b->path && strcmp(a->path, b->path) == 0)
                return true;
        if (a->error < 0 || b->error < 0 || fstat(a->volume.fd, &a_stat) < 0 || fstat(b->volume.fd, &b_stat) < 0)
                return false;
        return a_stat.st_dev == b_stat.st_dev && (!context->any_folder || a_stat.st_ino == b_stat.st_ino);
}

static const Partition *find_same(const Context *context, const PartitionList *list, const Partition *partition) {
        for (size_t i = 0; i < list->count; i++)
                if (is_same(context, &list->items[i], partition))
                        return &list->items[i];
        return NULL;
}

/* systemd-boot finds no other one. */
static int check_disk(const Partition *esp, Partition *xbootldr) {
        const char *a = esp->volume.disk, *b = xbootldr->volume.disk;

        if (esp->error < 0 || !*a || !*b || strcmp(a, b) == 0)
                return 0;
        failure_set(
                &xbootldr->problem, CONDITION_ESP_NOT_FOUND,
                "The extended boot loader partition (XBOOTLDR) on %s is on the disk %s, and the EFI system partition "
                "on %s on %s: the boot loader looks for it on its own disk only",
                xbootldr->path, b, esp->path, a);
        return condition_errno(CONDITION_ESP_NOT_FOUND);
}

static int open_partition(const Context *context, const char *path, VolumeRole role, const Partition *esp,
                          Partition *ret) {
        const VolumeSearch search = {.any_folder = context->any_folder, .others = &context->settings->esp_extra_paths};
        Partition partition = {.role = role};
        int r;

        if (!path && context->any_folder)
                path = TREE_ESP;
        r = esp_volume_open(context->root_fd, path, role, &search, &partition.volume, &partition.problem);
        if (r < 0)
                partition.volume = (EspVolume){};
        partition.error = r;
        partition.path = path || r >= 0 ? strdup(path ? path : partition.volume.path) : NULL;
        if ((path && !partition.path) || r == -ENOMEM) {
                partition_done(&partition);
                return -ENOMEM;
        }
        if (r >= 0 && role == VOLUME_XBOOTLDR)
                partition.error = check_disk(esp, &partition);
        if (partition.error < 0 && partition.volume.path)
                esp_volume_done(&partition.volume);
        *ret = partition;
        return 0;
}

/* Takes PARTITION over, also on failure. */
static int add(const Context *context, PartitionList *list, Partition *partition) {
        const Partition *same = find_same(context, list, partition);
        Partition *items;
        int r;

        if (same) {
                r = string_list_add_format(&list->warnings, "%s is the same as %s, and counts once", partition->path,
                                           same->path);
                partition_done(partition);
                return r;
        }
        items = reallocarray(list->items, list->count + 1, sizeof(*items));
        if (!items) {
                partition_done(partition);
                return -ENOMEM;
        }
        list->items = items;
        partition->home = partition->role == VOLUME_ESP ? list->count : list->count - 1;
        items[list->count++] = *partition;
        return 0;
}

static int add_esp(const Context *context, PartitionList *list, const char *path) {
        Partition partition;
        int r;

        r = open_partition(context, path, VOLUME_ESP, /* esp= */ NULL, &partition);
        if (r < 0)
                return r;
        partition.has_images = true;
        return add(context, list, &partition);
}

static int add_xbootldr(const Context *context, PartitionList *list, const char *path) {
        size_t count = list->count;
        Partition partition;
        int r;

        r = open_partition(context, path, VOLUME_XBOOTLDR, &list->items[0], &partition);
        if (r < 0)
                return r;
        partition.has_images = true;
        r = add(context, list, &partition);
        if (r >= 0 && list->count > count)
                list->items[0].has_images = false;
        return r;
}

/* What was configured once may hold images still, and the boot loader shows them. Only one at the usual place can be
 * found without being named. */
static int add_retired_xbootldr(const Context *context, PartitionList *list) {
        const Partition *esp = &list->items[0];
        bool has_partitions = !context->any_folder || context->partition_uuids;
        Partition partition;
        struct stat st;
        int r;

        if (!has_partitions || esp->error < 0 || strcmp(esp->path, USUAL_XBOOTLDR) == 0)
                return 0;
        r = open_partition(context, USUAL_XBOOTLDR, VOLUME_XBOOTLDR, esp, &partition);
        if (r < 0)
                return r;
        if (partition.error < 0 || (!context->any_folder && (!esp->volume.disk[0] || !partition.volume.disk[0])) ||
            fstatat(partition.volume.fd, ESP_IMAGE_FOLDER, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                partition_done(&partition);
                return 0;
        }
        return add(context, list, &partition);
}

/* For tests: what a folder of a tree counts as. */
static void name_folder(EspVolume *volume, const char *uuid, size_t number) {
        snprintf(volume->partition_uuid, sizeof(volume->partition_uuid), "%s", uuid);
        volume->place.number = number;
}

static void name_folders(const Context *context, PartitionList *list) {
        const char *const *uuid = context->any_folder ? context->partition_uuids : NULL;

        for (size_t i = 0; uuid && *uuid && i < list->count; i++, uuid++)
                if (list->items[i].error >= 0)
                        name_folder(&list->items[i].volume, *uuid, i + 1);
}

static bool has_uuid(const Partition *partition, const char *uuid) {
        return uuid && *uuid && partition->error >= 0 && strcasecmp(partition->volume.partition_uuid, uuid) == 0;
}

/* The loaders that we install; an entry that names none leads to the second. */
static bool starts_our_loader(const BootEntry *entry, const Partition *esp) {
        _cleanup_(free_pointer) char *path = NULL;

        if (!entry->active || esp->error < 0 || !boot_entry_is_on(entry, esp->volume.partition_uuid))
                return false;
        if (!entry->path)
                return true;
        return esp_path_parse(span_from_string(entry->path), &path) >= 0 &&
               (fat_name_equal(path, SYSTEMD_BOOT) || fat_name_equal(path, FALLBACK_LOADER));
}

/* The one that this start came from, and those that are in the boot order. Where neither is known, it is by the
 * fallback's name that the firmware finds a loader, on any of them. */
static int find_booting(const Context *context, PartitionList *list, Failure *failure) {
        _cleanup_(free_pointer) char *loader = NULL;
        _cleanup_(boot_order_done) BootOrder order = {};
        bool any = false;
        int r;

        r = system_loader_variable(context, "LoaderDevicePartUUID", &loader);
        if (r >= 0)
                r = boot_order_read(context, &order, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; i < list->count; i++) {
                Partition *esp = &list->items[list->items[i].home];

                for (size_t j = 0; j < order.count && !esp->boots; j++)
                        esp->boots = starts_our_loader(&order.items[j], esp);
                esp->boots = esp->boots || has_uuid(esp, loader) || (esp->error >= 0 && !esp->volume.partition_uuid[0]);
                any = any || esp->boots;
        }
        any = any || (loader && *loader);
        for (size_t i = 0; i < list->count; i++)
                list->items[i].boots = !any || list->items[list->items[i].home].boots;
        return 0;
}

static int find_booted(const Context *context, PartitionList *list) {
        _cleanup_(free_pointer) char *stub = NULL;
        int r;

        r = system_loader_variable(context, "StubDevicePartUUID", &stub);
        for (size_t i = 0; r >= 0 && i < list->count; i++)
                list->items[i].booted = has_uuid(&list->items[i], stub);
        return r;
}

static int open_all(const Context *context, PartitionList *list) {
        const Settings *settings = context->settings;
        int r;

        r = add_esp(context, list, settings->esp_path);
        if (r >= 0)
                r = settings->xbootldr_path ? add_xbootldr(context, list, settings->xbootldr_path)
                                            : add_retired_xbootldr(context, list);
        for (size_t i = 0; r >= 0 && i < settings->esp_extra_paths.count; i++)
                r = add_esp(context, list, settings->esp_extra_paths.items[i]);
        return r;
}

int partitions_open(const Context *context, PartitionList *ret, Failure *failure) {
        _cleanup_(partitions_done) PartitionList list = {};
        int r;

        r = open_all(context, &list);
        if (r < 0)
                return r;
        name_folders(context, &list);
        r = find_booting(context, &list, failure);
        if (r >= 0)
                r = find_booted(context, &list);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(list);
        return 0;
}

bool partition_may_be_booted(const PartitionList *list, const Partition *partition) {
        for (size_t i = 0; i < list->count; i++)
                if (list->items[i].home == partition->home && list->items[i].booted)
                        return partition->booted;
        return true;
}

bool partition_was_booted(const PartitionList *list, const Partition *partition) {
        for (size_t i = 0; i < list->count; i++)
                if (list->items[i].booted)
                        return partition->booted;
        return true;
}
