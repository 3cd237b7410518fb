/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/vendor-certificates.h"
#include "daemon/ops/security-attribute.h"
#include "daemon/ops/security.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

#define FWUPD "org.fwupd.hsi."
#define OURS "org.lanzaboote.hsi."
#define LOCKDOWN_FILE "sys/kernel/security/lockdown"
#define TPM "sys/class/tpm/tpm0/"
#define PCR_ZERO "0000000000000000000000000000000000000000000000000000000000000000\n"
#define PCR_MEASURED "ee00000000000000000000000000000000000000000000000000000000000000\n"

static Outcome *security_of(Machine *machine) {
        return machine_run_status(machine, 0, "security", NULL);
}

static const SecurityAttribute *find(const Outcome *outcome, const char *id) {
        const SecurityState *state = outcome->result;
        const SecurityAttribute *attributes = state->attributes.items;

        for (size_t i = 0; i < state->attributes.count; i++)
                if (strcmp(attributes[i].appstream_id, id) == 0)
                        return &attributes[i];
        g_error("there is no attribute %s", id);
}

static const char *metadata(const SecurityAttribute *attribute, const char *name) {
        for (size_t i = 0; i + 1 < attribute->metadata.count; i += 2)
                if (strcmp(attribute->metadata.items[i], name) == 0)
                        return attribute->metadata.items[i + 1];
        return NULL;
}

static void assert_attribute(const Outcome *outcome, const char *id, unsigned result, uint64_t flags) {
        const SecurityAttribute *attribute = find(outcome, id);

        g_test_message("%s: %s", id, metadata(attribute, "message") ?: "");
        g_assert_cmpuint(attribute->result, ==, result);
        g_assert_cmpuint(attribute->flags, ==, flags);
}

static void assert_id(const Outcome *outcome, const char *expected) {
        outcome_assert(outcome, "host-security-id", expected);
}

static void assert_note(const Outcome *outcome, const char *id, const char *name, const char *part) {
        const char *text = metadata(find(outcome, id), name);

        if (!text || !strstr(text, part))
                g_error("%s: %s is \"%s\", not \"%s\"", id, name, text ?: "", part);
}

/* What the kernel shows where all is well. */
static void write_good_kernel(Machine *machine) {
        machine->is_live = true;
        machine_write(machine, "sys/firmware/efi/fw_platform_size", "64\n");
        machine_write(machine, LOCKDOWN_FILE, "none [integrity] confidentiality\n");
        machine_write(machine, TPM "tpm_version_major", "2\n");
        machine_write(machine, TPM "pcr-sha256/11", PCR_MEASURED);
}

static void boot_by_stub(Machine *machine) {
        g_autofree char *image = machine_image_of(machine, 2, NULL);
        g_autofree char *path = g_strdup_printf("\\EFI\\Linux\\%s", image);

        machine_set_loader_variable(machine, "StubInfo", "lanzastub 1.0");
        machine_set_loader_variable(machine, "StubDevicePartUUID", MACHINE_ESP_UUID);
        machine_set_loader_variable(machine, "LoaderDevicePartUUID", MACHINE_ESP_UUID);
        machine_set_loader_variable(machine, "StubImageIdentifier", path);
        machine_set_loader_variable(machine, "LoaderEntrySelected", image);
        machine_set_loader_variable(machine, "StubPcrKernelImage", "11");
}

static Machine *good_machine(void) {
        Machine *machine = machine_new_typical(/* has_firmware= */ true);

        machine_enforce(machine);
        write_good_kernel(machine);
        boot_by_stub(machine);
        return machine;
}

