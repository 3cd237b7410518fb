/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Of which type a partition is. udev has asked blkid already, and its answer can be read in a sandbox without devices.
 * Where there is no udev (early boot, a chroot, an installer), the disk's own partition table is read. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/esp-volume.h"
#include "daemon/util/file.h"

enum {
        SMALL_FILE_MAX = 64 * 1024, /* of sysfs and of udev's data base */
        SECTOR_BYTES = 512,         /* what sysfs counts in */
        BLOCK_BYTES_MAX = 64 * 1024,
};

/* The value of the line that begins with KEY, as a span of TEXT. */
static int find_line(Span text, const char *key, Span *ret) {
        size_t length = strlen(key);

        while (text.size > 0) {
                const uint8_t *end = memchr(text.data, '\n', text.size);
                size_t line = end ? (size_t)(end - text.data) : text.size;

                if (line >= length && memcmp(text.data, key, length) == 0) {
                        *ret = (Span){text.data + length, line - length};
                        return 0;
                }
                line += end ? 1 : 0;
                text = (Span){text.data + line, text.size - line};
        }
        return -ENOENT;
}

static int find_guid(Span text, const char *key, char ret[static GUID_TEXT_SIZE]) {
        Span value;
        Guid guid;
        int r;

        r = find_line(text, key, &value);
        if (r < 0)
                return r;
        r = guid_parse(value, &guid);
        if (r < 0)
                return r;
        guid_format(&guid, ret);
        return 0;
}

static int lookup_udev(const char *udev, unsigned major, unsigned minor, char ret_type[static GUID_TEXT_SIZE],
                       char ret_uuid[static GUID_TEXT_SIZE]) {
        _cleanup_(buffer_done) Buffer text = {};
        char path[4096], uuid[GUID_TEXT_SIZE] = "";
        Span scheme;
        int r;

        snprintf(path, sizeof(path), "%s/data/b%u:%u", udev, major, minor);
        r = file_read(AT_FDCWD, path, SMALL_FILE_MAX, &text);
        if (r < 0)
                return r;
        r = find_line(buffer_span(&text), "E:ID_PART_ENTRY_SCHEME=", &scheme);
        if (r < 0 || !span_equal(scheme, span_from_string("gpt")))
                return -ENOENT;
        r = find_guid(buffer_span(&text), "E:ID_PART_ENTRY_TYPE=", ret_type);
        if (r < 0)
                return r;
        find_guid(buffer_span(&text), "E:ID_PART_ENTRY_UUID=", uuid);
        memcpy(ret_uuid, uuid, GUID_TEXT_SIZE);
        return 0;
}

/* What the kernel says of the partition and its disk. */
typedef struct Disk {
        char *device;         /* name below /dev; owned */
        unsigned partition;   /* number, from 1 */
        uint64_t block_bytes; /* of a logical block */
        uint64_t blocks;
} Disk;

static void disk_done(Disk *disk) {
        free(disk->device);
}

static int read_number(const char *folder, const char *name, uint64_t *ret) {
        _cleanup_(free_pointer) char *path = path_join(folder, name);
        _cleanup_(buffer_done) Buffer text = {};
        char *end;
        int r;

        if (!path)
                return -ENOMEM;
        r = file_read(AT_FDCWD, path, SMALL_FILE_MAX, &text);
        if (r < 0)
                return r;
        r = buffer_append_u8(&text, 0);
        if (r < 0)
                return r;
        errno = 0;
        *ret = strtoull((const char *)text.data, &end, 10);
        return errno != 0 || end == (const char *)text.data ? -EBADMSG : 0;
}

/* Of a logical block of the disk that has the partition in FOLDER. */
static int read_block_bytes(const char *folder, uint64_t *ret) {
        uint64_t bytes;
        int r;

        r = read_number(folder, "../queue/logical_block_size", &bytes);
        if (r < 0)
                return r;
        if (bytes < SECTOR_BYTES || bytes > BLOCK_BYTES_MAX)
                return -EBADMSG;
        *ret = bytes;
        return 0;
}

/* A partition's folder in sysfs stands in its disk's: ".." leads there, through the link in dev/block. */
static int read_disk(const char *sys, unsigned major, unsigned minor, Disk *ret) {
        _cleanup_(disk_done) Disk disk = {};
        _cleanup_(free_pointer) char *folder = NULL, *uevent = NULL;
        _cleanup_(buffer_done) Buffer text = {};
        uint64_t number, sectors;
        Span device;
        int r;

        if (asprintf(&folder, "%s/dev/block/%u:%u", sys, major, minor) < 0 ||
            asprintf(&uevent, "%s/../uevent", folder) < 0)
                return -ENOMEM;
        r = read_number(folder, "partition", &number);
        if (r < 0)
                return r;
        r = file_read(AT_FDCWD, uevent, SMALL_FILE_MAX, &text);
        if (r < 0)
                return r;
        r = find_line(buffer_span(&text), "DEVNAME=", &device);
        if (r < 0)
                return r;
        r = read_block_bytes(folder, &disk.block_bytes);
        if (r < 0)
                return r;
        r = read_number(folder, "../size", &sectors);
        if (r < 0)
                return r;
        if (number > UINT32_MAX)
                return -EBADMSG;
        disk.partition = number;
        disk.blocks = sectors / (disk.block_bytes / SECTOR_BYTES);
        disk.device = strndup((const char *)device.data, device.size);
        if (!disk.device)
                return -ENOMEM;
        *ret = TAKE_STRUCT(disk);
        return 0;
}

