/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When sync says no: by which condition, with which words, and with nothing changed. */

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
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

/* Refused with CONDITION, and neither the ESP nor the store of keys and generations has changed. */
static Outcome *refuse(Machine *machine, Condition condition, const char *toplevel) {
        g_autofree char *before = machine_snapshot(machine, "boot"), *after = NULL,
                        *nix = machine_snapshot(machine, "nix"), *nix_after = NULL;
        Outcome *outcome = toplevel ? machine_run_refused(machine, condition, "sync", "toplevel", toplevel, NULL)
                                    : machine_run_refused(machine, condition, "sync", NULL);

        after = machine_snapshot(machine, "boot");
        nix_after = machine_snapshot(machine, "nix");
        g_assert_cmpstr(before, ==, after);
        g_assert_cmpstr(nix, ==, nix_after);
        return outcome;
}

static Machine *synced(bool has_firmware) {
        Machine *machine = machine_new_typical(has_firmware);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        return machine;
}

static void test_foreign_toplevel(void) {
        static const char *const foreign[] = {"/nix/store/other", "/etc", "result", "", "/nix/store/gone"};
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);

        machine_write(machine, "nix/store/other/boot.json", "{}");
        for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++) {
                _cleanup_(outcome_freep) Outcome *outcome = refuse(machine, CONDITION_FOREIGN_TOPLEVEL, foreign[i]);

                outcome_assert_message(outcome, foreign[i]);
                outcome_assert_hint(outcome, "nix-env --profile");
        }
}

static void test_malformed_default(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *named = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 3});
        machine_write(machine, "nix/store/system-3/boot.json", "{");
        outcome = refuse(machine, CONDITION_BAD_BOOTSPEC, NULL);
        outcome_assert_message(outcome, "Generation 3, which is to be the default, is malformed: /nix/store/system-3");
        outcome_assert_hint(outcome, "Build the generation again");
        named = refuse(machine, CONDITION_BAD_BOOTSPEC, "/nix/store/system-3");
}

static void test_default_without_kernel(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        g_autofree char *json = NULL, *path = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        char *kernel;

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .kernel = "kernel 3"});
        json = machine_read(machine, "nix/store/system-3/boot.json");
        kernel = strstr(json, "\"kernel\": \"");
        g_assert_nonnull(kernel);
        kernel += strlen("\"kernel\": \"");
        kernel[strcspn(kernel, "\"")] = 0;
        path = test_path(machine->root, kernel);
        g_assert_cmpint(g_unlink(path), ==, 0);
        outcome = machine_run_refused(machine, CONDITION_BAD_BOOTSPEC, "sync", NULL);
        outcome_assert_message(outcome, path + strlen(machine->root));
}

static void test_nothing_bootable(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_remove_generation(machine, 1);
        machine_remove_generation(machine, 2);
        outcome = refuse(machine, CONDITION_NOTHING_BOOTABLE, NULL);
        outcome_assert_hint(outcome, "Nothing was changed");
}

static void test_no_profiles(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        string_list_done(&machine->settings.profiles);
        g_assert_cmpint(string_list_add(&machine->settings.profiles, "/nowhere"), ==, 0);
        outcome = machine_run_refused(machine, CONDITION_FAILED, "sync", NULL);
        outcome_assert_message(outcome, "/nowhere");
}

static void test_unsigned_forbidden(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine->settings.allow_unsigned = SETTINGS_NO;
        outcome = refuse(machine, CONDITION_NO_KEYS, NULL);
        outcome_assert_hint(outcome, "create-keys");
}

static void test_unsigned_enforced(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine_set_certificate(machine, "PK", "foreign-PK.der");
        machine_set_certificate(machine, "db", "foreign-db.der");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome = refuse(machine, CONDITION_NO_KEYS, NULL);
        outcome_assert_message(outcome, "the firmware runs only what is signed");
}

