/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/state.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/ops/context.h"
#include "tests/lib/scarce-memory.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

static Context *context_of(Machine *machine) {
        Context *context = NULL;

        g_assert_cmpint(context_new(&machine->settings, machine->root, /* key_folder= */ NULL,
                                    /* variables_file= */ NULL, &context, /* failure= */ NULL),
                        ==, 0);
        context->variables = machine->variables;
        context->any_folder = true;
        return context;
}

static void context_end(Context *context) {
        context->variables = NULL; /* the machine's */
        context_free(context);
}

/* Owned; record_done() and g_free(). */
static void *state_of(Machine *machine, const Operation *operation) {
        _cleanup_(failure_done) Failure failure = {};
        Context *context = context_of(machine);
        void *state = g_malloc0(operation->result->size);

        g_assert_cmpint(operation_run(operation, context, /* parameters= */ NULL, state, &failure), ==, 0);
        context_end(context);
        return state;
}

static void state_free(const Operation *operation, void *state) {
        record_done(operation->result, state);
        g_free(state);
}

static void assert_keys(Machine *machine, bool present, size_t certificates, const char *owner) {
        KeyState *state = state_of(machine, &key_state_operation);

        g_assert_cmpint(state->present, ==, present);
        g_assert_cmpuint(state->certificates.count, ==, certificates);
        g_assert_cmpstr(state->owner_guid, ==, owner);
        state_free(&key_state_operation, state);
}

static void test_keys(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new(/* has_firmware= */ false);

        assert_keys(machine, false, 0, "");
        machine_set_keys(machine, "");
        assert_keys(machine, true, 3, "11111111-2222-3333-4444-555555555555");
        machine_write(machine, "var/lib/lanzad/keys/KEK/KEK.pem", "no certificate");
        assert_keys(machine, false, 2, "11111111-2222-3333-4444-555555555555");
}

static void assert_firmware(Machine *machine, const char *mode, bool setup_mode, bool secure_boot) {
        FirmwareState *state = state_of(machine, &firmware_state_operation);

        g_assert_cmpstr(state->mode, ==, mode);
        g_assert_cmpint(state->setup_mode, ==, setup_mode);
        g_assert_cmpint(state->secure_boot, ==, secure_boot);
        state_free(&firmware_state_operation, state);
}

static void test_firmware(void) {
        _cleanup_(machine_freep) Machine *tree = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);

        assert_firmware(tree, "unsupported", false, false);
        assert_firmware(machine, "setup", true, false);
        machine_enforce(machine);
        assert_firmware(machine, "user", false, true);
}

static void test_system(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        SystemState *state;

        machine_enforce(machine);
        state = state_of(machine, &system_state_operation);
        g_assert_true(state->keys.present && state->firmware.secure_boot);
        g_assert_cmpuint(state->watch.places.count, >, 0);
        for (WatchArea area = 0; area < WATCH_AREAS; area++)
                g_assert_nonnull(state->watch.marks[area]);
        state_free(&system_state_operation, state);
}

/* Either all of it is there, or the operation failed. */
static void test_scarce_memory(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        Context *context = context_of(machine);
        SystemState *whole = state_of(machine, &system_state_operation);
        unsigned made, failing = 0;

        do {
                _cleanup_(failure_done) Failure failure = {};
                SystemState state = {};
                int r;

                scarce_memory_begin(++failing);
                r = operation_run(&system_state_operation, context, /* parameters= */ NULL, &state, &failure);
                made = scarce_memory_end();
                if (r < 0) {
                        g_assert_cmpint(r, ==, -ENOMEM);
                } else {
                        g_assert_cmpint(state.keys.present, ==, whole->keys.present);
                        g_assert_cmpuint(state.keys.certificates.count, ==, whole->keys.certificates.count);
                        g_assert_cmpstr(state.firmware.mode, ==, whole->firmware.mode);
                        g_assert_cmpuint(state.watch.places.count, ==, whole->watch.places.count);
                }
                record_done(system_state_operation.result, &state);
        } while (made >= failing);
        g_assert_cmpuint(failing, >, 20);
        state_free(&system_state_operation, whole);
        context_end(context);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/state/keys-are-present-when-all-can-be-read", test_keys);
        g_test_add_func("/ops/state/says-in-which-mode-the-firmware-is", test_firmware);
        g_test_add_func("/ops/state/of-the-system-is-both-and-how-to-notice-a-change", test_system);
        g_test_add_func("/ops/state/is-whole-or-there-is-none", test_scarce_memory);
        return g_test_run();
}
