/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/secure-boot.h"

#include <glib.h>
#include <string.h>

#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/variables-memory.h"

static const Guid owner = GUID_INIT(0x01020304, 0x0506, 0x0708, 9, 10, 11, 12, 13, 14, 15, 16);

static Variables *memory(void) {
        Variables *variables = NULL;

        g_assert_cmpint(variables_new_memory(&variables), ==, 0);
        return variables;
}

static void set_flag(Variables *variables, const char *name, uint8_t value) {
        g_assert_cmpint(
                variables_memory_set(variables, &efi_global_variable_guid, name, 0x06, (Span){&value, sizeof(value)}),
                ==, 0);
}

static void set_lists(Variables *variables, SecureVariable variable, const char *data) {
        _cleanup_(buffer_done) Buffer lists = {};

        g_assert_cmpint(signature_database_add(&lists, &signature_type_x509, &owner, span_from_string(data)), ==, 1);
        g_assert_cmpint(variables_memory_set(variables, secure_variable_vendor(variable),
                                             secure_variable_name(variable), VARIABLE_ATTRIBUTES_SECURE,
                                             buffer_span(&lists)),
                        ==, 0);
}

static void test_tells_the_mode(void) {
        static const struct {
                uint8_t setup, audit, deployed, secure_boot;
                SecureBootMode mode;
                bool enforcing;
        } machines[] = {
                {1, 0, 0, 0, SECURE_BOOT_SETUP, false},   {0, 0, 0, 1, SECURE_BOOT_USER, true},
                {0, 0, 0, 0, SECURE_BOOT_USER, false},    {1, 1, 0, 0, SECURE_BOOT_AUDIT, false},
                {0, 0, 1, 1, SECURE_BOOT_DEPLOYED, true}, {0, 0, 1, 0, SECURE_BOOT_DEPLOYED, false},
                {1, 0, 0, 1, SECURE_BOOT_SETUP, false},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
                _cleanup_(variables_freep) Variables *variables = memory();
                _cleanup_(secure_boot_state_done) SecureBootState state = {};

                set_flag(variables, "SetupMode", machines[i].setup);
                set_flag(variables, "AuditMode", machines[i].audit);
                set_flag(variables, "DeployedMode", machines[i].deployed);
                set_flag(variables, "SecureBoot", machines[i].secure_boot);
                g_assert_cmpint(secure_boot_state_read(variables, &state, NULL), ==, 0);
                g_assert_cmpstr(secure_boot_mode_name(state.mode), ==, secure_boot_mode_name(machines[i].mode));
                g_assert_cmpint(state.enforcing, ==, machines[i].enforcing);
                g_assert_cmpint(state.secure_boot, ==, machines[i].secure_boot);
        }
}

static void test_firmware_without_secure_boot_is_no_failure(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(secure_boot_state_done) SecureBootState state = {};

        g_assert_cmpint(variables_memory_set(variables, &efi_global_variable_guid, "SetupMode", 0x06, (Span){}), ==, 0);
        g_assert_cmpint(variables_memory_set(variables, &efi_global_variable_guid, "SecureBoot", 0x06, (Span){}), ==,
                        0);
        g_assert_cmpint(secure_boot_state_read(variables, &state, NULL), ==, 0);
        g_assert_cmpint(state.mode, ==, SECURE_BOOT_UNSUPPORTED);
        g_assert_false(state.enforcing);
}

static void test_reads_what_each_variable_holds(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(secure_boot_state_done) SecureBootState state = {};

        set_lists(variables, SECURE_VARIABLE_PK, "platform");
        set_lists(variables, SECURE_VARIABLE_DBX, "forbidden");
        g_assert_cmpint(secure_boot_state_read(variables, &state, NULL), ==, 0);
        g_assert_true(state.variables[SECURE_VARIABLE_PK].exists);
        g_assert_false(state.variables[SECURE_VARIABLE_KEK].exists);
        g_assert_false(state.variables[SECURE_VARIABLE_DB].exists);
        g_assert_cmpint(signature_database_contains(buffer_span(&state.variables[SECURE_VARIABLE_PK].lists),
                                                    &signature_type_x509, &owner, span_from_string("platform")),
                        ==, 1);
        g_assert_cmpint(signature_database_contains(buffer_span(&state.variables[SECURE_VARIABLE_DBX].lists),
                                                    &signature_type_x509, &owner, span_from_string("forbidden")),
                        ==, 1);
}

static void test_a_malformed_variable_is_named(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(failure_done) Failure failure = {};
        SecureBootState state = {};

        g_assert_cmpint(variables_memory_set(variables, &efi_image_security_database_guid, "db", 0x27,
                                             span_from_string("this is not a list")),
                        ==, 0);
        g_assert_cmpint(secure_boot_state_read(variables, &state, &failure), <, 0);
        g_assert_true(g_str_has_prefix(failure.message, "db in "));
}

static void test_a_malformed_mode_is_named(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(failure_done) Failure failure = {};
        SecureBootState state = {};

        set_flag(variables, "SetupMode", 5);
        g_assert_cmpint(secure_boot_state_read(variables, &state, &failure), <, 0);
        g_assert_true(g_str_has_prefix(failure.message, "SetupMode "));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/firmware/secure-boot/" name, function)
        TEST("tells-the-mode", test_tells_the_mode);
        TEST("firmware-without-secure-boot-is-no-failure", test_firmware_without_secure_boot_is_no_failure);
        TEST("reads-what-each-variable-holds", test_reads_what_each_variable_holds);
        TEST("a-malformed-variable-is-named", test_a_malformed_variable_is_named);
        TEST("a-malformed-mode-is-named", test_a_malformed_mode_is_named);
        return g_test_run();
}
