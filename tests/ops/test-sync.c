/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What sync does to an ESP. */

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/file.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

#define ESP_FILES(folder) machine_esp_files(machine, folder, "")

/* Another program says whether the file on the ESP has a good signature by a key of the test PKI. */
static bool is_signed_by(const Machine *machine, const char *path, const char *pki_name) {
        g_autofree char *full = g_build_filename(machine->root, "boot", path, NULL);
        g_autofree char *certificate = test_pki_path(pki_name), *output = NULL;

        return test_run(&output, "sbverify", "--cert", certificate, full, NULL) == 0;
}

/* The image that loader.conf names as default. */
static char *default_image(const Machine *machine) {
        g_autofree char *conf = machine_read(machine, "boot/loader/loader.conf");
        g_auto(GStrv) lines = g_strsplit(conf, "\n", -1);

        for (size_t i = 0; lines[i]; i++)
                if (g_str_has_prefix(lines[i], "default "))
                        return g_strdup(lines[i] + strlen("default "));
        return NULL;
}

static void assert_default(const Machine *machine, unsigned number, const char *specialisation) {
        g_autofree char *expected = machine_image_of(machine, number, specialisation);
        g_autofree char *found = default_image(machine);

        g_assert_cmpstr(found, ==, expected);
}

static void sync_well(Machine *machine) {
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
}

static void test_first(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);
        g_autofree char *images = ESP_FILES("EFI/Linux"), *contents = ESP_FILES("EFI/nixos");
        g_auto(GStrv) names = g_strsplit(images, "\n", -1);

        outcome_assert(outcome, "warnings", "");
        outcome_assert(outcome, "partitions.0.path", "/boot");
        outcome_assert_lines(outcome, "partitions.0.contents-written", contents);
        outcome_assert(outcome, "partitions.0.images-removed", "");
        outcome_assert(outcome, "partitions.0.images-kept", "0");
        outcome_assert(outcome, "partitions.0.loaders-written",
                       MACHINE_SYSTEMD_BOOT "\n" MACHINE_FALLBACK "\nloader/loader.conf");
        g_assert_cmpuint(g_strv_length(names), ==, 2);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "kernel-6.1.1-"), ==, 1);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-6.1.1-"), ==, 2);
        for (size_t i = 0; names[i]; i++) {
                g_autofree char *path = g_build_filename("EFI/Linux", names[i], NULL);

                outcome_assert_has(outcome, "partitions.0.images-written", names[i]);
                g_assert_true(is_signed_by(machine, path, "db.pem"));
                g_assert_false(is_signed_by(machine, path, "foreign-db.pem"));
        }
        g_assert_true(is_signed_by(machine, MACHINE_SYSTEMD_BOOT, "db.pem"));
        g_assert_true(is_signed_by(machine, MACHINE_FALLBACK, "db.pem"));
        g_assert_cmpuint(outcome->signatures, ==, 3);
        assert_default(machine, 2, NULL);
}

