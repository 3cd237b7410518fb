/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/variables.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/firmware/variables-memory.h"
#include "tests/lib/test-folder.h"

static const Guid vendor = GUID_INIT(0x5b1c2a7e, 0x4d0f, 0x4c6d, 0x9a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77);
#define VENDOR_TEXT "5b1c2a7e-4d0f-4c6d-9a11-223344556677"

/* In memory. */

static Variables *memory(void) {
        Variables *variables = NULL;

        g_assert_cmpint(variables_new_memory(&variables), ==, 0);
        return variables;
}

static int write_plain(Variables *variables, const char *name, const char *text, Failure *failure) {
        return variables_write(variables, &vendor, name, 0x07, span_from_string(text), failure);
}

static void assert_content(Variables *variables, const char *name, const char *expected) {
        _cleanup_(buffer_done) Buffer content = {};

        if (!expected) {
                g_assert_cmpint(variables_read(variables, &vendor, name, NULL, &content), ==, -ENOENT);
                return;
        }
        g_assert_cmpint(variables_read(variables, &vendor, name, NULL, &content), ==, 0);
        g_assert_cmpmem(content.data, content.size, expected, strlen(expected));
}

static bool flag(Variables *variables, const char *name) {
        bool value;

        g_assert_cmpint(variables_read_flag(variables, &efi_global_variable_guid, name, false, &value), ==, 0);
        return value;
}

static void set_global(Variables *variables, const char *name, uint32_t attributes, const char *text) {
        g_assert_cmpint(
                variables_memory_set(variables, &efi_global_variable_guid, name, attributes, span_from_string(text)),
                ==, 0);
}

static void test_writes_and_reads(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(buffer_done) Buffer content = {};
        uint32_t attributes;

        assert_content(variables, "Name", NULL);
        g_assert_cmpint(write_plain(variables, "Name", "text", NULL), ==, 0);
        g_assert_cmpint(variables_read(variables, &vendor, "Name", &attributes, &content), ==, 0);
        g_assert_cmpuint(attributes, ==, 0x07);
        g_assert_cmpmem(content.data, content.size, "text", 4);
        g_assert_cmpint(write_plain(variables, "Name", "", NULL), ==, 0);
        assert_content(variables, "Name", NULL);
}

static void test_a_new_machine_is_in_setup_mode(void) {
        _cleanup_(variables_freep) Variables *variables = memory();

        g_assert_true(flag(variables, "SetupMode"));
        g_assert_false(flag(variables, "SecureBoot"));
}

static void test_a_flag_has_one_byte(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        bool value = true;

        set_global(variables, "AuditMode", 0x06, "\001");
        g_assert_true(flag(variables, "AuditMode"));
        set_global(variables, "AuditMode", 0x06, "\002");
        g_assert_cmpint(variables_read_flag(variables, &efi_global_variable_guid, "AuditMode", false, &value), ==,
                        -EBADMSG);
        set_global(variables, "AuditMode", 0x06, "\001\001");
        g_assert_cmpint(variables_read_flag(variables, &efi_global_variable_guid, "AuditMode", false, &value), ==,
                        -EBADMSG);
        g_assert_cmpint(variables_read_flag(variables, &efi_global_variable_guid, "Absent", true, &value), ==, 0);
        g_assert_true(value);
}

static void test_secure_boot_follows_pk_at_the_next_start(void) {
        _cleanup_(variables_freep) Variables *variables = memory();

        set_global(variables, "PK", 0x27, "key");
        g_assert_false(flag(variables, "SecureBoot"));
        g_assert_cmpint(variables_memory_reboot(variables), ==, 0);
        g_assert_true(flag(variables, "SecureBoot"));
        g_assert_false(flag(variables, "SetupMode"));
        set_global(variables, "PK", 0x27, "");
        g_assert_cmpint(variables_memory_reboot(variables), ==, 0);
        g_assert_false(flag(variables, "SecureBoot"));
        g_assert_true(flag(variables, "SetupMode"));
}

static void test_secure_boot_can_be_switched_off(void) {
        static const Guid enable = GUID_INIT(0xf0a30bc7, 0xaf08, 0x4556, 0x99, 0xc4, 0, 0x10, 9, 0xc9, 0x3a, 0x44);
        static const uint8_t off = 0;
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(buffer_done) Buffer content = {};

        set_global(variables, "PK", 0x27, "key");
        g_assert_cmpint(variables_memory_set(variables, &enable, "SecureBootEnable", 0x03, (Span){&off, 1}), ==, 0);
        g_assert_cmpint(variables_memory_reboot(variables), ==, 0);
        g_assert_false(flag(variables, "SecureBoot"));
        /* An operating system does not see that variable. */
        g_assert_cmpint(variables_read(variables, &enable, "SecureBootEnable", NULL, &content), ==, -ENOENT);
}

