/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/esp/esp-volume.h"
#include "daemon/esp/gpt.h"
#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define ESP_UUID "01234567-89ab-cdef-0123-456789abcdef"

/* A disk image that sfdisk partitioned, and trees that stand for /sys, /run/udev and /dev: the disk is 8:0, its third
 * partition 8:3. */
typedef struct Disk {
        char *folder, *sys, *udev, *dev;
        VolumeSearch search;
} Disk;

static void run_sfdisk(const char *image, const char *script) {
        g_autofree char *command = g_strdup_printf("PATH=$PATH:/usr/sbin:/sbin sfdisk --quiet '%s' > /dev/null", image);
        FILE *pipe = popen(command, "w");

        g_assert_nonnull(pipe);
        g_assert_cmpint(fputs(script, pipe), >=, 0);
        g_assert_cmpint(pclose(pipe), ==, 0);
}

enum { DISK_SIZE = 64 * 1024 * 1024 };

static void disk_partition(Disk *disk, const char *script) {
        g_autofree char *image = test_path(disk->dev, "sda"), *sectors = g_strdup_printf("%d\n", DISK_SIZE / 512);

        test_write(disk->dev, "sda", "", -1, 0600);
        g_assert_cmpint(truncate(image, DISK_SIZE), ==, 0);
        run_sfdisk(image, script);
        test_write(disk->sys, "devices/sda/queue/logical_block_size", "512\n", -1, 0600);
        test_write(disk->sys, "devices/sda/size", sectors, -1, 0600);
}

static void disk_open(Disk *disk, gconstpointer unused) {
        *disk = (Disk){.folder = test_folder_make()};
        disk->sys = test_path(disk->folder, "sys");
        disk->udev = test_path(disk->folder, "udev");
        disk->dev = test_path(disk->folder, "dev");
        disk->search = (VolumeSearch){.sys = disk->sys, .udev = disk->udev, .dev = disk->dev};
        test_write(disk->sys, "devices/sda/uevent", "MAJOR=8\nDEVNAME=sda\nDEVTYPE=disk\n", -1, 0600);
        test_write(disk->sys, "devices/sda/sda3/partition", "3\n", -1, 0600);
        test_make_folder(disk->sys, "dev/block", 0700);
        g_autofree char *link = test_path(disk->sys, "dev/block/8:3");
        g_assert_cmpint(symlink("../../devices/sda/sda3", link), ==, 0);
        disk_partition(
                disk,
                "label: gpt\nsize=1M\nsize=1M\nsize=33M, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, uuid=" ESP_UUID
                "\nsize=1M, type=bc13c2ff-59e6-4262-a352-b275fd6f7172\n");
}

static void disk_close(Disk *disk, gconstpointer unused) {
        g_free(disk->sys);
        g_free(disk->udev);
        g_free(disk->dev);
        test_folder_remove(disk->folder);
}

static void assert_esp(Disk *disk) {
        char type[GUID_TEXT_SIZE], uuid[GUID_TEXT_SIZE];

        g_assert_cmpint(partition_lookup(8, 3, &disk->search, type, uuid), ==, 0);
        g_assert_cmpstr(type, ==, GPT_TYPE_ESP);
        g_assert_cmpstr(uuid, ==, ESP_UUID);
}

static void assert_none(Disk *disk) {
        char type[GUID_TEXT_SIZE], uuid[GUID_TEXT_SIZE];

        g_assert_cmpint(partition_lookup(8, 3, &disk->search, type, uuid), ==, -ENOENT);
}

/* Overwrites a byte of the image; a negative offset counts from its end. */
static void break_byte(Disk *disk, off_t offset) {
        g_autofree char *image = test_path(disk->dev, "sda");
        FILE *file = fopen(image, "r+");

        g_assert_cmpint(fseeko(file, offset, offset < 0 ? SEEK_END : SEEK_SET), ==, 0);
        g_assert_cmpint(fputc(0xa5, file), !=, EOF);
        g_assert_cmpint(fclose(file), ==, 0);
}

static void test_table(Disk *disk, gconstpointer unused) {
        assert_esp(disk);
}

static void test_copy(Disk *disk, gconstpointer unused) {
        break_byte(disk, 512);
        assert_esp(disk);
        break_byte(disk, -512);
        assert_none(disk);
}

static void test_entries_broken(Disk *disk, gconstpointer unused) {
        break_byte(disk, 1024 + 2 * 128);
        assert_esp(disk);
        break_byte(disk, -512 - 32 * 512 + 2 * 128);
        assert_none(disk);
}