/* A file that something is mounted on can't be removed. */
static void test_garbage_stays(void) {
        static const char garbage[] =
                "boot/EFI/nixos/initrd-6.1.1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi";
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *path = g_build_filename(machine->root, garbage, NULL), *entry = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_write(machine, garbage, "");
        if (unshare(CLONE_NEWNS) < 0)
                g_assert_cmpint(unshare(CLONE_NEWUSER | CLONE_NEWNS), ==, 0);
        g_assert_cmpint(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        g_assert_cmpint(mount(path, path, NULL, MS_BIND, NULL), ==, 0);
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "was removed from /boot: Cannot remove EFI/nixos/initrd-6.1.1-aaaa");
        entry = machine_image_of(machine, 2, NULL);
        outcome_assert(outcome, "partitions.0.default-entry", entry);
        assert_default(machine, 2, NULL);
        g_assert_cmpint(umount(path), ==, 0);
        sync_well(machine);
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_second(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *before = NULL, *after = NULL, *keys_before = NULL, *keys_after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_enforce(machine);
        before = machine_snapshot(machine, "boot");
        keys_before = machine_snapshot(machine, "var/lib");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        after = machine_snapshot(machine, "boot");
        keys_after = machine_snapshot(machine, "var/lib");
        g_assert_cmpstr(before, ==, after);
        g_assert_cmpstr(keys_before, ==, keys_after);
        g_assert_cmpuint(outcome->signatures, ==, 0);
        outcome_assert(outcome, "partitions.0.images-written", "");
        outcome_assert(outcome, "partitions.0.loaders-written", "");
        outcome_assert(outcome, "partitions.0.images-kept", "2");
        outcome_assert(outcome, "partitions.0.contents-kept", "3");
        outcome_assert(outcome, "partitions.0.bytes-written", "0");
        outcome_assert(outcome, "partitions.0.bytes-removed", "0");
}

static void test_new_generation(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *image = NULL;

        sync_well(machine);
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        outcome = machine_run_status(machine, 0, "sync", NULL);
        image = machine_image_of(machine, 3, NULL);
        outcome_assert(outcome, "partitions.0.images-written", image);
        outcome_assert(outcome, "partitions.0.images-kept", "2");
        outcome_assert(outcome, "partitions.0.contents-kept", "3");
        outcome_assert(outcome, "partitions.0.loaders-written", "loader/loader.conf");
        g_assert_cmpuint(outcome->signatures, ==, 1);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 3);
        assert_default(machine, 3, NULL);
}

static void test_limit(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *oldest = NULL;

        sync_well(machine);
        oldest = machine_image_of(machine, 1, NULL);
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        machine->settings.limit = 2;
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.images-removed", oldest);
        outcome_assert_has(outcome, "partitions.0.contents-removed", "initrd-6.1.1-");
        g_assert_false(machine_has_file(machine, "EFI/Linux", oldest));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 2);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "kernel-"), ==, 1);
}

/* Three generations on the ESP, of which the limit would leave the newest. */
static Machine *machine_before_limit(bool has_firmware) {
        Machine *machine = machine_new_typical(has_firmware);

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        sync_well(machine);
        machine->settings.limit = 1;
        return machine;
}

static void test_limit_default(void) {
        _cleanup_(machine_freep) Machine *machine = machine_before_limit(/* has_firmware= */ false);
        g_autofree char *default_name = machine_image_of(machine, 1, NULL), *gone = machine_image_of(machine, 2, NULL);

        machine_set_current(machine, 1);
        sync_well(machine);
        g_assert_true(machine_has_file(machine, "EFI/Linux", default_name));
        g_assert_false(machine_has_file(machine, "EFI/Linux", gone));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 2);
        assert_default(machine, 1, NULL);
}

static void test_limit_booted_entry(void) {
        _cleanup_(machine_freep) Machine *machine = machine_before_limit(/* has_firmware= */ true);
        g_autofree char *booted = machine_image_of(machine, 1, NULL), *gone = machine_image_of(machine, 2, NULL);

        machine_set_loader_variable(machine, "LoaderEntrySelected", booted);
        sync_well(machine);
        g_assert_true(machine_has_file(machine, "EFI/Linux", booted));
        g_assert_false(machine_has_file(machine, "EFI/Linux", gone));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 2);
}

static void test_limit_booted_system(void) {
        _cleanup_(machine_freep) Machine *machine = machine_before_limit(/* has_firmware= */ false);
        g_autofree char *booted = machine_image_of(machine, 1, NULL), *gone = machine_image_of(machine, 2, NULL);

        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        sync_well(machine);
        g_assert_true(machine_has_file(machine, "EFI/Linux", booted));
        g_assert_false(machine_has_file(machine, "EFI/Linux", gone));
}

/* Its image is made where it is missing: else it could not be booted again. */
static void test_limit_booted_missing(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-1-"), ==, 1);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-2-"), ==, 1);
}

/* The booted system's link is gone, as `nix-env --delete-generations` leaves it. */
static void test_booted_without_link(void) {
        _cleanup_(machine_freep) Machine *machine = machine_before_limit(/* has_firmware= */ false);
        g_autofree char *booted = machine_image_of(machine, 1, NULL);

        machine_symlink(machine, "/nix/store/system-1", "run/booted-system");
        machine_remove_generation(machine, 1);
        sync_well(machine);
        g_assert_true(machine_has_file(machine, "EFI/Linux", booted));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 2);
}

