/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What sync makes of the firmware's boot order. */

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/firmware/boot-entry.h"
#include "tests/ops/partitions-fixture.h"

#define LOADER "\\EFI\\systemd\\systemd-bootx64.efi"
#define WINDOWS_UUID "0b3b1c2a-6b0f-4c35-9d77-5d7a2a5d5c33"

static Machine *machine_with_order(void) {
        Machine *machine = machine_with_two(/* has_firmware= */ true);

        machine->settings.boot_entry = SETTINGS_AUTO;
        return machine;
}

/* "0001,0003" */
static void assert_order(const Machine *machine, const char *expected) {
        _cleanup_(buffer_done) Buffer order = {};
        GString *text = g_string_new(NULL);
        uint16_t number;

        if (variables_read(machine->variables, &efi_global_variable_guid, "BootOrder", NULL, &order) >= 0)
                for (size_t i = 0; span_u16(buffer_span(&order), i, &number) >= 0; i += 2)
                        g_string_append_printf(text, "%s%04X", i > 0 ? "," : "", number);
        g_assert_cmpstr(text->str, ==, expected);
        g_string_free(text, TRUE);
}

static void assert_entry(const Machine *machine, const char *name, const char *uuid, unsigned partition) {
        _cleanup_(buffer_done) Buffer content = {};
        _cleanup_(boot_entry_done) BootEntry entry = {};
        char found[GUID_TEXT_SIZE];
        uint32_t attributes;

        g_assert_cmpint(variables_read(machine->variables, &efi_global_variable_guid, name, &attributes, &content), ==,
                        0);
        g_assert_cmphex(attributes, ==, 7);
        g_assert_cmpint(boot_entry_parse(buffer_span(&content), &entry), ==, 0);
        guid_format(&entry.partition, found);
        g_assert_true(entry.active);
        g_assert_cmpstr(entry.path, ==, LOADER);
        g_assert_cmpstr(found, ==, uuid);
        g_assert_cmpuint(entry.partition_number, ==, partition);
}

static void set_order(Machine *machine, const uint16_t *numbers, size_t count) {
        g_assert_cmpint(variables_memory_set(machine->variables, &efi_global_variable_guid, "BootOrder", 7,
                                             (Span){(const uint8_t *)numbers, count * sizeof(*numbers)}),
                        ==, 0);
}

/* The machine's usual writer puts one entry, Boot0001, alone into the order. */
static void set_windows(Machine *machine) {
        machine_set_boot_entry(machine, "Windows Boot Manager", WINDOWS_UUID, "\\EFI\\Microsoft\\Boot\\bootmgfw.efi",
                               /* active= */ true);
}

static void test_put_in_front(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_order();
        _cleanup_(outcome_freep) Outcome *rehearsed = NULL, *outcome = NULL, *again = NULL;
        size_t writes;

        set_windows(machine);
        rehearsed = machine_run_status(machine, 0, "sync", "dry-run", "yes", NULL);
        outcome_assert(rehearsed, "partitions.0.boot-entry", "Boot0000");
        outcome_assert(rehearsed, "partitions.0.boots", "yes");
        assert_order(machine, "0001");

        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "warnings", "");
        outcome_assert(outcome, "partitions.0.boot-entry", "Boot0000");
        outcome_assert(outcome, "partitions.1.boot-entry", "Boot0002");
        outcome_assert(outcome, "partitions.0.boots", "yes");
        assert_order(machine, "0000,0002,0001");
        assert_entry(machine, "Boot0000", MACHINE_ESP_UUID, 1);
        assert_entry(machine, "Boot0002", MACHINE_SECOND_UUID, 2);

        writes = variables_memory_write_count(machine->variables);
        again = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(again, "partitions.0.boot-entry", "-");
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, writes);
}

static void test_the_order_is_the_users(void) {
        static const uint16_t windows_first[] = {1, 0, 2}, without_ours[] = {1, 2};
        _cleanup_(machine_freep) Machine *machine = machine_with_order();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        size_t writes;

        set_windows(machine);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        set_order(machine, windows_first, G_N_ELEMENTS(windows_first));
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        assert_order(machine, "0001,0000,0002");

        /* An entry that is there, but in no order, is used again. */
        set_order(machine, without_ours, G_N_ELEMENTS(without_ours));
        writes = variables_memory_write_count(machine->variables);
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.boot-entry", "Boot0000");
        assert_order(machine, "0000,0001,0002");
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, writes + 1);
}

/* What the order still names of an entry that is gone would otherwise be the new one, at that place and in front. */
static void test_stale_numbers(void) {
        static const uint16_t stale[] = {0, 1, 2, 1};
        _cleanup_(machine_freep) Machine *machine = machine_with_order();

        machine->settings.esp_extra_paths.count = 0;
        set_windows(machine);
        set_order(machine, stale, G_N_ELEMENTS(stale));
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine->settings.esp_extra_paths.count = 1;
        assert_order(machine, "0003,0000,0001,0002,0001");
        assert_entry(machine, "Boot0003", MACHINE_ESP_UUID, 1);
}