static void test_a_restart_forgets_volatile_variables(void) {
        _cleanup_(variables_freep) Variables *variables = memory();

        set_global(variables, "AuditMode", 0x06, "\001");
        g_assert_cmpint(write_plain(variables, "Kept", "text", NULL), ==, 0);
        g_assert_cmpint(variables_memory_reboot(variables), ==, 0);
        g_assert_false(flag(variables, "AuditMode"));
        assert_content(variables, "Kept", "text");
}

static void test_failures_name_variable_and_cause(void) {
        static const struct {
                int error;
                Condition condition;
                const char *part;
        } faults[] = {
                {-EACCES, CONDITION_FIRMWARE_REFUSED, "timestamp is not newer"},
                {-EINVAL, CONDITION_FIRMWARE_REFUSED, "attributes are not 0x7"},
                {-EROFS, CONDITION_VARIABLES_READ_ONLY, "read-only"},
                {-EPERM, CONDITION_VARIABLES_READ_ONLY, "protected"},
                {-ENOSPC, CONDITION_VARIABLE_STORE_FULL, "full"},
                {-EIO, CONDITION_FAILED, "Input/output error"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
                _cleanup_(variables_freep) Variables *variables = memory();
                _cleanup_(failure_done) Failure failure = {};

                g_assert_cmpint(variables_memory_fail_write(variables, 1, faults[i].error), ==, 0);
                int r = write_plain(variables, "Name", "text", &failure);
                if (faults[i].condition == CONDITION_FAILED)
                        g_assert_cmpint(r, ==, faults[i].error);
                else
                        g_assert_cmpint(r, ==, condition_errno(faults[i].condition));
                g_assert_cmpint(failure.condition, ==, faults[i].condition);
                g_assert_nonnull(strstr(failure.message, "Name"));
                g_assert_nonnull(strstr(failure.message, faults[i].part));
                assert_content(variables, "Name", NULL);
                g_assert_cmpint(write_plain(variables, "Name", "text", NULL), ==, 0);
        }
}

static void test_a_fault_hits_the_write_it_is_ordered_for(void) {
        _cleanup_(variables_freep) Variables *variables = memory();

        g_assert_cmpint(variables_memory_fail_write(variables, 2, -EIO), ==, 0);
        g_assert_cmpint(write_plain(variables, "First", "text", NULL), ==, 0);
        g_assert_cmpint(write_plain(variables, "Second", "text", NULL), ==, -EIO);
        g_assert_cmpint(write_plain(variables, "Third", "text", NULL), ==, 0);
        assert_content(variables, "Second", NULL);
        g_assert_cmpuint(variables_memory_write_count(variables), ==, 3);
}

static void test_read_only_variables_can_be_read_only(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(variables_check_writable(variables, NULL), ==, 0);
        g_assert_cmpint(write_plain(variables, "Name", "text", NULL), ==, 0);
        g_assert_cmpint(variables_memory_set_read_only(variables, true), ==, 0);
        g_assert_cmpint(variables_check_writable(variables, &failure), ==, -EROFS);
        g_assert_cmpint(failure.condition, ==, CONDITION_VARIABLES_READ_ONLY);
        g_assert_cmpint(write_plain(variables, "Name", "other", NULL), ==, -EROFS);
        assert_content(variables, "Name", "text");
}

static void test_a_full_store_takes_nothing_more(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(failure_done) Failure failure = {};
        uint64_t room, less;

        g_assert_cmpint(variables_query_space(variables, &room), ==, 0);
        g_assert_cmpint(write_plain(variables, "Name", "text", NULL), ==, 0);
        g_assert_cmpint(variables_query_space(variables, &less), ==, 0);
        g_assert_cmpuint(less, <, room);
        g_assert_cmpint(variables_memory_set_capacity(variables, 300), ==, 0);
        g_assert_cmpint(write_plain(variables, "Other", "0123456789012345678901234567890123456789012345678901234567890",
                                    &failure),
                        ==, -ENOSPC);
        g_assert_cmpint(failure.condition, ==, CONDITION_VARIABLE_STORE_FULL);
        assert_content(variables, "Other", NULL);
        g_assert_cmpint(write_plain(variables, "Name", "more", NULL), ==, 0);
}

/* In memory, kept in a file. */

static Variables *from_file(const char *path) {
        Variables *variables = NULL;

        g_assert_cmpint(variables_new_memory_file(path, &variables), ==, 0);
        return variables;
}

static void test_a_file_keeps_everything(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "firmware");

        Variables *variables = from_file(path);
        g_assert_cmpint(write_plain(variables, "Name", "text", NULL), ==, 0);
        set_global(variables, "PK", 0x27, "key");
        g_assert_cmpint(variables_memory_reboot(variables), ==, 0);
        g_assert_cmpint(variables_memory_fail_write(variables, 2, -EACCES), ==, 0);
        variables_free(variables);

        variables = from_file(path);
        assert_content(variables, "Name", "text");
        g_assert_true(flag(variables, "SecureBoot"));
        g_assert_cmpint(write_plain(variables, "Name", "1", NULL), ==, 0);
        variables_free(variables);

        /* The fault counts on in the next program. */
        variables = from_file(path);
        assert_content(variables, "Name", "1");
        g_assert_cmpint(write_plain(variables, "Name", "2", NULL), ==, -EACCES);
        g_assert_cmpint(write_plain(variables, "Name", "2", NULL), ==, 0);
        g_assert_cmpint(variables_memory_set_read_only(variables, true), ==, 0);
        variables_free(variables);

        variables = from_file(path);
        g_assert_cmpint(write_plain(variables, "Name", "3", NULL), ==, -EROFS);
        variables_free(variables);
}