static void test_toplevel(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-1", NULL));
        assert_default(machine, 1, NULL);
        sync_well(machine);
        assert_default(machine, 2, NULL);
}

static void test_toplevel_specialisation(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .specialisation = "gaming"});
        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-3-gaming", NULL));
        assert_default(machine, 3, "gaming");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 4);
        sync_well(machine);
        assert_default(machine, 3, NULL);
}

static void test_toplevel_link(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .specialisation = "gaming"});
        outcome_free(
                machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-3/specialisation/gaming", NULL));
        assert_default(machine, 3, "gaming");
        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-1/", NULL));
        assert_default(machine, 1, NULL);
}

static void test_profiles(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        machine_add_generation(machine, &(MachineGeneration){.number = 1, .profile = "test"});
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-test-generation-1-"), ==, 1);
        assert_default(machine, 2, NULL);
        machine->settings.limit = 1;
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-test-generation-1-"), ==, 1);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-"), ==, 1);
}

static void test_malformed_old(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *shielded = NULL;

        sync_well(machine);
        shielded = machine_image_of(machine, 1, NULL);
        machine_write(machine, "nix/store/system-1/boot.json", "{");
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "generation 1 is left out: /nix/store/system-1/boot.json");
        g_assert_true(machine_has_file(machine, "EFI/Linux", shielded));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 3);
        assert_default(machine, 3, NULL);
}

static void test_missing_kernel(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *shielded = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .kernel = "kernel 3"});
        machine_set_current(machine, 2);
        sync_well(machine);
        shielded = machine_image_of(machine, 3, NULL);
        machine_write(machine, "nix/store/system-3/boot.json",
                      "{\"org.nixos.bootspec.v1\": {\"init\": \"/nix/store/system-3/init\", \"kernel\": "
                      "\"/nix/store/gone-linux-6.1.1/file\", \"kernelParams\": [], \"label\": \"Test 3\", \"system\": "
                      "\"x86_64-linux\", \"toplevel\": \"/nix/store/system-3\"}}");
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "/nix/store/gone-linux-6.1.1/file");
        g_assert_true(machine_has_file(machine, "EFI/Linux", shielded));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "kernel-"), ==, 2);
}

static void test_unsigned(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *later = NULL;
        g_autofree char *image = NULL, *path = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "warnings", "There are no keys yet: what is written is not signed");
        g_assert_cmpuint(outcome->signatures, ==, 0);
        image = machine_image_of(machine, 1, NULL);
        path = g_build_filename("EFI/Linux", image, NULL);
        g_assert_false(is_signed_by(machine, path, "db.pem"));

        machine_set_keys(machine, "");
        later = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(later, "warnings", "");
        g_assert_true(is_signed_by(machine, MACHINE_SYSTEMD_BOOT, "db.pem"));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
}

/* As most machines are before they come to us. */
static void test_unsigned_switched_off(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *status = NULL, *outcome = NULL, *later = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        machine_switch_off(machine);
        status = machine_run_status(machine, 0, "status", NULL);
        outcome_assert(status, "mode", "user");
        outcome_assert(status, "secure-boot", "no");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "warnings", "There are no keys yet: what is written is not signed");
        machine_set_keys(machine, "");
        later = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(later, "warnings", "");
        g_assert_true(is_signed_by(machine, MACHINE_SYSTEMD_BOOT, "db.pem"));
}

static void test_unsigned_tree(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.images-kept", "0");
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
}

/* An image that was booted, or may have been, stays until a boot with its successor. */
static void test_new_stub(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *before = NULL, *after = NULL, *stub = test_path(machine->root, MACHINE_STUB);
        GByteArray *bytes = pe_fixture_stub();
        g_autoptr(GBytes) other = NULL;

        bytes->data[bytes->len - 1] ^= 1;
        other = g_byte_array_free_to_bytes(bytes);
        sync_well(machine);
        before = machine_snapshot(machine, "boot");
        test_write_bytes(machine->root, MACHINE_STUB, other, 0644);
        sync_well(machine);
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
}

