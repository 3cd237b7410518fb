/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/ops/partitions-fixture.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/string-list.h"
#include "tests/lib/test-folder.h"

void partitions_add_esp(Machine *machine, const char *path) {
        g_assert_cmpint(string_list_add(&machine->settings.esp_extra_paths, path), ==, 0);
}

void partitions_set_xbootldr(Machine *machine, const char *path) {
        free(machine->settings.xbootldr_path);
        machine->settings.xbootldr_path = path ? strdup(path) : NULL;
}

/* Two generations, and the ESPs /boot and /boot2. */
Machine *machine_with_two(bool has_firmware) {
        Machine *machine = machine_new_typical(has_firmware);

        test_make_folder(machine->root, "boot2", 0700);
        partitions_add_esp(machine, "/boot2");
        return machine;
}

/* The same with an XBOOTLDR partition in place of the second. */
Machine *machine_with_xbootldr(bool has_firmware) {
        Machine *machine = machine_new_typical(has_firmware);

        test_make_folder(machine->root, "xboot", 0700);
        partitions_set_xbootldr(machine, "/xboot");
        return machine;
}

/* How many files of a folder have names that begin so. */
unsigned partitions_count_files(const Machine *machine, const char *folder, const char *prefix) {
        g_autofree char *path = test_path(machine->root, folder);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;
        unsigned count = 0;

        while (dir && (name = g_dir_read_name(dir)))
                count += g_str_has_prefix(name, prefix);
        return count;
}

/* All partitions, as they are. */
char *partitions_snapshot(const Machine *machine) {
        static const char *const folders[] = {"boot", "boot2", "efi", "xboot"};
        GString *text = g_string_new(NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
                g_autofree char *part =
                        test_exists(machine->root, folders[i]) ? machine_snapshot(machine, folders[i]) : NULL;

                g_string_append(text, part ? part : "");
        }
        return g_string_free(text, FALSE);
}

/* That a run has nothing left to do, and does nothing. */
void partitions_assert_settled(Machine *machine) {
        g_autofree char *before = partitions_snapshot(machine), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        after = partitions_snapshot(machine);
        g_assert_cmpuint(outcome->signatures, ==, 0);
        g_assert_cmpstr(before, ==, after);
}
