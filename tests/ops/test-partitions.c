/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Several ESPs: what one run makes of all of them, and of each that fails. */

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "tests/lib/cut.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/partitions-fixture.h"

/* Names and content of all that stands in a folder. */
static char *tree(const Machine *machine, const char *folder) {
        g_autofree char *path = test_path(machine->root, folder), *text = NULL;
        const char *const arguments[] = {"sh", "-c", "cd \"$1\" && find . -type f | sort | xargs -r -d '\\n' sha256sum",
                                         "sh", path, NULL};
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &text, NULL,
                                   &status, NULL));
        g_assert_cmpint(status, ==, 0);
        return g_steal_pointer(&text);
}

static void assert_same(const Machine *machine, const char *a, const char *b) {
        g_autofree char *a_tree = tree(machine, a), *b_tree = tree(machine, b);

        g_assert_cmpstr(a_tree, ==, b_tree);
        g_assert_nonnull(strstr(a_tree, "/EFI/Linux/nixos-generation-2-"));
        g_assert_nonnull(strstr(a_tree, "/loader/loader.conf"));
}

static void test_same_state(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *rehearsed = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL), *listed = NULL;
        g_autofree char *first = outcome_get(outcome, "partitions.0.images-written"),
                        *planned = outcome_get(rehearsed, "partitions.1.images-written");

        outcome_assert(outcome, "partitions", "2");
        outcome_assert(outcome, "partitions.0.path", "/boot");
        outcome_assert(outcome, "partitions.1.path", "/boot2");
        outcome_assert(outcome, "partitions.1.partition-uuid", MACHINE_SECOND_UUID);
        outcome_assert(outcome, "partitions.1.role", "esp");
        outcome_assert(outcome, "partitions.1.problem", "-");
        outcome_assert(outcome, "partitions.1.images-written", first);
        g_assert_cmpstr(planned, ==, first);
        outcome_assert(outcome, "warnings", "");
        /* Two images and the boot loader, each signed once. */
        g_assert_cmpuint(outcome->signatures, ==, 3);
        assert_same(machine, "boot", "boot2");
        partitions_assert_settled(machine);

        listed = machine_run_status(machine, 0, "list", NULL);
        outcome_assert(listed, "partitions", "2");
        outcome_assert(listed, "images", "4");
        outcome_assert(listed, "images.3.partition", "/boot2");
        outcome_assert(listed, "images.3.default", "yes");
        outcome_assert_has(listed, "generations.0.images", "nixos-generation-2-");
        g_free(planned);
        planned = outcome_get(listed, "generations.0.images");
        g_assert_null(strchr(planned, '\n'));
}

static void test_garbage(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine_remove_generation(machine, 1);
        outcome = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert_has(outcome, "partitions.0.images-removed", "nixos-generation-1-");
        outcome_assert_has(outcome, "partitions.1.images-removed", "nixos-generation-1-");
        g_assert_cmpuint(partitions_count_files(machine, "boot2/EFI/Linux", "nixos-"), ==, 1);
        g_assert_cmpuint(partitions_count_files(machine, "boot2/EFI/nixos", "initrd-"), ==, 1);
        assert_same(machine, "boot", "boot2");
}

/* One of two fails; FAILING is its index. The other gets everything, and the next run mends the first. */
static void assert_degraded(Machine *machine, unsigned failing, const char *error, const char *text) {
        g_autofree char *name = g_strdup_printf("partitions.%u.error", failing),
                        *problem = g_strdup_printf("partitions.%u.problem", failing),
                        *its_default = g_strdup_printf("partitions.%u.default-entry", failing),
                        *other_default = g_strdup_printf("partitions.%u.default-entry", 1 - failing),
                        *other_written = g_strdup_printf("partitions.%u.images-written", 1 - failing);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);

        outcome_assert(outcome, "partitions", "2");
        outcome_assert(outcome, name, error);
        outcome_assert_has(outcome, problem, text);
        outcome_assert_has(outcome, "warnings", text);
        outcome_assert(outcome, its_default, "-");
        outcome_assert_has(outcome, other_default, "nixos-generation-2-");
        outcome_assert_has(outcome, other_written, "nixos-generation-2-");
}