static void test_cut_image(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *image = NULL, *path = NULL;

        sync_well(machine);
        image = machine_image_of(machine, 2, NULL);
        path = g_build_filename("boot/EFI/Linux", image, NULL);
        machine_write(machine, path, "");
        machine_write(machine, "boot/EFI/Linux/LANZ0001.TMP", "left by a cut");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.images-written", image);
        g_assert_true(is_signed_by(machine, path + strlen("boot/"), "db.pem"));
        g_assert_false(machine_has_file(machine, "EFI/Linux", "LANZ0001.TMP"));
}

static void test_loader_config(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *conf = NULL;

        machine->settings.loader_config = strdup("/etc/loader.conf");
        machine_write(machine, "etc/loader.conf", "timeout 7\ndefault other.efi\n");
        sync_well(machine);
        conf = machine_read(machine, "boot/loader/loader.conf");
        g_assert_true(g_str_has_prefix(conf, "timeout 7\n"));
        g_assert_null(strstr(conf, "other.efi"));
        assert_default(machine, 2, NULL);
}

static void test_counting(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *names = NULL, *conf = NULL;

        machine->settings.tries = 3;
        sync_well(machine);
        names = ESP_FILES("EFI/Linux");
        g_assert_nonnull(strstr(names, "+3.efi"));
        conf = default_image(machine);
        g_assert_cmpstr(conf, ==, "nixos-*");
}

/* Going back to an older system that was confirmed good, and forth. */
static void test_counting_back(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *older = NULL, *newest = NULL, *back = NULL, *forth = NULL;

        sync_well(machine);
        older = machine_image_of(machine, 2, NULL);
        machine->settings.tries = 3;
        machine_add_generation(machine, &(MachineGeneration){.number = 3});
        sync_well(machine);
        newest = machine_image_of(machine, 3, NULL);
        g_assert_nonnull(strstr(newest, "+3.efi"));
        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-2", NULL));
        back = default_image(machine);
        g_assert_cmpstr(back, ==, older);
        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-3", NULL));
        forth = default_image(machine);
        g_assert_cmpstr(forth, ==, "nixos-*");
}

/* Writes other bytes into a store file, in place, and gives it back the store's time. */
static void replace_in_place(const char *path, const char *content) {
        FILE *file = g_fopen(path, "r+");
        struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

        g_assert_nonnull(file);
        g_assert_cmpuint(fwrite(content, 1, strlen(content), file), ==, strlen(content));
        g_assert_cmpint(fclose(file), ==, 0);
        g_assert_cmpint(utimensat(-1, path, times, 0), ==, 0);
}

static char *find_store_file(const Machine *machine, const char *kind) {
        g_autofree char *store = test_path(machine->root, "nix/store"), *listing = test_listing(store);
        g_auto(GStrv) names = g_strsplit(listing, "\n", -1);

        for (size_t i = 0; names[i]; i++)
                if (strstr(names[i], kind) && g_str_has_suffix(names[i], "/file"))
                        return g_build_filename(store, names[i], NULL);
        g_assert_not_reached();
}

static void test_replaced_store_file(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        g_autofree char *kernel = NULL, *hashes = NULL, *name = NULL, *path = NULL, *content = NULL;
        struct stat before, after;

        machine_set_keys(machine, "");
        machine_add_generation(machine, &(MachineGeneration){.number = 1, .kernel = "kernel A"});
        kernel = find_store_file(machine, "linux");
        replace_in_place(kernel, "kernel A");
        g_assert_cmpint(stat(kernel, &before), ==, 0);
        /* A hash is remembered only once the file has been left in peace for a while. */
        while (time(NULL) < before.st_ctim.tv_sec + 4)
                g_usleep(50 * 1000);
        sync_well(machine);
        hashes = machine_read(machine, "var/cache/lanzad/hashes");
        g_assert_nonnull(strstr(hashes, kernel + strlen(machine->root)));

        replace_in_place(kernel, "kernel B");
        g_assert_cmpint(stat(kernel, &after), ==, 0);
        g_assert_cmpuint(after.st_ino, ==, before.st_ino);
        g_assert_cmpint(after.st_size, ==, before.st_size);
        g_assert_cmpint(after.st_mtim.tv_sec, ==, 1);
        sync_well(machine);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "kernel-"), ==, 1);
        name = machine_esp_files(machine, "EFI/nixos", "kernel-");
        path = g_build_filename("boot/EFI/nixos", name, NULL);
        content = machine_read(machine, path);
        g_assert_cmpstr(content, ==, "kernel B");
}