static void test_no_table(Disk *disk, gconstpointer unused) {
        g_autofree char *number = test_path(disk->sys, "devices/sda/sda3/partition");

        disk_partition(disk, "label: gpt\nsize=1M\n");
        assert_none(disk);
        disk_partition(disk, "label: dos\nsize=1M\nsize=1M\nsize=33M, type=ef\n");
        assert_none(disk);
        g_assert_cmpint(unlink(number), ==, 0);
        assert_none(disk);
}

static void test_udev(Disk *disk, gconstpointer unused) {
        char type[GUID_TEXT_SIZE], uuid[GUID_TEXT_SIZE];

        test_write(
                disk->udev, "data/b8:3",
                "S:disk/by-id/x\nE:ID_PART_ENTRY_SCHEME=gpt\nE:ID_PART_ENTRY_TYPE=BC13C2FF-59e6-4262-a352-b275fd6f7172\n"
                "E:ID_PART_ENTRY_UUID=" ESP_UUID "\n",
                -1, 0600);
        g_assert_cmpint(partition_lookup(8, 3, &disk->search, type, uuid), ==, 0);
        g_assert_cmpstr(type, ==, GPT_TYPE_XBOOTLDR);
        g_assert_cmpstr(uuid, ==, ESP_UUID);

        /* Whatever udev cannot say, the table says. */
        test_write(disk->udev, "data/b8:3", "E:ID_PART_ENTRY_SCHEME=dos\nE:ID_PART_ENTRY_TYPE=0xef\n", -1, 0600);
        assert_esp(disk);
        test_write(disk->udev, "data/b8:3", "E:ID_PART_ENTRY_SCHEME=gpt\nE:ID_PART_ENTRY_TYPE=x\n", -1, 0600);
        assert_esp(disk);
}

static void assert_place(Disk *disk, uint32_t number, uint64_t start, uint64_t blocks) {
        PartitionPlace place = {.number = 77};

        partition_place(8, 3, &disk->search, &place);
        g_assert_cmpuint(place.number, ==, number);
        g_assert_cmpuint(place.start, ==, start);
        g_assert_cmpuint(place.blocks, ==, blocks);
}

/* sysfs counts in 512 bytes, whatever the disk does. */
static void test_place(Disk *disk, gconstpointer unused) {
        assert_place(disk, 0, 0, 0);
        test_write(disk->sys, "devices/sda/sda3/start", "6144\n", -1, 0600);
        test_write(disk->sys, "devices/sda/sda3/size", "67584\n", -1, 0600);
        assert_place(disk, 3, 6144, 67584);
        test_write(disk->sys, "devices/sda/queue/logical_block_size", "4096\n", -1, 0600);
        assert_place(disk, 3, 768, 8448);
        test_write(disk->sys, "devices/sda/queue/logical_block_size", "0\n", -1, 0600);
        assert_place(disk, 0, 0, 0);
}

static void test_crc(void) {
        /* The check value of CRC-32 as everybody computes it. */
        g_assert_cmphex(gpt_crc32(span_from_string("123456789")), ==, 0xcbf43926);
        g_assert_cmphex(gpt_crc32((Span){}), ==, 0);
}

/* A header with these fields and a good CRC. */
static void make_header(uint8_t block[static 512], uint32_t size, uint32_t count, uint32_t entry_size) {
        uint32_t fields[] = {0x00010000, size, 0, 0}, crc;
        uint64_t lba = 1;

        memset(block, 0, 512);
        memcpy(block, "EFI PART", 8);
        memcpy(block + 8, fields, sizeof(fields));
        memcpy(block + 24, &lba, sizeof(lba));
        memcpy(block + 80, &count, sizeof(count));
        memcpy(block + 84, &entry_size, sizeof(entry_size));
        crc = gpt_crc32((Span){block, MIN(size, 512)});
        memcpy(block + 16, &crc, sizeof(crc));
}