static void assert_mended(Machine *machine) {
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        assert_same(machine, "boot", "boot2");
        partitions_assert_settled(machine);
}

static void test_missing(gconstpointer data) {
        unsigned failing = GPOINTER_TO_UINT(data);
        const char *folder = failing == 0 ? "boot" : "boot2";
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *status = NULL, *listed = NULL;
        g_autofree char *path = test_path(machine->root, folder);

        g_assert_cmpint(g_rmdir(path), ==, 0);
        assert_degraded(machine, failing, "EspNotFound", "does not exist");
        status = machine_run_status(machine, 0, "status", NULL);
        outcome_assert(status, "partitions", "1");
        outcome_assert_has(status, "problems.0.message", "does not exist");
        listed = machine_run_status(machine, OPERATION_IN_PART, "list", NULL);
        outcome_assert_has(listed, "warnings", "does not exist");
        test_make_folder(machine->root, folder, 0700);
        assert_mended(machine);
}

static void test_all_missing(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *first = test_path(machine->root, "boot"), *second = test_path(machine->root, "boot2");

        g_assert_cmpint(g_rmdir(first), ==, 0);
        g_assert_cmpint(g_rmdir(second), ==, 0);
        outcome = machine_run_refused(machine, CONDITION_ESP_NOT_FOUND, "sync", NULL);
        outcome_assert_message(outcome, "/boot does not exist");
        outcome_assert_message(outcome, "/boot2 does not exist");
}

/* A file in the place of a folder: neither can it be read nor written. */
static void test_broken(gconstpointer data) {
        unsigned failing = GPOINTER_TO_UINT(data);
        const char *file = failing == 0 ? "boot/EFI" : "boot2/EFI";
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);
        g_autofree char *path = test_path(machine->root, file);

        machine_write(machine, file, "");
        assert_degraded(machine, failing, "Failed", "Not a directory");
        g_assert_cmpint(g_unlink(path), ==, 0);
        assert_mended(machine);
}

static void test_busy(gconstpointer data) {
        unsigned failing = GPOINTER_TO_UINT(data);
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);
        g_autofree char *path = test_path(machine->root, failing == 0 ? "boot" : "boot2");
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", "timeout", "0", NULL);
        outcome_assert(outcome, failing == 0 ? "partitions.0.error" : "partitions.1.error", "Busy");
        close(fd);
        assert_mended(machine);
}

/* Two runs whose configurations name them in another order do not wait for each other for ever. */
static void test_lock_order(void) {
        static const char *const names[] = {"/boot", "/boot2"};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *last = NULL;
        int fds[G_N_ELEMENTS(names)];

        test_make_folder(machine->root, "boot2", 0700);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *path = test_path(machine->root, names[i]);

                fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                g_assert_cmpint(flock(fds[i], LOCK_EX), ==, 0);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                free(machine->settings.esp_path);
                machine->settings.esp_path = strdup(names[i]);
                string_list_done(&machine->settings.esp_extra_paths);
                partitions_add_esp(machine, names[1 - i]);
                outcome_free(machine_run_refused(machine, CONDITION_BUSY, "sync", "timeout", "1", NULL));
                if (i == 0)
                        last = g_strdup(machine->waited_for);
                g_assert_cmpstr(machine->waited_for, ==, last);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                close(fds[i]);
}

/* Runs TEST in a child that has mounts of its own. */
static void with_mounts(void (*test)(Machine *machine, unsigned failing), Machine *machine, unsigned failing) {
        pid_t pid = fork();
        int status;

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0)
                        _exit(errno);
                g_assert_cmpint(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
                test(machine, failing);
                _exit(0);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void fail_read_only(Machine *machine, unsigned failing) {
        g_autofree char *path = test_path(machine->root, failing == 0 ? "boot" : "boot2");

        g_assert_cmpint(mount(path, path, NULL, MS_BIND, NULL), ==, 0);
        g_assert_cmpint(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
        assert_degraded(machine, failing, "EspReadOnly", "is mounted read-only");
        g_assert_cmpint(umount(path), ==, 0);
        assert_mended(machine);
}

static void test_read_only(gconstpointer data) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);

        with_mounts(fail_read_only, machine, GPOINTER_TO_UINT(data));
}