static void test_good(void) {
        _cleanup_(machine_freep) Machine *machine = good_machine();
        g_autofree char *before = machine_snapshot(machine, ""), *after = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = security_of(machine);
        const SecurityAttribute *attribute = find(outcome, FWUPD "Uefi.SecureBoot");

        assert_id(outcome, "HSI:1");
        assert_attribute(outcome, FWUPD "Uefi.SecureBoot", SECURITY_ENABLED, SECURITY_SUCCESS);
        assert_attribute(outcome, FWUPD "Uefi.Pk", SECURITY_VALID, SECURITY_SUCCESS);
        assert_attribute(outcome, FWUPD "Uefi.BootserviceVars", SECURITY_LOCKED, SECURITY_SUCCESS);
        assert_attribute(outcome, FWUPD "Uefi.Db", SECURITY_NOT_FOUND,
                         SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);
        assert_attribute(outcome, FWUPD "Kernel.Lockdown", SECURITY_ENABLED, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "BootFilesVerified", SECURITY_VALID, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "BootedByStub", SECURITY_FOUND, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "BootedImageSigned", SECURITY_VALID, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "Pcr11Measured", SECURITY_ENABLED, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "PrivateKeys", SECURITY_LOCKED, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "Revocations", SECURITY_UNKNOWN, SECURITY_MISSING_DATA);
        g_assert_cmpuint(attribute->level, ==, 1);
        g_assert_cmpuint(attribute->result_success, ==, SECURITY_ENABLED);
        g_assert_cmpuint(attribute->created, ==, machine->now - 100);
        g_assert_cmpstr(attribute->plugin, ==, "lanzad");
        g_assert_true(g_str_has_suffix(attribute->uri, "hsi.html#org.fwupd.hsi.Uefi.SecureBoot"));
        g_assert_null(find(outcome, OURS "PrivateKeys")->uri);
        g_assert_cmpuint(find(outcome, FWUPD "Kernel.Lockdown")->level, ==, 0);
        after = machine_snapshot(machine, "");
        g_assert_cmpstr(before, ==, after);
}

/* Every attribute, whatever was found. */
static void test_form(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = security_of(machine);
        const SecurityState *state = outcome->result;
        const SecurityAttribute *attributes = state->attributes.items;

        g_assert_cmpuint(state->attributes.count, ==, SECURITY_KIND_COUNT);
        for (size_t i = 0; i < state->attributes.count; i++) {
                const SecurityAttribute *attribute = &attributes[i];
                bool holds = attribute->flags & SECURITY_SUCCESS, missing = attribute->flags & SECURITY_MISSING_DATA;

                g_assert_true(attribute->name && attribute->summary && attribute->description && attribute->plugin);
                g_assert_cmpuint(attribute->result_success, !=, SECURITY_UNKNOWN);
                g_assert_false(holds && missing);
                g_assert_true(holds || missing || attribute->result != attribute->result_success);
                g_assert_cmpuint(attribute->metadata.count % 2, ==, 0);
                g_assert_false(attribute->level > 0 && (attribute->flags & SECURITY_RUNTIME_ISSUE));
        }
}

static void test_tree(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = security_of(machine);

        assert_id(outcome, "HSI:0!");
        assert_attribute(outcome, FWUPD "Uefi.SecureBoot", SECURITY_UNKNOWN, SECURITY_MISSING_DATA);
        assert_attribute(outcome, OURS "BootFilesVerified", SECURITY_UNKNOWN,
                         SECURITY_MISSING_DATA | SECURITY_RUNTIME_ISSUE);
        assert_attribute(outcome, OURS "PrivateKeys", SECURITY_LOCKED, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
}

static void test_no_efi(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *bios = NULL, *unmounted = NULL;
        static const char *const unknown[] = {"Uefi.Pk", "Uefi.BootserviceVars", "Uefi.Db"};

        machine->is_live = true;
        test_make_folder(machine->root, "sys", 0755);
        bios = security_of(machine);
        assert_id(bios, "HSI:0!");
        assert_attribute(bios, FWUPD "Uefi.SecureBoot", SECURITY_NOT_ENABLED,
                         SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);
        assert_note(bios, FWUPD "Uefi.SecureBoot", "hint", "UEFI mode");
        for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
                g_autofree char *id = g_strconcat(FWUPD, unknown[i], NULL);

                g_assert_true(find(bios, id)->flags & SECURITY_MISSING_DATA);
                g_assert_cmpuint(find(bios, id)->result, ==, SECURITY_UNKNOWN);
        }
        /* Started by UEFI, but nobody mounted efivarfs. */
        test_make_folder(machine->root, "sys/firmware/efi", 0755);
        unmounted = security_of(machine);
        assert_attribute(unmounted, FWUPD "Uefi.SecureBoot", SECURITY_UNKNOWN, SECURITY_MISSING_DATA);
}