static void test_a_file_can_be_written_by_hand(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "firmware");

        test_write(folder, "firmware",
                   "lanzad-variables 1\n"
                   "variable " VENDOR_TEXT " Name 07 00000000000000000000000000000000 "
                   "0000000000000000000000000000000000000000000000000000000000000000 74657874\n"
                   "capacity 1000\n",
                   -1, 0600);
        _cleanup_(variables_freep) Variables *variables = from_file(path);
        assert_content(variables, "Name", "text");
        g_assert_true(flag(variables, "SetupMode"));
}

static void test_refuses_a_file_that_is_none(void) {
        static const char *const texts[] = {
                "something else\n",
                "lanzad-variables 1\nnonsense\n",
                "lanzad-variables 1\ncapacity much\n",
                "lanzad-variables 1\ncapacity -1x\n",
                "lanzad-variables 1\nvariable " VENDOR_TEXT " Name 07 00 00 -\n",
                "lanzad-variables 1\nfail-write 1\n",
                "lanzad-variables 1\nvariable a b c d e f g h\n",
        };
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "firmware");

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                Variables *variables = NULL;

                test_write(folder, "firmware", texts[i], -1, 0600);
                g_assert_cmpint(variables_new_memory_file(path, &variables), ==, -EBADMSG);
                g_assert_null(variables);
        }
}

/* Through libefivar, which reads EFIVARFS_PATH when it is loaded: each of these runs in a process of its own. */

static char *program;

static void run_again(const char *mode, const char *efivarfs) {
        g_autofree char *setting = g_strconcat("EFIVARFS_PATH=", efivarfs, NULL);
        char *arguments[] = {(char *)"/usr/bin/env", setting, program, (char *)"--efivar", (char *)mode, NULL};
        g_autofree char *errors = NULL;
        g_autoptr(GError) error = NULL;
        int status;

        g_spawn_sync(NULL, arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &errors, &status, &error);
        g_assert_no_error(error);
        if (status != 0)
                g_test_message("%s", errors);
        g_assert_cmpint(status, ==, 0);
}

static Variables *efivar(void) {
        Variables *variables = NULL;

        g_assert_cmpint(variables_new_efivar(&variables, NULL), ==, 0);
        return variables;
}

static void inside_absent(void) {
        _cleanup_(failure_done) Failure failure = {};
        Variables *variables = NULL;

        g_assert_cmpint(variables_new_efivar(&variables, &failure), ==, condition_errno(CONDITION_NOT_SUPPORTED));
        g_assert_cmpint(failure.condition, ==, CONDITION_NOT_SUPPORTED);
        g_assert_nonnull(strstr(failure.message, "EFI variables can't be used"));
}

static void inside_read(void) {
        _cleanup_(variables_freep) Variables *variables = efivar();
        _cleanup_(buffer_done) Buffer content = {};
        uint32_t attributes;

        g_assert_cmpint(variables_read(variables, &vendor, "Name", &attributes, &content), ==, 0);
        g_assert_cmpuint(attributes, ==, 0x07);
        g_assert_cmpmem(content.data, content.size, "text", 4);
        assert_content(variables, "Absent", NULL);
        /* Left over by a write that firmware refused. */
        assert_content(variables, "Refused", NULL);
}

static void inside_list(void) {
        _cleanup_(variables_freep) Variables *variables = efivar();
        _cleanup_(string_list_done) StringList names = {}, none = {};

        g_assert_cmpint(variables_list(variables, &vendor, &names), ==, 0);
        g_assert_cmpuint(names.count, ==, 2);
        g_assert_cmpstr(names.items[0], ==, "Another-Name");
        g_assert_cmpstr(names.items[1], ==, "Name");
        g_assert_cmpint(variables_list(variables, &efi_image_security_database_guid, &none), ==, 0);
        g_assert_cmpuint(none.count, ==, 0);
}