/* A further ESP is what the firmware turns to where the first fails, and no reason to start that before Windows. */
static void test_further_ones_behind(void) {
        static const uint16_t windows_first[] = {1, 0, 5};
        _cleanup_(machine_freep) Machine *machine = machine_with_order();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->settings.esp_extra_paths.count = 0;
        set_windows(machine);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        set_order(machine, windows_first, G_N_ELEMENTS(windows_first));
        machine->settings.esp_extra_paths.count = 1;
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.boot-entry", "-");
        outcome_assert(outcome, "partitions.1.boot-entry", "Boot0002");
        assert_order(machine, "0001,0000,0002,0005");
}

/* bootctl writes the same one, with another name and in other letters perhaps. */
static void test_of_others(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_order();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->settings.esp_extra_paths.count = 0;
        machine_set_boot_entry(machine, "NixOS", MACHINE_ESP_UUID, "\\EFI\\SYSTEMD\\SYSTEMD-BOOTX64.EFI",
                               /* active= */ true);
        outcome = machine_run_status(machine, 0, "sync", NULL);
        machine->settings.esp_extra_paths.count = 1;
        outcome_assert(outcome, "partitions.0.boot-entry", "-");
        assert_order(machine, "0001");
}

/* One that somebody switched off stays so; one that is off and in no order is no entry. */
static void test_switched_off(void) {
        static const uint16_t none[] = {5};
        _cleanup_(machine_freep) Machine *machine = machine_with_order();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->settings.esp_extra_paths.count = 0;
        machine_set_boot_entry(machine, "Linux", MACHINE_ESP_UUID, LOADER, /* active= */ false);
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", WINDOWS_UUID);
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(outcome, "partitions.0.boot-entry", "-");
        outcome_assert(outcome, "partitions.0.boots", "no");
        assert_order(machine, "0001");
        outcome_free(outcome);

        set_order(machine, none, G_N_ELEMENTS(none));
        outcome = machine_run_status(machine, 0, "sync", NULL);
        machine->settings.esp_extra_paths.count = 1;
        outcome_assert(outcome, "partitions.0.boot-entry", "Boot0000");
        outcome_assert(outcome, "partitions.0.boots", "yes");
        assert_order(machine, "0000,0005");
}

static void assert_left_alone(Machine *machine, const char *verb) {
        const size_t writes = variables_memory_write_count(machine->variables);
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, verb, NULL);

        outcome_assert(outcome, "partitions.0.boot-entry", "-");
        outcome_assert(outcome, "warnings", "");
        g_assert_cmpuint(variables_memory_write_count(machine->variables), ==, writes);
}

static void test_left_alone(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_order();

        assert_left_alone(machine, "gc");
        machine->settings.boot_entry = SETTINGS_NO;
        assert_left_alone(machine, "sync");
        machine->settings.boot_entry = SETTINGS_AUTO;
        variables_memory_set_read_only(machine->variables, true);
        assert_left_alone(machine, "sync");
}

static void test_refused(void) {
        _cleanup_(machine_freep) Machine *machine = machine_with_order();

        machine->settings.esp_extra_paths.count = 0;
        for (unsigned write = 1; write <= 2; write++) {
                _cleanup_(outcome_freep) Outcome *outcome = NULL;

                variables_memory_fail_write(machine->variables, write, -ENOSPC);
                outcome = machine_run_status(machine, 0, "sync", NULL);
                outcome_assert_has(outcome, "warnings", "BootEntry=no");
                outcome_assert_has(outcome, "partitions.0.default-entry", "nixos-generation-2-");
                assert_order(machine, "");
        }
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        machine->settings.esp_extra_paths.count = 1;
        assert_order(machine, "0000");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/boot-option/new-entries-come-in-front-in-the-order-of-the-partitions", test_put_in_front);
        g_test_add_func("/ops/boot-option/where-an-entry-stands-is-the-user's-choice", test_the_order_is_the_users);
        g_test_add_func("/ops/boot-option/a-number-that-the-order-names-is-not-free", test_stale_numbers);
        g_test_add_func("/ops/boot-option/that-of-a-further-partition-comes-behind-that-of-the-one-before",
                        test_further_ones_behind);
        g_test_add_func("/ops/boot-option/an-entry-of-others-for-the-same-loader-will-do", test_of_others);
        g_test_add_func("/ops/boot-option/an-entry-that-is-switched-off-stays-so", test_switched_off);
        g_test_add_func("/ops/boot-option/is-left-alone-where-it-is-not-to-be-written", test_left_alone);
        g_test_add_func("/ops/boot-option/a-firmware-that-takes-none-is-a-warning", test_refused);
        return g_test_run();
}