/* Full before the first write, by what the file system says of itself. */
static void fail_full(Machine *machine, unsigned failing) {
        g_autofree char *path = test_path(machine->root, failing == 0 ? "boot" : "boot2");
        g_autofree char *tree_after = NULL;

        g_assert_cmpint(mount("none", path, "tmpfs", 0, "size=4k,mode=0700"), ==, 0);
        assert_degraded(machine, failing, "EspFull", "do not fit");
        tree_after = tree(machine, failing == 0 ? "boot" : "boot2");
        g_assert_cmpstr(tree_after, ==, "");
        g_assert_cmpint(umount(path), ==, 0);
        assert_mended(machine);
}

static void test_full(gconstpointer data) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);

        with_mounts(fail_full, machine, GPOINTER_TO_UINT(data));
}

/* Full in the middle of the writing: there are bytes, and no inodes. */
static void fail_writing(Machine *machine, unsigned failing) {
        g_autofree char *path = test_path(machine->root, failing == 0 ? "boot" : "boot2");
        g_autofree char *tree_after = NULL;

        g_assert_cmpint(mount("none", path, "tmpfs", 0, "nr_inodes=5,mode=0700"), ==, 0);
        assert_degraded(machine, failing, "EspFull", "is full");
        tree_after = tree(machine, failing == 0 ? "boot" : "boot2");
        g_assert_cmpstr(tree_after, ==, "");
        g_assert_cmpint(umount(path), ==, 0);
        assert_mended(machine);
}

static void test_failing_write(gconstpointer data) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ false);

        with_mounts(fail_writing, machine, GPOINTER_TO_UINT(data));
}

/* The same folder by two names. */
static void test_twice(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *status = NULL;

        machine_symlink(machine, "/boot", "/efi");
        partitions_add_esp(machine, "/efi");
        partitions_add_esp(machine, "/boot");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions", "1");
        outcome_assert_lines(outcome, "warnings",
                             "/efi is the same as /boot, and counts once\n/boot is the same as /boot, and counts once");
        status = machine_run_status(machine, 0, "status", NULL);
        outcome_assert_has(status, "problems.0.message", "counts once");
}

/* What the firmware would refuse is refused before anything is written, wherever it was to stand. */
static void test_would_not_boot(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *before = NULL, *after = NULL;

        machine_enforce(machine);
        test_make_folder(machine->root, "boot2", 0700);
        partitions_add_esp(machine, "/boot2");
        machine_set_keys(machine, "foreign-");
        before = partitions_snapshot(machine);
        outcome = machine_run_refused(machine, CONDITION_WOULD_NOT_BOOT, "sync", NULL);
        after = partitions_snapshot(machine);
        g_assert_cmpstr(before, ==, after);
        machine_set_keys(machine, "");
        assert_mended(machine);
}

static void assert_boots(Machine *machine, const char *first, const char *second) {
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        outcome_assert(outcome, "partitions.0.boots", first);
        outcome_assert(outcome, "partitions.1.boots", second);
}

/* Which of them the firmware starts: what it was started from, what is in the boot order, else any. */
static void test_boots(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ true);

        assert_boots(machine, "yes", "yes");
        machine_set_boot_entry(machine, "Windows", MACHINE_ESP_UUID, "\\EFI\\Microsoft\\Boot\\bootmgfw.efi", true);
        assert_boots(machine, "yes", "yes");
        machine_set_boot_entry(machine, "Linux", MACHINE_SECOND_UUID, "\\EFI\\systemd\\systemd-bootx64.efi", false);
        assert_boots(machine, "yes", "yes");
        machine_set_boot_entry(machine, "Linux", MACHINE_SECOND_UUID, "\\EFI\\systemd\\systemd-bootx64.efi", true);
        assert_boots(machine, "no", "yes");
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", MACHINE_ESP_UUID);
        assert_boots(machine, "yes", "yes");
        machine_set_boot_entry(machine, "Linux", MACHINE_ESP_UUID, "\\EFI\\BOOT\\BOOTX64.EFI", true);
        assert_boots(machine, "yes", "no");
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", "11111111-6b0f-4c35-9d77-5d7a2a5d5c11");
        machine_set_boot_entry(machine, "Linux", MACHINE_ESP_UUID, "\\EFI\\BOOT\\BOOTX64.EFI", false);
        assert_boots(machine, "no", "no");
}