static void test_large_blocks(Disk *disk, gconstpointer unused) {
        static uint8_t image[3 * 4096];
        uint64_t lba = 2;
        uint32_t crc;

        /* sfdisk's entries, moved to where they stand on a disk with blocks of 4096 bytes. */
        g_autoptr(GBytes) bytes = test_read(disk->dev, "sda");
        memcpy(image + 2 * 4096, (const uint8_t *)g_bytes_get_data(bytes, NULL) + 1024, 4096);
        make_header(image + 4096, 92, 32, 128);
        memcpy(image + 4096 + 72, &lba, sizeof(lba));
        crc = gpt_crc32((Span){image + 2 * 4096, 4096});
        memcpy(image + 4096 + 88, &crc, sizeof(crc));
        memset(image + 4096 + 16, 0, sizeof(crc));
        crc = gpt_crc32((Span){image + 4096, 92});
        memcpy(image + 4096 + 16, &crc, sizeof(crc));
        test_write(disk->dev, "sda", image, sizeof(image), 0600);
        assert_none(disk);
        test_write(disk->sys, "devices/sda/queue/logical_block_size", "4096\n", -1, 0600);
        assert_esp(disk);
        test_write(disk->sys, "devices/sda/queue/logical_block_size", "0\n", -1, 0600);
        g_assert_cmpint(partition_lookup(8, 3, &disk->search, (char[GUID_TEXT_SIZE]){}, (char[GUID_TEXT_SIZE]){}), ==,
                        -EBADMSG);
}

static void assert_header(uint32_t size, uint32_t count, uint32_t entry_size, int expected) {
        uint8_t block[512];
        GptHeader header;

        make_header(block, size, count, entry_size);
        g_assert_cmpint(gpt_header_parse((Span){block, sizeof(block)}, 1, &header), ==, expected);
        g_assert_cmpint(gpt_header_parse((Span){block, sizeof(block)}, 2, &header), ==, -EBADMSG);
}

static void test_header(void) {
        assert_header(92, 128, 128, 0);
        assert_header(512, 1, 4096, 0);
        assert_header(91, 128, 128, -EBADMSG);
        assert_header(513, 128, 128, -EBADMSG);
        assert_header(UINT32_MAX, 128, 128, -EBADMSG);
        assert_header(92, 0, 128, -EBADMSG);
        assert_header(92, 128, 64, -EBADMSG);
        assert_header(92, 128, 129, -EBADMSG);
        assert_header(92, 128, 8192, -EBADMSG);
        assert_header(92, UINT32_MAX, 4096, -EBADMSG);
        assert_header(92, GPT_ENTRIES_MAX_BYTES / 128, 128, 0);
        assert_header(92, GPT_ENTRIES_MAX_BYTES / 128 + 1, 128, -EBADMSG);
}

static void test_partition(void) {
        uint8_t entries[2 * 128] = {[128] = 1};
        GptHeader header = {.entry_count = 2, .entry_size = 128};
        GptPartition partition;

        header.entries_crc32 = gpt_crc32((Span){entries, sizeof(entries)});
        g_assert_cmpint(gpt_partition_parse(&header, (Span){entries, sizeof(entries)}, 2, &partition), ==, 0);
        g_assert_cmpstr(partition.type, ==, "00000001-0000-0000-0000-000000000000");
        g_assert_cmpint(gpt_partition_parse(&header, (Span){entries, sizeof(entries)}, 0, &partition), ==, -ENOENT);
        g_assert_cmpint(gpt_partition_parse(&header, (Span){entries, sizeof(entries)}, 1, &partition), ==, -ENOENT);
        g_assert_cmpint(gpt_partition_parse(&header, (Span){entries, sizeof(entries)}, 3, &partition), ==, -ENOENT);
        g_assert_cmpint(gpt_partition_parse(&header, (Span){entries, 128}, 1, &partition), ==, -EBADMSG);
        entries[200] = 1;
        g_assert_cmpint(gpt_partition_parse(&header, (Span){entries, sizeof(entries)}, 2, &partition), ==, -EBADMSG);
}

#define TEST(name, function) g_test_add("/esp/gpt/" name, Disk, NULL, disk_open, function, disk_close)

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        TEST("type-and-uuid-are-those-that-sfdisk-wrote", test_table);
        TEST("blocks-of-4096-bytes-are-read-as-such", test_large_blocks);
        TEST("where-a-partition-lies-is-told-in-the-disk's-own-blocks", test_place);
        TEST("a-broken-header-is-made-up-for-by-the-copy", test_copy);
        TEST("broken-entries-are-made-up-for-by-the-copy", test_entries_broken);
        TEST("no-partition-of-a-gpt-is-none", test_no_table);
        TEST("what-udev-knows-comes-first", test_udev);
        g_test_add_func("/esp/gpt/the-crc-is-crc-32", test_crc);
        g_test_add_func("/esp/gpt/headers-with-impossible-sizes-are-refused", test_header);
        g_test_add_func("/esp/gpt/entries-are-found-by-number-and-their-crc-is-checked", test_partition);
        return g_test_run();
}
