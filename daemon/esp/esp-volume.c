/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/esp-volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/mount.h"
#include "daemon/util/root.h"
#include "daemon/util/string-list.h"

static const char *const default_paths[] = {"/boot", "/efi", "/boot/efi"};

/* What a file system calls itself, for messages: the ones that people have on /boot. */
static const char *file_system_name(unsigned long magic) {
        static const struct {
                unsigned long magic;
                const char *name;
        } names[] = {
                {EXT4_SUPER_MAGIC, "ext4"},         {BTRFS_SUPER_MAGIC, "btrfs"},
                {XFS_SUPER_MAGIC, "xfs"},           {TMPFS_MAGIC, "tmpfs"},
                {F2FS_SUPER_MAGIC, "f2fs"},         {SQUASHFS_MAGIC, "squashfs"},
                {OVERLAYFS_SUPER_MAGIC, "overlay"}, {AUTOFS_SUPER_MAGIC, "autofs"},
                {MSDOS_SUPER_MAGIC, "vfat"},        {0x2fc12fc1, "zfs"},
                {0xca451a4e, "bcachefs"},           {0x2011bab0, "exfat"},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
                if (names[i].magic == magic)
                        return names[i].name;
        return "other file system";
}

static const char *role_name(VolumeRole role) {
        return role == VOLUME_ESP ? "EFI system partition" : "extended boot loader partition (XBOOTLDR)";
}

/* Records why a place is not what is looked for. Returns -ENODEV, or -ENOMEM. */
static _printf_(2, 3) int reject(StringList *findings, const char *format, ...) {
        va_list arguments;
        _cleanup_(free_pointer) char *text = NULL;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        r = string_list_add(findings, text);
        return r < 0 ? r : -ENODEV;
}

static int is_mount_root(int fd, const struct statx *sx, bool *ret) {
        struct stat here, parent;

        if (fstat(fd, &here) < 0 || fstatat(fd, "..", &parent, 0) < 0)
                return -errno;
        *ret = here.st_dev != parent.st_dev || here.st_ino == parent.st_ino;
        /* Since Linux 5.8 the kernel tells. But a folder that is mounted on itself, as a sandbox does it, counts as
         * what it is outside. */
        if (sx->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
                *ret = *ret && (sx->stx_attributes & STATX_ATTR_MOUNT_ROOT);
        return 0;
}

static int check_partition(const char *path, const struct statx *sx, VolumeRole role, const VolumeSearch *search,
                           EspVolume *volume, StringList *findings) {
        const char *wanted = role == VOLUME_ESP ? GPT_TYPE_ESP : GPT_TYPE_XBOOTLDR;
        unsigned major = sx->stx_dev_major, minor = sx->stx_dev_minor;
        char type[GUID_TEXT_SIZE];
        int r;

        r = partition_lookup(major, minor, search, type, volume->partition_uuid);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT)
                return reject(findings, "%s is a mounted vfat, but its device %u:%u is no partition of a GPT", path,
                              major, minor);
        if (r < 0)
                return reject(findings,
                              "%s is a mounted vfat, but the partition type of its device %u:%u cannot be read: %s",
                              path, major, minor, strerror(-r));
        if (strcmp(type, wanted) != 0)
                return reject(findings, "%s is a mounted vfat, but on a partition of type %s, not %s (%s)", path, type,
                              wanted, role_name(role));
        partition_disk(major, minor, search, volume->disk);
        partition_place(major, minor, search, &volume->place);
        return 0;
}

static int check_mount(const char *path, int fd, const struct statx *sx, VolumeRole role, const VolumeSearch *search,
                       EspVolume *volume, StringList *findings) {
        struct statfs fs;
        bool is_root;
        int r;

        if (fstatfs(fd, &fs) < 0)
                return -errno;
        r = is_mount_root(fd, sx, &is_root);
        if (r < 0)
                return r;
        if (!is_root)
                return reject(findings, "%s is a folder on %s, not a mounted vfat", path, file_system_name(fs.f_type));
        if (fs.f_type != MSDOS_SUPER_MAGIC)
                return reject(findings, "%s is a mounted %s, not a vfat", path, file_system_name(fs.f_type));
        return check_partition(path, sx, role, search, volume, findings);
}

static int describe(int fd, const struct statx *sx, EspVolume *volume) {
        struct statvfs vfs;

        if (fstatvfs(fd, &vfs) < 0)
                return -errno;
        volume->cluster_bytes = vfs.f_frsize;
        volume->total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
        volume->free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
        volume->read_only = vfs.f_flag & ST_RDONLY;
        volume->hides_writable = volume->read_only && mount_hides_writable(fd);
        volume->world_readable = (sx->stx_mode & S_IRWXO) || ((sx->stx_mode & S_IRWXG) && sx->stx_gid != 0);
        return 0;
}

/* -ENODEV: PATH is not it, and FINDINGS says why. */
static int open_place(int root, const char *path, VolumeRole role, const VolumeSearch *search, StringList *findings,
                      EspVolume *ret) {
        _cleanup_(esp_volume_done) EspVolume volume = {.fd = -EBADF, .role = role};
        struct statx sx;
        int r;

        volume.fd = root_open(root, path, O_RDONLY | O_DIRECTORY);
        if (volume.fd == -ENOENT)
                return reject(findings, "%s does not exist", path);
        if (volume.fd < 0)
                return reject(findings, "%s cannot be opened: %s", path, strerror(-volume.fd));
        if (statx(volume.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) < 0)
                return -errno;
        if (!search || !search->any_folder) {
                r = check_mount(path, volume.fd, &sx, role, search, &volume, findings);
                if (r < 0)
                        return r;
        }
        r = describe(volume.fd, &sx, &volume);
        if (r < 0)
                return r;
        volume.path = strdup(path);
        if (!volume.path)
                return -ENOMEM;
        *ret = volume;
        volume = (EspVolume){.fd = -EBADF};
        return 0;
}

static int not_found(VolumeRole role, const StringList *findings, Failure *failure) {
        _cleanup_(buffer_done) Buffer text = {};
        int r = 0;

        for (size_t i = 0; i < findings->count && r >= 0; i++)
                r = buffer_append_format(&text, "%s%s", i > 0 ? "; " : "", findings->items[i]);
        if (r < 0)
                return r;
        return failure_set(failure, CONDITION_ESP_NOT_FOUND, "No %s is mounted: %.*s", role_name(role), (int)text.size,
                           text.data);
}

int esp_volume_open(int root, const char *path, VolumeRole role, const VolumeSearch *search, EspVolume *ret,
                    Failure *failure) {
        _cleanup_(string_list_done) StringList findings = {};
        const char *const *paths = path ? &path : default_paths;
        size_t count = path ? 1 : ARRAY_LENGTH(default_paths);
        int r;

        for (size_t i = 0; i < count; i++) {
                if (!path && search && search->others && string_list_contains(search->others, paths[i]))
                        continue;
                r = open_place(root, paths[i], role, search, &findings, ret);
                if (r >= 0)
                        return 0;
                if (r != -ENODEV)
                        return failure_set_errno(failure, r, "Cannot look for the %s at %s", role_name(role), paths[i]);
        }
        return not_found(role, &findings, failure);
}

void esp_volume_done(EspVolume *volume) {
        close_fd(&volume->fd);
        free(volume->path);
        *volume = (EspVolume){.fd = -EBADF};
}

const char *esp_volume_read_only_hint(const EspVolume *volume) {
        return volume->hides_writable
                       ? "If this is lanzad.service, its sandbox must name that place: lanzad(8) explains how, and " LANZA_DOC_FOLDER
                         "/esp-path.conf is an example of the drop-in file."
                       : "Mount it writable, or have it checked: fsck.fat.";
}

int esp_volume_check_writable(const EspVolume *volume, Failure *failure) {
        int r;

        if (!volume->read_only)
                return 0;
        r = failure_set(failure, CONDITION_ESP_READ_ONLY, "The %s on %s is mounted read-only%s",
                        role_name(volume->role), volume->path,
                        volume->hides_writable ? " for this process, while its file system can be written to" : "");
        failure_set_hint(failure, "%s", esp_volume_read_only_hint(volume));
        return r;
}