/* The store is gone with all it knew; the firmware, which does not enforce, still has the certificate. */
static void test_lost_store(void) {
        static const struct {
                const char *variable, *certificate;
        } cases[] = {{"PK", "PK.der"}, {"KEK", "KEK.der"}, {"db", "db.der"}};

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
                g_autofree char *message = g_strdup_printf("firmware's %s holds", cases[i].variable);
                _cleanup_(outcome_freep) Outcome *refused = NULL;

                machine_write(machine, "etc/hostname", "Test\n");
                machine_add_generation(machine, &(MachineGeneration){.number = 1});
                machine_set_certificate(machine, cases[i].variable, cases[i].certificate);
                refused = refuse(machine, CONDITION_NO_KEYS, NULL);
                outcome_assert_message(refused, message);
                outcome_assert_hint(refused, "Restore the key store");
        }
}

/* The same with keys that were made elsewhere, and have names of their own. */
static void test_lost_store_of_others(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        g_autofree char *store = test_path(machine->root, "var/lib/lanzad");
        _cleanup_(outcome_freep) Outcome *refused = NULL, *collected = NULL;

        machine_set_certificate(machine, "db", "db.der");
        g_assert_cmpint(test_run(NULL, "rm", "-r", store, NULL), ==, 0);
        refused = refuse(machine, CONDITION_NO_KEYS, NULL);
        outcome_assert_message(refused, "boot/EFI/Linux/nixos-generation-");
        collected = machine_run_status(machine, 0, "gc", NULL);
}

/* Keys were there and are lost: nothing unsigned takes the place of what is signed. */
static void test_lost_keys(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        g_autofree char *from = test_path(machine->root, "var/lib/lanzad/keys"), *to = g_strconcat(from, "-lost", NULL);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(g_rename(from, to), ==, 0);
        outcome = refuse(machine, CONDITION_NO_KEYS, NULL);
}

static void test_half_pair(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);
        g_autofree char *key = test_path(machine->root, "var/lib/lanzad/keys/db/db.key");
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(g_unlink(key), ==, 0);
        outcome = refuse(machine, CONDITION_BAD_KEYS, NULL);
        outcome_assert_message(outcome, key);
}

/* Only a signature shows it, and the first image's is that one: it comes before anything is written. */
static void test_damaged_key(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        g_autoptr(GBytes) damaged = test_pki("db-damaged.key");

        test_write_bytes(machine->root, "var/lib/lanzad/keys/db/db.key", damaged, 0600);
        for (size_t i = 0; i < 2; i++) {
                _cleanup_(outcome_freep) Outcome *refused = refuse(machine, CONDITION_BAD_KEYS, NULL);
                _cleanup_(outcome_freep) Outcome *dry =
                        machine_run_refused(machine, CONDITION_BAD_KEYS, "sync", "dry-run", "yes", NULL);

                outcome_assert_message(refused, "var/lib/lanzad/keys/db/db.key is damaged");
                outcome_assert_message(dry, "no signature that it makes is good");
                outcome_assert_hint(refused, "create-keys");
                machine_add_generation(machine, &(MachineGeneration){.number = 10});
        }
}

static void test_swapped_keys(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *mended = NULL;

        machine_enforce(machine);
        machine_set_keys(machine, "foreign-");
        machine_add_generation(machine, &(MachineGeneration){.number = 3});
        outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT, NULL);
        outcome_assert_message(outcome, "EFI/Linux/nixos-generation-3-");
        outcome_assert_hint(outcome, "does not trust what this key store signs");
        machine_set_keys(machine, "");
        mended = machine_run_status(machine, 0, "sync", NULL);
}

/* Activation goes back to a system that is there already, and somebody took our certificate out of db. */
static void test_kept_default(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_enforce(machine);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine_set_certificate(machine, "db", "foreign-db.der");
        outcome = refuse(machine, CONDITION_WOULD_NOT_BOOT, NULL);
        outcome_assert_message(outcome, "boot/EFI/Linux/nixos-generation-");
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
}