static void test_setup_mode(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *outcome = security_of(machine);

        assert_id(outcome, "HSI:0!");
        assert_attribute(outcome, FWUPD "Uefi.SecureBoot", SECURITY_NOT_ENABLED,
                         SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);
        assert_note(outcome, FWUPD "Uefi.SecureBoot", "hint", "lanzactl setup");
        g_assert_cmpuint(find(outcome, FWUPD "Uefi.SecureBoot")->level, ==, 0);
        assert_attribute(outcome, FWUPD "Uefi.Pk", SECURITY_NOT_FOUND, SECURITY_CONFIG_OS);
        assert_attribute(outcome, OURS "BootFilesVerified", SECURITY_NOT_ENABLED,
                         SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_OS);
}

/* Enrolled, and not started again since. */
static void test_enrolled(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *synced = machine_run_status(machine, 0, "sync", NULL), *outcome = NULL;
        _cleanup_(outcome_freep) Outcome *enrolled =
                machine_run_status(machine, 0, "enroll-keys", "yes-this-might-brick-my-machine", "yes", NULL);

        outcome = security_of(machine);
        assert_id(outcome, "HSI:1!");
        assert_attribute(outcome, FWUPD "Uefi.SecureBoot", SECURITY_NOT_ENABLED,
                         SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);
        assert_note(outcome, FWUPD "Uefi.SecureBoot", "hint", "Reboot");
        assert_attribute(outcome, FWUPD "Uefi.Pk", SECURITY_VALID, SECURITY_SUCCESS);
        assert_attribute(outcome, OURS "BootFilesVerified", SECURITY_VALID, SECURITY_SUCCESS | SECURITY_RUNTIME_ISSUE);
}

static void test_others_keys(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *synced = machine_run_status(machine, 0, "sync", NULL), *outcome = NULL;

        machine_set_certificate(machine, "PK", "foreign-PK.der");
        machine_set_certificate(machine, "KEK", "foreign-KEK.der");
        machine_set_certificate(machine, "db", "foreign-db.der");
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
        outcome = security_of(machine);
        assert_attribute(outcome, FWUPD "Uefi.SecureBoot", SECURITY_ENABLED, SECURITY_SUCCESS);
        assert_attribute(outcome, FWUPD "Uefi.Pk", SECURITY_VALID, SECURITY_SUCCESS);
        assert_attribute(outcome, OURS "BootFilesVerified", SECURITY_NOT_VALID,
                         SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_OS);
        assert_note(outcome, OURS "BootFilesVerified", "message", "/boot/EFI/");
}

static void test_test_key(void) {
        _cleanup_(machine_freep) Machine *machine = good_machine();
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_set_certificate(machine, "PK", "untrusted-PK.der");
        outcome = security_of(machine);
        assert_id(outcome, "HSI:0");
        assert_attribute(outcome, FWUPD "Uefi.Pk", SECURITY_NOT_VALID, SECURITY_CONFIG_FW | SECURITY_CONTACT_OEM);
        assert_note(outcome, FWUPD "Uefi.Pk", "message", "DO NOT TRUST");
}

static void set_lists(Machine *machine, SecureVariable variable, Span lists) {
        g_assert_cmpint(variables_memory_set(machine->variables, secure_variable_vendor(variable),
                                             secure_variable_name(variable), VARIABLE_ATTRIBUTES_SECURE, lists),
                        ==, 0);
}

static void test_hostile_variables(void) {
        static const Guid owner = {};
        _cleanup_(machine_freep) Machine *machine = good_machine();
        _cleanup_(outcome_freep) Outcome *no_certificate = NULL, *no_list = NULL;
        _cleanup_(buffer_done) Buffer lists = {};

        g_assert_cmpint(signature_database_add(&lists, &signature_type_x509, &owner, span_from_string("rubbish")), ==,
                        1);
        set_lists(machine, SECURE_VARIABLE_PK, buffer_span(&lists));
        no_certificate = security_of(machine);
        assert_attribute(no_certificate, FWUPD "Uefi.Pk", SECURITY_UNKNOWN, SECURITY_MISSING_DATA);
        assert_attribute(no_certificate, FWUPD "Uefi.SecureBoot", SECURITY_ENABLED, SECURITY_SUCCESS);

        set_lists(machine, SECURE_VARIABLE_DB, span_from_string("no list"));
        no_list = security_of(machine);
        assert_attribute(no_list, FWUPD "Uefi.SecureBoot", SECURITY_UNKNOWN, SECURITY_MISSING_DATA);
        assert_attribute(no_list, FWUPD "Uefi.Db", SECURITY_UNKNOWN,
                         SECURITY_MISSING_DATA | SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);
        assert_note(no_list, FWUPD "Uefi.Db", "message", "db");
}