static void inside_write(void) {
        _cleanup_(variables_freep) Variables *variables = efivar();

        g_assert_cmpint(variables_check_writable(variables, NULL), ==, 0);
        g_assert_cmpint(variables_write(variables, &vendor, "New", 0x27, span_from_string("content"), NULL), ==, 0);
}

static void test_without_efivarfs_nothing_is_supported(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = test_path(folder, "absent/");

        if (access("/sys/firmware/efi/efivars/SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c", F_OK) != 0)
                run_again("absent", path);
}

static void test_reads_through_libefivar(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = g_strconcat(folder, "/", NULL);

        test_write(folder, "Name-" VENDOR_TEXT, "\007\0\0\0text", 8, 0600);
        test_write(folder, "Refused-" VENDOR_TEXT, "", 0, 0600);
        run_again("read", path);
}

static void test_lists_a_vendors_variables(void) {
        static const char *const files[] = {
                "Name-" VENDOR_TEXT,
                "Another-Name-" VENDOR_TEXT,
                "-" VENDOR_TEXT,
                VENDOR_TEXT,
                "short",
                "Name",
                "Name-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        };
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = g_strconcat(folder, "/", NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
                test_write(folder, files[i], "\007\0\0\0", 4, 0600);
        run_again("list", path);
}

static void test_memory_lists_what_can_be_read(void) {
        _cleanup_(variables_freep) Variables *variables = memory();
        _cleanup_(string_list_done) StringList names = {};

        g_assert_cmpint(variables_memory_set(variables, &vendor, "B", 0x07, span_from_string("b")), ==, 0);
        g_assert_cmpint(variables_memory_set(variables, &vendor, "A", 0x07, span_from_string("a")), ==, 0);
        g_assert_cmpint(variables_memory_set(variables, &vendor, "Hidden", 0x03, span_from_string("h")), ==, 0);
        g_assert_cmpint(variables_list(variables, &vendor, &names), ==, 0);
        g_assert_cmpuint(names.count, ==, 2);
        g_assert_cmpstr(names.items[0], ==, "A");
        g_assert_cmpstr(names.items[1], ==, "B");
}

static void test_writes_attributes_and_data_through_libefivar(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        g_autofree char *path = g_strconcat(folder, "/", NULL);
        size_t size;

        run_again("write", path);
        g_autoptr(GBytes) content = test_read(folder, "New-" VENDOR_TEXT);
        const char *data = g_bytes_get_data(content, &size);
        g_assert_cmpmem(data, size, "\047\0\0\0content", 11);
}

static int run_inside(const char *mode) {
        if (strcmp(mode, "absent") == 0)
                inside_absent();
        if (strcmp(mode, "read") == 0)
                inside_read();
        if (strcmp(mode, "list") == 0)
                inside_list();
        if (strcmp(mode, "write") == 0)
                inside_write();
        return 0;
}

int main(int argc, char **argv) {
        program = argv[0];
        if (argc == 3 && strcmp(argv[1], "--efivar") == 0)
                return run_inside(argv[2]);

        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/firmware/variables/" name, function)
        TEST("writes-and-reads", test_writes_and_reads);
        TEST("a-new-machine-is-in-setup-mode", test_a_new_machine_is_in_setup_mode);
        TEST("a-flag-has-one-byte", test_a_flag_has_one_byte);
        TEST("secure-boot-follows-pk-at-the-next-start", test_secure_boot_follows_pk_at_the_next_start);
        TEST("secure-boot-can-be-switched-off", test_secure_boot_can_be_switched_off);
        TEST("a-restart-forgets-volatile-variables", test_a_restart_forgets_volatile_variables);
        TEST("failures-name-variable-and-cause", test_failures_name_variable_and_cause);
        TEST("a-fault-hits-the-write-it-is-ordered-for", test_a_fault_hits_the_write_it_is_ordered_for);
        TEST("read-only-variables-can-only-be-read", test_read_only_variables_can_be_read_only);
        TEST("a-full-store-takes-nothing-more", test_a_full_store_takes_nothing_more);
        TEST("a-file-keeps-everything", test_a_file_keeps_everything);
        TEST("a-file-can-be-written-by-hand", test_a_file_can_be_written_by_hand);
        TEST("refuses-a-file-that-is-none", test_refuses_a_file_that_is_none);
        TEST("without-efivarfs-nothing-is-supported", test_without_efivarfs_nothing_is_supported);
        TEST("reads-through-libefivar", test_reads_through_libefivar);
        TEST("lists-a-vendors-variables-as-efivarfs-names-them", test_lists_a_vendors_variables);
        TEST("in-memory-only-what-can-be-read-is-listed", test_memory_lists_what_can_be_read);
        TEST("writes-attributes-and-data-through-libefivar", test_writes_attributes_and_data_through_libefivar);
        return g_test_run();
}