static void test_swapped_keys_before_reboot(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ true);

        outcome_free(machine_run_status(machine, 0, "enroll-keys", "yes-this-might-brick-my-machine", "yes", NULL));
        machine_set_keys(machine, "foreign-");
        outcome_free(refuse(machine, CONDITION_WOULD_NOT_BOOT, NULL));
}

static void test_revoked(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);

        machine_enforce(machine);
        machine_set_certificate(machine, "dbx", "db.der");
        machine_add_generation(machine, &(MachineGeneration){.number = 3});
        outcome_free(refuse(machine, CONDITION_WOULD_NOT_BOOT, NULL));
}

static void bad_image(Machine *machine, const char *message) {
        _cleanup_(outcome_freep) Outcome *outcome = refuse(machine, CONDITION_BAD_IMAGE, NULL);

        outcome_assert_message(outcome, message);
        outcome_assert_hint(outcome, "Install the package");
}

static void test_bad_programs(void) {
        static const char *const programs[] = {MACHINE_STUB, MACHINE_LOADER};
        const PeFixtureSection sections[] = {{".text", "\xc3", 1, 0x60000020}};
        PeFixture fixture = {.machine = 0xaa64, .sections = sections, .n_sections = 1};
        g_autoptr(GBytes) other = g_byte_array_free_to_bytes(pe_fixture_build(&fixture));

        for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
                _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
                g_autofree char *path = test_path(machine->root, programs[i]);
                g_autofree char *missing = g_strdup_printf("%s cannot be read: No such file", path);

                g_assert_cmpint(g_unlink(path), ==, 0);
                bad_image(machine, missing);
                machine_write(machine, programs[i], "MZ, and nothing more");
                bad_image(machine, "is no PE image");
                machine_write(machine, programs[i], "");
                bad_image(machine, "is no PE image");
                test_write_bytes(machine->root, programs[i], other, 0644);
                bad_image(machine, "is for another machine (0xaa64, not x86-64)");
                g_assert_cmpint(g_unlink(path), ==, 0);
                test_make_folder(machine->root, programs[i], 0755);
                bad_image(machine, "Is a directory");
        }
}

static void test_other_loader(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        g_autoptr(GBytes) other = machine_application("GNU GRUB");

        test_write_bytes(machine->root, MACHINE_LOADER, other, 0644);
        bad_image(machine, "is no systemd-boot");
}

