/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What fwupd keeps on the ESP until the next start: updates of the firmware, and the helper that installs them. Its
 * folder is EFI/systemd where there is one, on NixOS EFI/nixos, where our kernels and initrds stand. */

#include <glib/gstdio.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

#define UPDATE "fw/fwupd-6dcbd5ed-e82d-4c44-bda1-7194199ad92a.cap"
#define GARBAGE "initrd-6.1.1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi"

enum { UPDATE_KIB = 256, GENERATION_KIB = 256, OTHER_KIB = 200 };

static const char *const files[] = {
        "boot/EFI/nixos/" UPDATE,           "boot/EFI/nixos/fwupdx64.efi",   "boot/EFI/nixos/shimx64.efi",
        "boot/EFI/systemd/" UPDATE,         "boot/EFI/systemd/fwupdx64.efi", "boot/EFI/debian/" UPDATE,
        "boot/EFI/UpdateCapsule/fwupd.cap",
};

static GStatBuf status_of(const Machine *machine, const char *path) {
        g_autofree char *full = test_path(machine->root, path);
        GStatBuf st;

        g_assert_cmpint(g_stat(full, &st), ==, 0);
        return st;
}

static void assert_untouched(const Machine *machine, const GStatBuf before[]) {
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                GStatBuf now = status_of(machine, files[i]);
                g_autofree char *content = machine_read(machine, files[i]);

                g_assert_cmpuint(now.st_ino, ==, before[i].st_ino);
                g_assert_cmpint(now.st_mtim.tv_sec, ==, before[i].st_mtim.tv_sec);
                g_assert_cmpint(now.st_mtim.tv_nsec, ==, before[i].st_mtim.tv_nsec);
                g_assert_cmpstr(content, ==, files[i]);
        }
}

/* Nor is any of it named: as removed, as left alone, as an image, as a problem. */
static void run_and_check(Machine *machine, const char *verb, const GStatBuf before[]) {
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, verb, NULL);
        g_autofree char *text = outcome_text(outcome);

        g_assert_null(strstr(text, "fwupd"));
        g_assert_null(strstr(text, ".cap"));
        g_assert_null(strstr(text, "shim"));
        assert_untouched(machine, before);
}

static void test_left_alone(void) {
        static const char *const verbs[] = {"sync", "list", "status", "gc", "sync"};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        GStatBuf before[G_N_ELEMENTS(files)];

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                machine_write(machine, files[i], files[i]);
                before[i] = status_of(machine, files[i]);
        }
        machine_write(machine, "boot/EFI/nixos/" GARBAGE, "garbage of ours");
        machine_remove_generation(machine, 1);
        machine_add_generation(machine, &(MachineGeneration){.number = 3, .initrd = "initrd 3"});
        for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
                run_and_check(machine, verbs[i], before);
        g_assert_false(machine_has_file(machine, "EFI/nixos", GARBAGE));
}

static void add_generation(Machine *machine, unsigned number) {
        g_autofree char *initrd = g_strnfill(GENERATION_KIB * 1024, 'a' + number);

        machine_add_generation(machine, &(MachineGeneration){.number = number, .initrd = initrd});
}

/* Before the oldest generation goes, garbage does: an update is none. */
static void test_room(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *update = g_strnfill(UPDATE_KIB * 1024, 'u'), *after = NULL;

        machine_set_keys(machine, "");
        machine_mount_esp(machine, 2 * GENERATION_KIB + UPDATE_KIB + OTHER_KIB);
        add_generation(machine, 1);
        add_generation(machine, 2);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine_write(machine, files[0], update);
        add_generation(machine, 3);
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert(outcome, "partitions.0.left-out", "generation 1");
        after = machine_read(machine, files[0]);
        g_assert_cmpstr(after, ==, update);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/firmware-updates/what-fwupd-keeps-on-the-esp-is-left-alone", test_left_alone);
        g_test_add_func("/ops/firmware-updates/no-update-goes-to-make-room", test_room);
        return g_test_run();
}
