/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "daemon/util/mount.h"
#include "tests/lib/test-folder.h"

static void test_table(void) {
        static const char table[] = "36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw,errors=continue\n"
                                    "136 36 8:1 / /boot ro,nosuid master:2 shared:7 - vfat /dev/sda1 rw,utf8\n"
                                    "13 36 8:2 / /efi ro - vfat /dev/sda2 ro,utf8\n"
                                    "14 36 8:2 / /ro rw - vfat ro rw,errors=remount-ro\n"
                                    "15 36 8:2 / /x";
        Span span = span_from_string(table);

        g_assert_false(mount_table_hides_writable(span, 36));
        g_assert_true(mount_table_hides_writable(span, 136));
        g_assert_false(mount_table_hides_writable(span, 13));
        g_assert_false(mount_table_hides_writable(span, 14));
        g_assert_false(mount_table_hides_writable(span, 15));
        g_assert_false(mount_table_hides_writable(span, 1));
        g_assert_false(mount_table_hides_writable((Span){}, 36));
        for (size_t size = 0; size < span.size; size++)
                mount_table_hides_writable((Span){span.data, size}, 136);
}

static bool hides_writable(const char *path) {
        _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        return mount_hides_writable(fd);
}

/* In a mount namespace of the test's own. */
static void test_mounts(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();

        if (unshare(CLONE_NEWNS) < 0)
                g_assert_cmpint(unshare(CLONE_NEWUSER | CLONE_NEWNS), ==, 0);
        g_assert_cmpint(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        g_assert_cmpint(mount("test", folder, "tmpfs", MS_RDONLY, "size=1m"), ==, 0);
        g_assert_false(hides_writable(folder));
        g_assert_cmpint(mount(NULL, folder, NULL, MS_REMOUNT, "size=1m"), ==, 0);
        g_assert_false(hides_writable(folder));
        g_assert_cmpint(mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==, 0);
        g_assert_true(hides_writable(folder));
        g_assert_cmpint(umount2(folder, MNT_DETACH), ==, 0);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/mount/options-of-mount-and-file-system-are-told-apart", test_table);
        g_test_add_func("/util/mount/what-only-this-process-cannot-write-is-known", test_mounts);
        return g_test_run();
}
