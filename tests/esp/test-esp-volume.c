/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/esp/esp-volume.h"
#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

/* A root in a temporary folder. */
typedef struct Root {
        char *path;
        int fd;
        EspVolume volume;
        Failure failure;
} Root;

static const VolumeSearch any_folder = {.any_folder = true};

static void root_setup(Root *root, gconstpointer unused) {
        *root = (Root){.path = test_folder_make(), .volume = {.fd = -EBADF}};
        root->fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(root->fd, >=, 0);
}

static void root_teardown(Root *root, gconstpointer unused) {
        esp_volume_done(&root->volume);
        failure_done(&root->failure);
        close(root->fd);
        test_folder_remove(root->path);
}

static void assert_not_found(Root *root, const char *path, const char *words) {
        failure_done(&root->failure);
        g_assert_cmpint(esp_volume_open(root->fd, path, VOLUME_ESP, NULL, &root->volume, &root->failure), ==, -ENODEV);
        g_assert_cmpint(root->failure.condition, ==, CONDITION_ESP_NOT_FOUND);
        g_test_message("%s", root->failure.message);
        g_assert_nonnull(strstr(root->failure.message, words));
}

static void test_folder(Root *root, gconstpointer unused) {
        test_make_folder(root->path, "boot", 0755);
        assert_not_found(root, NULL, "/boot is a folder on ");
        assert_not_found(root, NULL, "not a mounted vfat; /efi does not exist; /boot/efi does not exist");
        assert_not_found(root, "/boot", "/boot is a folder on ");
        g_assert_null(strstr(root->failure.message, "/efi"));
        test_write(root->path, "efi", "a file", -1, 0600);
        assert_not_found(root, "/efi", "/efi cannot be opened: Not a directory");
}

/* Mounts in a mount namespace of the test's own, which ROOT is opened in anew. */
static void enter_namespace(Root *root) {
        static bool entered;

        if (!entered && unshare(CLONE_NEWNS) < 0)
                g_assert_cmpint(unshare(CLONE_NEWUSER | CLONE_NEWNS), ==, 0);
        entered = true;
        g_assert_cmpint(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        close(root->fd);
        root->fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_other_mount(Root *root, gconstpointer unused) {
        g_autofree char *boot = test_path(root->path, "boot");

        test_make_folder(root->path, "boot", 0755);
        enter_namespace(root);
        g_assert_cmpint(mount("boot", boot, "tmpfs", 0, "size=1m"), ==, 0);
        assert_not_found(root, "/boot", "/boot is a mounted tmpfs, not a vfat");
        /* A folder that a sandbox mounted on itself. */
        g_assert_cmpint(mount(boot, boot, NULL, MS_BIND, NULL), ==, 0);
        assert_not_found(root, "/boot", "/boot is a mounted tmpfs, not a vfat");
        g_assert_cmpint(umount2(boot, MNT_DETACH), ==, 0);
        test_make_folder(root->path, "boot/efi", 0755);
        assert_not_found(root, "/boot/efi", "/boot/efi is a folder on tmpfs, not a mounted vfat");
        g_assert_cmpint(umount2(boot, MNT_DETACH), ==, 0);
}

static void test_any(Root *root, gconstpointer unused) {
        test_make_folder(root->path, "efi", 0700);
        g_assert_cmpint(esp_volume_open(root->fd, NULL, VOLUME_ESP, &any_folder, &root->volume, &root->failure), ==, 0);
        g_assert_cmpstr(root->volume.path, ==, "/efi");
        g_assert_cmpstr(root->volume.partition_uuid, ==, "");
        g_assert_cmpuint(root->volume.cluster_bytes, >, 0);
        g_assert_cmpuint(root->volume.total_bytes, >=, root->volume.free_bytes);
        g_assert_false(root->volume.world_readable);
        g_assert_false(root->volume.read_only);
        g_assert_cmpint(esp_volume_check_writable(&root->volume, NULL), ==, 0);
        test_write(root->path, "efi/x", "x", -1, 0600);
        g_assert_cmpint(faccessat(root->volume.fd, "x", F_OK, 0), ==, 0);
}

static void test_readable_by_others(Root *root, gconstpointer unused) {
        static const struct {
                mode_t mode;
                bool readable;
        } cases[] = {{0700, false}, {0755, true}, {0701, true}, {0704, true}};

        for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
                test_make_folder(root->path, "boot", cases[i].mode);
                esp_volume_done(&root->volume);
                g_assert_cmpint(esp_volume_open(root->fd, "/boot", VOLUME_ESP, &any_folder, &root->volume, NULL), ==,
                                0);
                g_assert_true(root->volume.world_readable == cases[i].readable);
        }
}

static void test_read_only(Root *root, gconstpointer unused) {
        g_autofree char *boot = test_path(root->path, "boot");

        test_make_folder(root->path, "boot", 0755);
        enter_namespace(root);
        g_assert_cmpint(mount("boot", boot, "tmpfs", MS_RDONLY, "size=1m"), ==, 0);
        g_assert_cmpint(esp_volume_open(root->fd, "/boot", VOLUME_ESP, &any_folder, &root->volume, &root->failure), ==,
                        0);
        g_assert_true(root->volume.read_only);
        g_assert_cmpint(esp_volume_check_writable(&root->volume, &root->failure), ==, -EROFS);
        g_assert_cmpint(root->failure.condition, ==, CONDITION_ESP_READ_ONLY);
        g_assert_nonnull(strstr(failure_hint(&root->failure), "Mount it writable"));
        esp_volume_done(&root->volume);
        failure_done(&root->failure);

        /* Read-only here alone, as in a sandbox. */
        g_assert_cmpint(mount(NULL, boot, NULL, MS_REMOUNT, "size=1m"), ==, 0);
        g_assert_cmpint(mount(NULL, boot, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==, 0);
        g_assert_cmpint(esp_volume_open(root->fd, "/boot", VOLUME_ESP, &any_folder, &root->volume, NULL), ==, 0);
        g_assert_cmpint(esp_volume_check_writable(&root->volume, &root->failure), ==, -EROFS);
        g_assert_nonnull(strstr(failure_hint(&root->failure), "drop-in"));
        esp_volume_done(&root->volume);
        g_assert_cmpint(umount2(boot, MNT_DETACH), ==, 0);
}

#define TEST(name, function) g_test_add("/esp/volume/" name, Root, NULL, root_setup, function, root_teardown)

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        TEST("a-folder-that-is-not-mounted-is-named-with-what-it-is", test_folder);
        TEST("a-mount-of-another-kind-is-named", test_other_mount);
        TEST("where-asked-any-folder-is-taken", test_any);
        TEST("one-that-others-can-read-is-known", test_readable_by_others);
        TEST("a-read-only-one-is-opened-but-not-for-writing", test_read_only);
        return g_test_run();
}