/* By the header at LBA, which is the table or its copy. */
static int read_table(int fd, const Disk *disk, uint64_t lba, GptPartition *ret) {
        _cleanup_(buffer_done) Buffer block = {}, entries = {};
        GptHeader header;
        int r;

        r = buffer_append_zero(&block, disk->block_bytes);
        if (r < 0)
                return r;
        r = file_read_at(fd, lba * disk->block_bytes, block.data, block.size);
        if (r < 0)
                return r;
        r = gpt_header_parse(buffer_span(&block), lba, &header);
        if (r < 0)
                return r;
        if (header.entries_lba >= disk->blocks)
                return -EBADMSG;
        r = buffer_append_zero(&entries, (size_t)header.entry_count * header.entry_size);
        if (r < 0)
                return r;
        r = file_read_at(fd, header.entries_lba * disk->block_bytes, entries.data, entries.size);
        if (r < 0)
                return r;
        return gpt_partition_parse(&header, buffer_span(&entries), disk->partition, ret);
}

static int lookup_gpt(const char *sys, const char *dev, unsigned major, unsigned minor,
                      char ret_type[static GUID_TEXT_SIZE], char ret_uuid[static GUID_TEXT_SIZE]) {
        _cleanup_(disk_done) Disk disk = {};
        _cleanup_(free_pointer) char *path = NULL;
        _cleanup_(close_fd) int fd = -EBADF;
        GptPartition partition;
        int r;

        r = read_disk(sys, major, minor, &disk);
        if (r < 0)
                return r;
        path = path_join(dev, disk.device);
        if (!path)
                return -ENOMEM;
        fd = file_open(AT_FDCWD, path, O_RDONLY, 0);
        if (fd < 0)
                return fd == -ENOENT ? -ENXIO : fd; /* a sandbox without devices */
        r = read_table(fd, &disk, /* lba= */ 1, &partition);
        if (r == -EBADMSG && disk.blocks > 2)
                r = read_table(fd, &disk, disk.blocks - 1, &partition);
        if (r < 0)
                return r == -EBADMSG ? -ENOENT : r;
        memcpy(ret_type, partition.type, GUID_TEXT_SIZE);
        memcpy(ret_uuid, partition.uuid, GUID_TEXT_SIZE);
        return 0;
}

int partition_lookup(unsigned major, unsigned minor, const VolumeSearch *search, char ret_type[static GUID_TEXT_SIZE],
                     char ret_uuid[static GUID_TEXT_SIZE]) {
        const char *udev = search && search->udev ? search->udev : "/run/udev";
        const char *sys = search && search->sys ? search->sys : "/sys";
        const char *dev = search && search->dev ? search->dev : "/dev";

        if (lookup_udev(udev, major, minor, ret_type, ret_uuid) >= 0)
                return 0;
        return lookup_gpt(sys, dev, major, minor, ret_type, ret_uuid);
}

void partition_disk(unsigned major, unsigned minor, const VolumeSearch *search, char ret[static DISK_NAME_SIZE]) {
        const char *sys = search && search->sys ? search->sys : "/sys";
        _cleanup_(buffer_done) Buffer text = {};
        char path[4096];
        Span number;

        ret[0] = 0;
        snprintf(path, sizeof(path), "%s/dev/block/%u:%u/../dev", sys, major, minor);
        if (file_read(AT_FDCWD, path, SMALL_FILE_MAX, &text) < 0 || find_line(buffer_span(&text), "", &number) < 0 ||
            number.size >= DISK_NAME_SIZE)
                return;
        memcpy(ret, number.data, number.size);
        ret[number.size] = 0;
}

void partition_place(unsigned major, unsigned minor, const VolumeSearch *search, PartitionPlace *ret) {
        const char *sys = search && search->sys ? search->sys : "/sys";
        uint64_t number, start, sectors, block_bytes;
        char folder[4096];

        *ret = (PartitionPlace){};
        snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u", sys, major, minor);
        if (read_number(folder, "partition", &number) < 0 || read_number(folder, "start", &start) < 0 ||
            read_number(folder, "size", &sectors) < 0 || read_block_bytes(folder, &block_bytes) < 0 ||
            number > UINT32_MAX)
                return;
        *ret = (PartitionPlace){
                .number = number,
                .start = start / (block_bytes / SECTOR_BYTES),
                .blocks = sectors / (block_bytes / SECTOR_BYTES),
        };
}
