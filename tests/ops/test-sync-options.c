/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What sync does only when it is asked to. */

#include <glib.h>
#include <string.h>

#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

static bool has_text(const Machine *machine, const char *image, const char *text) {
        g_autofree char *path = g_build_filename("boot/EFI/Linux", image, NULL);
        g_autoptr(GBytes) bytes = test_read(machine->root, path);
        size_t size;
        const void *data = g_bytes_get_data(bytes, &size);

        return memmem(data, size, text, strlen(text));
}

static GBytes *other_stub(void) {
        GByteArray *bytes = pe_fixture_stub();
        char *place = memmem(bytes->data, bytes->len, "lanza test stub", 15);

        g_assert_nonnull(place);
        memcpy(place, "another a stub!", 15);
        return g_byte_array_free_to_bytes(bytes);
}

/* What was booted is known to work: it goes last, when the new stub has booted, too. */
static void test_restub(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autoptr(GBytes) stub = other_stub();
        g_autofree char *older = NULL, *booted = NULL, *before = NULL, *after = NULL;
        _cleanup_(outcome_freep) Outcome *first = NULL, *second = NULL, *third = NULL, *rehearsed = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        older = machine_image_of(machine, 1, NULL);
        booted = machine_image_of(machine, 2, NULL);
        machine_set_loader_variable(machine, "LoaderEntrySelected", booted);
        test_write_bytes(machine->root, MACHINE_STUB, stub, 0644);

        rehearsed = machine_run_status(machine, 0, "sync", "restub", "yes", "dry-run", "yes", NULL);
        first = machine_run_status(machine, 0, "sync", "restub", "yes", NULL);
        outcome_assert_same_steps(rehearsed, first);
        outcome_assert(first, "partitions.0.images-written", older);
        outcome_assert(first, "partitions.0.images-removed", "");
        outcome_assert(first, "warnings",
                       "The boot image of generation 2 keeps its stub, since it is what was booted. When an image with "
                       "the new stub has booted, run this again");
        g_assert_true(has_text(machine, older, "another a stub!"));
        g_assert_false(has_text(machine, booted, "another a stub!"));

        machine_set_loader_variable(machine, "LoaderEntrySelected", older);
        second = machine_run_status(machine, 0, "sync", "restub", "yes", NULL);
        outcome_assert(second, "partitions.0.images-written", booted);
        outcome_assert(second, "warnings", "");
        g_assert_true(has_text(machine, booted, "another a stub!"));
        before = machine_snapshot(machine, "boot");
        third = machine_run_status(machine, 0, "sync", "restub", "yes", NULL);
        g_assert_cmpuint(third->signatures, ==, 0);
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
}

/* It is there until a sync without it, or as long as it is what was booted. */
static void test_unlisted(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL, *again = NULL;
        g_autofree char *image = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 9, .initrd = "initrd 9"});
        machine_remove_generation(machine, 9);
        machine_set_current(machine, 2);
        outcome_free(machine_run_refused(machine, CONDITION_FOREIGN_TOPLEVEL, "sync", "toplevel", "/nix/store/system-9",
                                         NULL));
        outcome = machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-9", "allow-unlisted", "yes",
                                     NULL);
        image = machine_image_of(machine, 3, NULL);
        outcome_assert(outcome, "partitions.0.default-entry", image);
        again = machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-9", "allow-unlisted", "yes",
                                   NULL);
        g_assert_cmpuint(again->signatures, ==, 0);
        machine_symlink(machine, "/nix/store/system-9", "run/booted-system");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_true(machine_has_file(machine, "EFI/Linux", image));
        machine_symlink(machine, "/nix/store/system-2", "run/booted-system");
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_false(machine_has_file(machine, "EFI/Linux", image));
        /* What a profile lists is that generation, with or without the option. */
        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-1", "allow-unlisted", "yes",
                                        NULL));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/sync/renews-stubs-when-asked-and-the-booted-one-last", test_restub);
        g_test_add_func("/ops/sync/takes-a-toplevel-of-no-profile-if-root-allows-it", test_unlisted);
        return g_test_run();
}