/* One that would boot is enough, if it is one that the firmware starts. */
static void test_status_check(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ true);
        g_autofree char *loader = test_path(machine->root, "boot/" MACHINE_SYSTEMD_BOOT);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        outcome_free(machine_run_status(machine, 0, "status", "check", "yes", NULL));
        machine_write(machine, "boot/" MACHINE_SYSTEMD_BOOT, "damaged");
        outcome_free(machine_run_status(machine, 0, "status", "check", "yes", NULL));
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", MACHINE_ESP_UUID);
        outcome_free(machine_run_status(machine, OPERATION_WOULD_NOT_BOOT, "status", "check", "yes", NULL));
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        outcome_free(machine_run_status(machine, 0, "status", "check", "yes", NULL));
        machine_write(machine, "boot2/" MACHINE_SYSTEMD_BOOT, "damaged");
        outcome_free(machine_run_status(machine, 0, "status", "check", "yes", NULL));
}

/* Enrolling is for all of them: one that would not boot any more is a reason not to; one that is away, a warning. */
static void test_enrollment(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_two(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *refused = NULL, *enrolled = NULL;
        g_autofree char *second = test_path(machine->root, "boot2"), *away = test_path(machine->root, "away");
        g_autoptr(GBytes) unsigned_loader = machine_application("#### LoaderInfo: systemd-boot 1 ####");

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        test_write_bytes(machine->root, "boot2/" MACHINE_FALLBACK, unsigned_loader, 0600);
        refused = machine_run_refused(machine, CONDITION_WOULD_NOT_BOOT, "enroll-keys", "microsoft", "all", NULL);
        outcome_assert_message(refused, "/boot2/" MACHINE_FALLBACK);
        g_assert_cmpint(g_rename(second, away), ==, 0);
        enrolled = machine_run_status(machine, 0, "enroll-keys", "microsoft", "all", NULL);
        outcome_assert_has(enrolled, "warnings", "/boot2 does not exist");
}

/* Secrets that nobody hands in any more are copied to an ESP that is new. */
static void test_kept_secrets(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->is_live = true;
        machine_set_keys(machine, "");
        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine_add_generation(machine, &(MachineGeneration){.number = 2, .secrets = "printf secret >> \"$1\""});
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine->is_service = true;
        test_make_folder(machine->root, "boot2", 0700);
        partitions_add_esp(machine, "/boot2");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.contents-written", "");
        g_assert_cmpuint(partitions_count_files(machine, "boot2/EFI/nixos", "initrd-"), ==, 2);
        assert_same(machine, "boot", "boot2");
        partitions_assert_settled(machine);
}

/* Secrets do not go where others can read them, and that is one volume's matter. */
static void test_privacy(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        g_autofree char *second = test_path(machine->root, "boot2");

        machine->is_live = true;
        machine->settings.strict_permissions = true;
        machine_set_keys(machine, "");
        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine_add_generation(machine, &(MachineGeneration){.number = 2, .secrets = "printf secret >> \"$1\""});
        test_make_folder(machine->root, "boot2", 0755);
        partitions_add_esp(machine, "/boot2");
        assert_degraded(machine, 1, "EspNotPrivate", "/boot2 can be read by others");
        g_assert_cmpuint(partitions_count_files(machine, "boot2", ""), ==, 0);
        g_assert_cmpint(g_chmod(second, 0700), ==, 0);
        assert_mended(machine);
}

static void shell(const Machine *machine, const char *script) {
        const char *const arguments[] = {"sh", "-euc", script, NULL};
        int status;

        g_assert_true(g_spawn_sync(machine->root, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                                   &status, NULL));
        g_assert_cmpint(status, ==, 0);
}

static int sync_in_child(void *userdata) {
        outcome_free(machine_run(userdata, "sync", NULL));
        return 0;
}

/* Whether the machine could be started: what loader.conf of HOME names stands on FIRST or SECOND, and every image there
 * has its files. */
static void assert_bootable(const Machine *machine, const char *home, const char *first, const char *second) {
        g_autofree char *script = g_strdup_printf(
                "name=$(sed -n 's/^default //p' %s/loader/loader.conf)\n"
                "test -e %s/EFI/Linux/\"$name\" || test -e %s/EFI/Linux/\"$name\"\n"
                "for folder in %s %s; do for image in \"$folder\"/EFI/Linux/nixos-*.efi; do\n"
                "  test -e \"$image\" || continue\n"
                "  for file in $(strings -n 40 \"$image\" | grep -o 'EFI.nixos.[a-z]*-[0-9.]*-[a-z2-7]*[.]efi'); do\n"
                "    test -s \"$folder/$(printf %%s \"$file\" | tr '\\\\' /)\"\n"
                "  done\n"
                "done; done",
                home, first, second, first, second);

        shell(machine, script);
}

/* A process that is killed while images move to another volume, and an ESP is filled that is new, leaves a machine that
 * boots; the next run finishes. */
static void test_killed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        int n = g_getenv("LANZA_LONG") ? 0 : g_test_rand_int_range(0, 8), step = g_getenv("LANZA_LONG") ? 1 : 8,
            cuts = 0;
        bool was_cut = true;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "another"});
        shell(machine, "mkdir saved && cp -a boot saved/");
        partitions_set_xbootldr(machine, "/xboot");
        partitions_add_esp(machine, "/boot2");
        for (; was_cut; n += step, cuts++) {
                shell(machine, "rm -rf boot boot2 xboot && cp -a saved/boot . && mkdir -m 0700 xboot boot2");
                was_cut = cut_before(sync_in_child, machine, n, NULL);
                assert_bootable(machine, "boot", "boot", "xboot");
                outcome_free(machine_run_status(machine, 0, "sync", NULL));
                assert_bootable(machine, "boot", "xboot", "xboot");
                assert_bootable(machine, "boot2", "boot2", "boot2");
                g_assert_cmpuint(partitions_count_files(machine, "boot/EFI/Linux", ""), ==, 0);
                g_assert_cmpuint(partitions_count_files(machine, "xboot/EFI/Linux", ""), ==, 3);
                g_assert_cmpuint(partitions_count_files(machine, "boot2/EFI/Linux", ""), ==, 3);
        }
        g_assert_cmpint(cuts, >, 5);
}

