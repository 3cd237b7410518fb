/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/ops/context.h"
#include "daemon/ops/watch.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

static Watch look(const Machine *machine) {
        g_autofree char *variables = g_strdup_printf("%s/variables", machine->root);
        _cleanup_(context_freep) Context *context = NULL;
        Watch watch = {};

        g_assert_cmpint(context_new(&machine->settings, machine->root, /* key_folder= */ NULL, variables, &context,
                                    /* failure= */ NULL),
                        ==, 0);
        g_assert_cmpint(watch_read(context, &watch), ==, 0);
        return watch;
}

/* The areas whose marks are different from those of BEFORE, which is ended. */
static char *changed(const Machine *machine, Watch *before) {
        Watch after = look(machine);
        GString *names = g_string_new(NULL);

        for (WatchArea area = 0; area < WATCH_AREAS; area++)
                if (strcmp(before->marks[area], after.marks[area]) != 0)
                        g_string_append_printf(names, "%s%s", names->len > 0 ? " " : "", watch_area_name(area));
        watch_done(before);
        *before = after;
        return g_string_free(names, /* free_segment= */ FALSE);
}

static void assert_changed(const Machine *machine, Watch *before, const char *expected) {
        g_autofree char *found = changed(machine, before);

        g_assert_cmpstr(found, ==, expected);
}

static void test_marks(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        Watch watch;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        watch = look(machine);
        assert_changed(machine, &watch, "");
        machine_write(machine, "var/lib/lanzad/keys/db/db.pem", "other");
        assert_changed(machine, &watch, "keys");
        machine_write(machine, "boot/EFI/Linux/other.efi", "");
        assert_changed(machine, &watch, "esp");
        machine_write(machine, "boot/loader/loader.conf", "default x\n");
        assert_changed(machine, &watch, "esp");
        machine_symlink(machine, "/nix/store/system-1", "nix/var/nix/profiles/system-7-link");
        assert_changed(machine, &watch, "generations");
        machine_symlink(machine, "/nix/store/system-1", "nix/var/nix/profiles/system-profiles/a-1-link");
        assert_changed(machine, &watch, "generations");
        watch_done(&watch);
}

static void test_irrelevant(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        Watch watch;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        watch = look(machine);
        machine_write(machine, "var/lib/lanzad/timestamp", "7\n");
        machine_write(machine, "boot/loader/random-seed", "7");
        machine_write(machine, "boot/EFI/Microsoft/Boot/bootmgfw.efi", "7");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        outcome_free(machine_run_status(machine, 0, "status", NULL));
        assert_changed(machine, &watch, "");
        watch_done(&watch);
}

static void test_firmware(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *path = g_strdup_printf("%s/variables", machine->root);
        Variables *variables = NULL;
        Watch watch = look(machine);
        const Guid loader = GUID_INIT(0x4a67b082, 0x0a4c, 0x41cf, 0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f);

        g_assert_cmpint(variables_new_memory_file(path, &variables), ==, 0);
        g_assert_cmpint(variables_memory_set(variables, &loader, "LoaderSystemToken", VARIABLE_BOOTSERVICE_ACCESS,
                                             (Span){(const uint8_t *)"x", 1}),
                        ==, 0);
        assert_changed(machine, &watch, "");
        g_assert_cmpint(variables_memory_set(variables, &efi_image_security_database_guid, "dbx",
                                             VARIABLE_ATTRIBUTES_SECURE, (Span){(const uint8_t *)"x", 1}),
                        ==, 0);
        assert_changed(machine, &watch, "firmware");
        variables_free(variables);
        watch_done(&watch);
}

static bool watches(const Machine *machine, const Watch *watch, WatchArea area, const char *folder, const char *name) {
        g_autofree char *path = g_strdup_printf("%s%s", machine->root, folder);
        const WatchPlace *places = watch->places.items;

        for (size_t i = 0; i < watch->places.count; i++)
                if (places[i].area == area && strcmp(places[i].folder, path) == 0 &&
                    g_strcmp0(places[i].name, name) == 0)
                        return true;
        return false;
}

/* What is missing is waited for in the folder where it, or what leads to it, would appear. */
static void test_places(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);
        Watch watch = look(machine);

        g_assert_true(watches(machine, &watch, WATCH_GENERATIONS, "/nix/var/nix/profiles", NULL));
        g_assert_true(watches(machine, &watch, WATCH_GENERATIONS, "/nix/var/nix/profiles", "system-profiles"));
        g_assert_true(watches(machine, &watch, WATCH_ESP, "/boot", "EFI"));
        g_assert_false(watches(machine, &watch, WATCH_ESP, "/boot/EFI", "Linux"));
        watch_done(&watch);

        machine_write(machine, "boot/EFI/Linux/other.efi", "");
        machine_write(machine, "var/lib/lanzad/keys/db/db.pem", "");
        watch = look(machine);
        g_assert_true(watches(machine, &watch, WATCH_ESP, "/boot/EFI", "nixos"));
        g_assert_true(watches(machine, &watch, WATCH_ESP, "/boot/EFI/Linux", NULL));
        g_assert_true(watches(machine, &watch, WATCH_KEYS, "/var/lib/lanzad", "GUID"));
        g_assert_true(watches(machine, &watch, WATCH_KEYS, "/var/lib/lanzad/keys", "PK"));
        g_assert_true(watches(machine, &watch, WATCH_KEYS, "/var/lib/lanzad/keys/db", "db.key"));
        g_assert_false(watches(machine, &watch, WATCH_KEYS, "/var/lib/lanzad", "timestamp"));
        watch_done(&watch);
}

#define TEST(name, function) g_test_add_func("/ops/watch/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("each-change-has-its-own-mark", test_marks);
        TEST("what-says-nothing-about-the-state-is-no-change", test_irrelevant);
        TEST("variables-that-have-to-do-with-starting-count", test_firmware);
        TEST("what-is-missing-is-waited-for", test_places);
        return g_test_run();
}
