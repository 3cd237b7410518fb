/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A volume: a mounted vfat file system on a partition of the right type, open, with what can be said about it. Nothing
 * is ever written to a folder that is no such mount. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/esp/gpt.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

typedef enum VolumeRole {
        VOLUME_ESP,      /* boot loader and its configuration; images and contents too, unless there is an XBOOTLDR */
        VOLUME_XBOOTLDR, /* images and contents */
} VolumeRole;

enum { DISK_NAME_SIZE = sizeof("4294967295:4294967295") };

/* Where a partition lies on its disk, in logical blocks of that. */
typedef struct PartitionPlace {
        uint32_t number; /* from 1; 0: that is not known */
        uint64_t start, blocks;
} PartitionPlace;

typedef struct EspVolume {
        int fd;     /* the root folder, open for reading; *at() calls and flock(2) work on it */
        char *path; /* the mount point; owned */
        VolumeRole role;
        char partition_uuid[GUID_TEXT_SIZE]; /* "" in a tree that is no real volume */
        char disk[DISK_NAME_SIZE];           /* that the partition is on, "8:0"; "" if that is not known */
        PartitionPlace place;                /* there */
        uint64_t total_bytes, free_bytes;    /* when it was opened */
        uint32_t cluster_bytes;
        bool read_only;
        bool hides_writable; /* read_only, but only here: in a sandbox that does not name it (util/mount.h) */
        bool world_readable; /* others than root can list or read it */
} EspVolume;

/* How strictly to look. */
typedef struct VolumeSearch {
        bool any_folder;              /* take any folder for a volume, as in --root trees and tests */
        const StringList *others;     /* where no path is given: places to pass over. May be NULL */
        const char *sys, *udev, *dev; /* where to learn of block devices; NULL: /sys, /run/udev, /dev. For tests */
} VolumeSearch;

/* Opens the volume of ROLE that is mounted on PATH inside ROOT (util/root.h), or, where PATH is NULL, the first of
 * /boot, /efi and /boot/efi that is one. A read-only one is opened too: whoever wants to write asks
 * esp_volume_check_writable().
 *
 * What is checked: that PATH is the root of a mount (statx(2), STATX_ATTR_MOUNT_ROOT); that the file system is FAT
 * (statfs(2)); that its block device is a partition of ROLE's type, by udev's data base, or, where that has nothing
 * (early boot, a chroot), by the GPT of the disk itself. SEARCH may be NULL.
 *
 * Returns -ENODEV (CONDITION_ESP_NOT_FOUND), naming for each place what was found instead. */
int esp_volume_open(int root, const char *path, VolumeRole role, const VolumeSearch *search, EspVolume *ret,
                    Failure *failure);
void esp_volume_done(EspVolume *volume);

/* Returns -EROFS (CONDITION_ESP_READ_ONLY) if it is mounted read-only. */
int esp_volume_check_writable(const EspVolume *volume, Failure *failure);

/* What to do about a read-only one, as a sentence. Static. */
const char *esp_volume_read_only_hint(const EspVolume *volume);

/* The type and UUID of the partition that is block device MAJOR:MINOR, as GPT has them (lower case). Returns -ENOENT if
 * it is no partition of a GPT, or what kept it from being told. SEARCH may be NULL. */
int partition_lookup(unsigned major, unsigned minor, const VolumeSearch *search, char ret_type[static GUID_TEXT_SIZE],
                     char ret_uuid[static GUID_TEXT_SIZE]);

/* The disk that block device MAJOR:MINOR is a partition of, as "MAJOR:MINOR"; "" if it is none, or that can't be told.
 */
void partition_disk(unsigned major, unsigned minor, const VolumeSearch *search, char ret[static DISK_NAME_SIZE]);

/* Where block device MAJOR:MINOR lies on its disk; number 0 if it is no partition, or that can't be told. */
void partition_place(unsigned major, unsigned minor, const VolumeSearch *search, PartitionPlace *ret);