static void test_microsofts_certificates(void) {
        static const struct {
                bool has_2011, has_2023;
                SecurityOutcome result;
                bool holds;
        } cases[] = {
                {false, false, SECURITY_NOT_FOUND, true},
                {true, false, SECURITY_NOT_VALID, false},
                {false, true, SECURITY_VALID, true},
                {true, true, SECURITY_VALID, true},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
                _cleanup_(outcome_freep) Outcome *outcome = NULL;
                _cleanup_(buffer_done) Buffer db = {};
                const VendorCertificate *certificate;

                for (size_t n = 0; (certificate = vendor_certificate_at(n)); n++)
                        if (certificate->variable == SECURE_VARIABLE_DB &&
                            (certificate->classes & VENDOR_THIRD_PARTY) &&
                            (certificate->year == 2011 ? cases[i].has_2011 : cases[i].has_2023))
                                g_assert_cmpint(signature_database_add(&db, &signature_type_x509,
                                                                       &signature_owner_microsoft,
                                                                       vendor_certificate_der(certificate)),
                                                ==, 1);
                if (db.size > 0)
                        set_lists(machine, SECURE_VARIABLE_DB, buffer_span(&db));
                outcome = security_of(machine);
                assert_attribute(outcome, FWUPD "Uefi.Db", cases[i].result,
                                 (cases[i].holds ? SECURITY_SUCCESS : 0) | SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);
        }
}

static int list_setup(void *backend, const Guid *vendor, StringList *ret) {
        return string_list_add(ret, "Setup");
}

static int read_setup(void *backend, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret) {
        *ret_attributes = VARIABLE_BOOTSERVICE_ACCESS;
        return strcmp(name, "Setup") == 0 ? 0 : -ENOENT;
}

static void test_bootservice_variable(void) {
        static const VariablesOps ops = {.read = read_setup, .list = list_setup, .place = "the test"};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        g_assert_cmpint(variables_new(&ops, /* backend= */ NULL, &machine->variables), ==, 0);
        outcome = security_of(machine);
        assert_attribute(outcome, FWUPD "Uefi.BootserviceVars", SECURITY_NOT_LOCKED, SECURITY_CONTACT_OEM);
        assert_note(outcome, FWUPD "Uefi.BootserviceVars", "name", "Setup");
        assert_note(outcome, FWUPD "Uefi.BootserviceVars", "guid", "d719b2cb-3d3a-4596-a3bc-dad00e67656f");
        /* This firmware does not know Secure Boot either. */
        assert_attribute(outcome, FWUPD "Uefi.SecureBoot", SECURITY_NOT_FOUND, SECURITY_MISSING_DATA);
}

static void test_lockdown(void) {
        static const struct {
                const char *text;
                unsigned result;
                uint64_t flags;
        } cases[] = {
                {"[none] integrity confidentiality\n", SECURITY_NOT_ENABLED, SECURITY_CONFIG_OS},
                {"none [integrity] confidentiality\n", SECURITY_ENABLED, SECURITY_SUCCESS},
                {"none integrity [confidentiality]\n", SECURITY_ENABLED, SECURITY_SUCCESS},
                {"[future]\n", SECURITY_UNKNOWN, SECURITY_MISSING_DATA},
                {"\033[none\033]", SECURITY_UNKNOWN, SECURITY_MISSING_DATA},
                {NULL, SECURITY_UNKNOWN, SECURITY_MISSING_DATA},
        };
        _cleanup_(machine_freep) Machine *machine = good_machine();
        g_autofree char *path = test_path(machine->root, LOCKDOWN_FILE);

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                _cleanup_(outcome_freep) Outcome *outcome = NULL;

                if (cases[i].text)
                        machine_write(machine, LOCKDOWN_FILE, cases[i].text);
                else
                        g_assert_cmpint(g_unlink(path), ==, 0);
                outcome = security_of(machine);
                assert_attribute(outcome, FWUPD "Kernel.Lockdown", cases[i].result,
                                 cases[i].flags | SECURITY_RUNTIME_ISSUE);
                assert_id(outcome, cases[i].flags == SECURITY_SUCCESS ? "HSI:1" : "HSI:1!");
        }
}