static void test_dry_run(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *first = NULL, *real = NULL, *second = NULL, *again = NULL;
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL, *before_second = NULL,
                        *after_second = NULL;

        first = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
        outcome_assert(first, "dry-run", "yes");
        real = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(real, "dry-run", "no");
        outcome_assert_same_steps(first, real);

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        machine->settings.limit = 1;
        before_second = machine_snapshot(machine, "");
        second = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
        after_second = machine_snapshot(machine, "");
        g_assert_cmpstr(before_second, ==, after_second);
        again = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert_same_steps(second, again);
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 1);
}

static void test_dry_run_fresh(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *before = NULL, *after = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 1});
        before = machine_snapshot(machine, "");
        outcome = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
        g_assert_false(test_exists(machine->root, "var"));
}

#define TEST(name, function) g_test_add_func("/ops/sync/" name, function)

static void test_damaged_loader(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *first = machine_run_status(machine, 0, "sync", NULL), *second = NULL;
        g_autofree char *path = test_path(machine->root, "boot/" MACHINE_SYSTEMD_BOOT);
        _cleanup_(close_fd) int fd = open(path, O_RDWR | O_CLOEXEC);
        uint8_t byte;

        g_assert_cmpint(pread(fd, &byte, 1, 0x200), ==, 1);
        byte ^= 1;
        g_assert_cmpint(pwrite(fd, &byte, 1, 0x200), ==, 1);
        second = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(second, "partitions.0.loaders-written", MACHINE_SYSTEMD_BOOT);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("first-run-writes-and-signs-everything", test_first);
        TEST("garbage-that-cannot-be-removed-is-no-failure", test_garbage_stays);
        TEST("second-run-writes-nothing-and-signs-nothing", test_second);
        TEST("writes-only-what-a-new-generation-adds", test_new_generation);
        TEST("limit-takes-the-oldest-and-what-only-it-needs", test_limit);
        TEST("limit-spares-the-default", test_limit_default);
        TEST("limit-spares-the-selected-entry", test_limit_booted_entry);
        TEST("limit-spares-the-booted-system", test_limit_booted_system);
        TEST("limit-writes-the-booted-system-if-it-is-missing", test_limit_booted_missing);
        TEST("spares-the-booted-system-without-its-link", test_booted_without_link);
        TEST("named-toplevel-is-the-default", test_toplevel);
        TEST("named-specialisation-is-the-default", test_toplevel_specialisation);
        TEST("follows-a-link-to-the-named-toplevel", test_toplevel_link);
        TEST("limit-counts-each-profile-by-itself", test_profiles);
        TEST("leaves-out-a-malformed-generation-and-shields-its-files", test_malformed_old);
        TEST("leaves-out-a-generation-without-kernel-and-shields-its-files", test_missing_kernel);
        TEST("writes-unsigned-before-there-are-keys-and-signs-later", test_unsigned);
        TEST("writes-unsigned-and-then-signed-where-secure-boot-is-switched-off", test_unsigned_switched_off);
        TEST("writes-unsigned-in-a-tree-without-keys", test_unsigned_tree);
        TEST("keeps-images-when-only-the-stub-changed", test_new_stub);
        TEST("writes-anew-what-a-cut-left-empty", test_cut_image);
        TEST("puts-configured-lines-before-its-own", test_loader_config);
        TEST("gives-new-entries-their-tries", test_counting);
        TEST("names-an-older-default-that-was-confirmed-good", test_counting_back);
        TEST("hashes-a-replaced-store-file-anew", test_replaced_store_file);
        TEST("replaces-a-boot-loader-whose-signature-is-not-good-any-more", test_damaged_loader);
        TEST("dry-run-says-what-then-happens-and-writes-nothing", test_dry_run);
        TEST("dry-run-makes-no-folder-on-a-fresh-machine", test_dry_run_fresh);
        return g_test_run();
}