static void test_loader_config(void) {
        _cleanup_(machine_freep) Machine *machine = synced(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *missing = NULL, *control = NULL;

        machine->settings.loader_config = strdup("/etc/loader.conf");
        missing = refuse(machine, CONDITION_BAD_CONFIGURATION, NULL);
        outcome_assert_message(missing, "LoaderConfig=/etc/loader.conf: No such file");
        machine_write(machine, "etc/loader.conf", "timeout 3\a\n");
        control = refuse(machine, CONDITION_BAD_CONFIGURATION, NULL);
        outcome_assert_message(control, "control characters");
}

static void test_missing_esp(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->settings.esp_path = strdup("/efi");
        outcome = machine_run_refused(machine, CONDITION_ESP_NOT_FOUND, "sync", NULL);
        outcome_assert_message(outcome, "/efi does not exist");
        outcome_assert_hint(outcome, "Mount the EFI system partition");
        g_assert_false(test_exists(machine->root, "efi"));
}

/* In a child with mounts of its own, where the ESP is a read-only one. */
static int sync_read_only(Machine *machine) {
        g_autofree char *esp = test_path(machine->root, "boot");
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *rehearsed = NULL;

        if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return errno;
        g_assert_cmpint(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        g_assert_cmpint(mount(esp, esp, NULL, MS_BIND, NULL), ==, 0);
        g_assert_cmpint(mount(NULL, esp, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), ==, 0);
        rehearsed = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
        outcome = machine_run_refused(machine, CONDITION_ESP_READ_ONLY, "sync", NULL);
        outcome_assert_message(outcome, "/boot is mounted read-only");
        return 0;
}

static void test_read_only(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        pid_t pid = fork();
        int status;

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0)
                _exit(sync_read_only(machine));
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void test_busy(void) {
        static const char *const folders[] = {"var/lib/lanzad", "boot"}, *const names[] = {"the key store", "/boot"};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
                g_autofree char *path = test_path(machine->root, folders[i]);
                _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                _cleanup_(outcome_freep) Outcome *outcome = NULL, *rehearsed = NULL;

                g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
                outcome = machine_run_refused(machine, CONDITION_BUSY, "sync", "timeout", "1", NULL);
                outcome_assert_message(outcome, names[i]);
                g_assert_cmpstr(machine->waited_for, ==, names[i]);
                rehearsed = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
                if (i == 1) {
                        _cleanup_(outcome_freep) Outcome *open_to_all = NULL;

                        g_assert_cmpint(chmod(path, 0755), ==, 0);
                        open_to_all = machine_run_refused(machine, CONDITION_BUSY, "sync", "timeout", "0", NULL);
                        outcome_assert_hint(open_to_all, "umask=0077");
                }
        }
        outcome_free(machine_run_status(machine, 0, "sync", "timeout", "1", NULL));
}

/* A holder that goes away lets the waiting one through. */
static void test_waits(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *path = test_path(machine->root, "boot");
        _cleanup_(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int go[2];
        pid_t pid;

        g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
        g_assert_cmpint(pipe(go), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                /* Holds the lock by the shared description until a while after the parent has let go of it. */
                close(go[1]);
                (void)!read(go[0], &(char){0}, 1);
                usleep(300 * 1000);
                _exit(0);
        }
        close(go[0]);
        close_fd(&fd);
        fd = -EBADF;
        close(go[1]);
        outcome_free(machine_run_status(machine, 0, "sync", "timeout", "60", NULL));
        g_assert_cmpstr(machine->waited_for, ==, "/boot");
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

#define TEST(name, function) g_test_add_func("/ops/sync/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("refuses-a-toplevel-of-no-profile", test_foreign_toplevel);
        TEST("refuses-a-malformed-default", test_malformed_default);
        TEST("refuses-a-default-without-kernel", test_default_without_kernel);
        TEST("refuses-to-leave-nothing-bootable", test_nothing_bootable);
        TEST("refuses-where-there-is-no-profile-folder", test_no_profiles);
        TEST("refuses-unsigned-images-where-they-are-not-allowed", test_unsigned_forbidden);
        TEST("refuses-unsigned-images-where-firmware-enforces", test_unsigned_enforced);
        TEST("refuses-unsigned-images-where-keys-were-lost", test_lost_keys);
        TEST("refuses-unsigned-images-where-a-certificate-of-ours-is-enrolled", test_lost_store);
        TEST("refuses-unsigned-images-where-the-firmware-trusts-one-of-ours", test_lost_store_of_others);
        TEST("refuses-half-a-key-pair", test_half_pair);
        TEST("refuses-a-key-whose-private-half-is-damaged", test_damaged_key);
        TEST("refuses-keys-that-the-firmware-does-not-trust", test_swapped_keys);
        TEST("refuses-them-before-the-first-reboot-too", test_swapped_keys_before_reboot);
        TEST("refuses-a-default-that-is-there-and-would-not-run", test_kept_default);
        TEST("refuses-a-revoked-key", test_revoked);
        TEST("refuses-stub-and-loader-that-are-none", test_bad_programs);
        TEST("refuses-another-boot-loader", test_other_loader);
        TEST("refuses-unusable-loader-config", test_loader_config);
        TEST("refuses-a-missing-esp-and-makes-none", test_missing_esp);
        TEST("refuses-a-read-only-esp", test_read_only);
        TEST("gives-up-waiting-for-another-operation", test_busy);
        TEST("waits-for-another-operation", test_waits);
        return g_test_run();
}