static void test_tpm(void) {
        const char *id = OURS "Pcr11Measured";
        _cleanup_(machine_freep) Machine *machine = good_machine();
        _cleanup_(outcome_freep) Outcome *empty = NULL, *untold = NULL, *unmeasured = NULL, *absent = NULL,
                                         *unseen = NULL;
        g_autofree char *pcr = test_path(machine->root, TPM "pcr-sha256/11"), *sys = test_path(machine->root, "sys"),
                        *gone = test_path(machine->root, "gone"),
                        *version = test_path(machine->root, TPM "tpm_version_major");

        machine_write(machine, TPM "pcr-sha256/11", PCR_ZERO);
        empty = security_of(machine);
        assert_attribute(empty, id, SECURITY_NOT_ENABLED, SECURITY_RUNTIME_ISSUE);
        assert_note(empty, id, "message", "empty");

        g_assert_cmpint(g_unlink(pcr), ==, 0);
        untold = security_of(machine);
        assert_attribute(untold, id, SECURITY_ENABLED, SECURITY_RUNTIME_ISSUE | SECURITY_SUCCESS);

        machine_set_loader_variable(machine, "StubPcrKernelImage", "12");
        unmeasured = security_of(machine);
        assert_attribute(unmeasured, id, SECURITY_NOT_ENABLED, SECURITY_RUNTIME_ISSUE);
        assert_note(unmeasured, id, "message", "stub does not");
        /* No advice that would change nothing. */
        g_assert_null(metadata(find(unmeasured, id), "hint"));

        g_assert_cmpint(g_unlink(version), ==, 0);
        absent = security_of(machine);
        assert_attribute(absent, id, SECURITY_NOT_SUPPORTED, SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_FW);

        g_assert_cmpint(g_rename(sys, gone), ==, 0);
        unseen = security_of(machine);
        assert_attribute(unseen, id, SECURITY_UNKNOWN, SECURITY_RUNTIME_ISSUE | SECURITY_MISSING_DATA);
}