#define TEST(name, function) g_test_add_func("/ops/partitions/" name, function)
#define TEST_EACH(name, function)                                                                                      \
        g_test_add_data_func("/ops/partitions/" name "-the-first", GUINT_TO_POINTER(0), function);                     \
        g_test_add_data_func("/ops/partitions/" name "-another", GUINT_TO_POINTER(1), function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("all-get-the-same-signed-once", test_same_state);
        TEST("garbage-is-collected-on-all", test_garbage);
        TEST_EACH("goes-on-where-one-is-missing", test_missing);
        TEST("refuses-where-all-are-missing", test_all_missing);
        TEST_EACH("goes-on-where-one-cannot-be-read", test_broken);
        TEST_EACH("goes-on-where-one-is-locked", test_busy);
        TEST("locks-them-in-one-order-however-they-are-named", test_lock_order);
        TEST_EACH("goes-on-where-one-is-read-only", test_read_only);
        TEST_EACH("goes-on-where-one-is-too-small", test_full);
        TEST_EACH("goes-on-where-writing-fails-on-one", test_failing_write);
        TEST("one-by-two-names-counts-once", test_twice);
        TEST("refuses-before-the-first-write-anywhere", test_would_not_boot);
        TEST("knows-which-one-the-firmware-starts", test_boots);
        TEST("one-that-boots-is-enough-for-a-check", test_status_check);
        TEST("enrolling-looks-at-all", test_enrollment);
        TEST("kept-secrets-are-copied", test_kept_secrets);
        TEST("secrets-stay-off-one-that-others-can-read", test_privacy);
        TEST("a-killed-run-leaves-what-boots-and-the-next-one-finishes", test_killed);
        return g_test_run();
}