static void test_keys(void) {
        const char *id = OURS "PrivateKeys";
        _cleanup_(machine_freep) Machine *machine = good_machine(), *fresh = machine_new(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *readable = NULL, *none = NULL;
        g_autofree char *key = test_path(machine->root, "var/lib/lanzad/keys/KEK/KEK.key");

        g_assert_cmpint(g_chmod(key, 0640), ==, 0);
        readable = security_of(machine);
        assert_id(readable, "HSI:1!");
        assert_attribute(readable, id, SECURITY_NOT_LOCKED, SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_OS);
        assert_note(readable, id, "message", "KEK.key");
        assert_note(readable, id, "hint", "chmod 0600");

        none = security_of(fresh);
        assert_attribute(none, id, SECURITY_NOT_FOUND, SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_OS);
        assert_note(none, id, "hint", "create-keys");
        assert_attribute(none, OURS "BootedImageSigned", SECURITY_UNKNOWN,
                         SECURITY_RUNTIME_ISSUE | SECURITY_MISSING_DATA);
}

static void test_other_stub(void) {
        const char *id = OURS "BootedByStub";
        _cleanup_(machine_freep) Machine *machine = good_machine(),
                                         *bare = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *other = NULL, *none = NULL;

        machine_set_loader_variable(machine, "StubInfo", "systemd-stub 257");
        other = security_of(machine);
        assert_attribute(other, id, SECURITY_NOT_FOUND, SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_OS);
        assert_note(other, id, "message", "Another stub");
        none = security_of(bare);
        assert_attribute(none, id, SECURITY_NOT_FOUND, SECURITY_RUNTIME_ISSUE | SECURITY_CONFIG_OS);
}

static const SecurityAttribute *judge_booted(Machine *machine, Outcome **outcome) {
        *outcome = security_of(machine);
        return find(*outcome, OURS "BootedImageSigned");
}

static void assert_booted(Machine *machine, unsigned result) {
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        const SecurityAttribute *attribute = judge_booted(machine, &outcome);

        g_test_message("%s", metadata(attribute, "message") ?: "");
        g_assert_cmpuint(attribute->result, ==, result);
        g_assert_true((result == SECURITY_UNKNOWN) == !!(attribute->flags & SECURITY_MISSING_DATA));
        g_assert_true((result == SECURITY_VALID) == !!(attribute->flags & SECURITY_SUCCESS));
}

/* The stub's path, with whatever boot counter, then the entry's name; nothing else, and on no other partition. */
static void test_booted_image(void) {
        static const char *const nowhere[] = {"..", "a/../b", "/etc/passwd", "", "nixos-generation-9-abc.efi"};
        _cleanup_(machine_freep) Machine *machine = good_machine();
        g_autofree char *image = machine_image_of(machine, 2, NULL);
        g_autofree char *counted = g_strdup_printf("\\EFI\\Linux\\%.*s+2-1.efi", (int)strcspn(image, "."), image);

        machine_set_loader_variable(machine, "StubImageIdentifier", "\\EFI\\Linux\\nixos-generation-2+3-0.efi");
        assert_booted(machine, SECURITY_VALID);
        machine_set_loader_variable(machine, "LoaderEntrySelected", "");
        assert_booted(machine, SECURITY_UNKNOWN);
        machine_set_loader_variable(machine, "StubImageIdentifier", counted);
        assert_booted(machine, SECURITY_VALID);
        machine_set_loader_variable(machine, "StubImageIdentifier", "\\EFI\\Linux\\nixos-generation-2+3-0.efi");
        for (size_t i = 0; i < G_N_ELEMENTS(nowhere); i++) {
                machine_set_loader_variable(machine, "LoaderEntrySelected", nowhere[i]);
                assert_booted(machine, SECURITY_UNKNOWN);
        }
        machine_set_loader_variable(machine, "LoaderEntrySelected", image);
        machine_set_loader_variable(machine, "StubDevicePartUUID", "11111111-6b0f-4c35-9d77-5d7a2a5d5c11");
        assert_booted(machine, SECURITY_UNKNOWN);
        machine_set_loader_variable(machine, "StubDevicePartUUID", "");
        assert_booted(machine, SECURITY_UNKNOWN);
}

/* A certificate in an image is no signature. */
static void test_altered_image(void) {
        _cleanup_(machine_freep) Machine *machine = good_machine();
        g_autofree char *image = machine_image_of(machine, 2, NULL),
                        *path = g_strconcat("boot/EFI/Linux/", image, NULL);
        g_autoptr(GBytes) bytes = test_read(machine->root, path), altered = NULL;
        size_t size = g_bytes_get_size(bytes);
        g_autofree char *copy = g_memdup2(g_bytes_get_data(bytes, NULL), size);
        char *word = memmem(copy, size, "quiet", 5);

        g_assert_nonnull(word);
        *word = 'Q';
        altered = g_bytes_new(copy, size);
        test_write_bytes(machine->root, path, altered, 0600);
        assert_booted(machine, SECURITY_NOT_VALID);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/ops/security/" name, function)
        TEST("all-holds-on-an-enforcing-machine-booted-by-the-stub", test_good);
        TEST("every-attribute-has-its-texts-and-one-answer", test_form);
        TEST("of-a-tree-only-the-keys-are-told", test_tree);
        TEST("without-efi-secure-boot-is-off-and-the-rest-unknown", test_no_efi);
        TEST("setup-mode-is-secure-boot-off-and-no-platform-key", test_setup_mode);
        TEST("enrolled-keys-enforce-from-the-next-start-on", test_enrolled);
        TEST("under-others-keys-our-boot-files-fail", test_others_keys);
        TEST("a-test-key-fails", test_test_key);
        TEST("malformed-variables-make-attributes-unknown", test_hostile_variables);
        TEST("microsofts-certificate-of-2011-wants-that-of-2023", test_microsofts_certificates);
        TEST("a-boot-service-variable-that-shows-is-named", test_bootservice_variable);
        TEST("lockdown-is-what-the-kernel-says", test_lockdown);
        TEST("the-stubs-word-on-pcr-11-is-held-against-the-tpm", test_tpm);
        TEST("keys-that-others-can-read-are-named", test_keys);
        TEST("another-stub-is-not-ours", test_other_stub);
        TEST("the-booted-image-is-found-as-it-was-booted", test_booted_image);
        TEST("an-altered-image-is-not-signed", test_altered_image);
        return g_test_run();
}
