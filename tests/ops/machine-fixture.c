/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/ops/machine-fixture.h"

#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/crypto/certificate.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/util/buffer.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"

static const Guid loader_vendor = GUID_INIT(0x4a67b082, 0x0a4c, 0x41cf, 0xb6, 0xc7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f);
static const Guid test_owner = GUID_INIT(0x11111111, 0x2222, 0x3333, 0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55);

static char *copy(const char *text) {
        char *result = strdup(text); /* freed by free(3) */

        g_assert_nonnull(result);
        return result;
}

void machine_write(Machine *machine, const char *path, const char *text) {
        test_write(machine->root, path, text, -1, 0644);
}

char *machine_read(const Machine *machine, const char *path) {
        g_autoptr(GBytes) bytes = test_read(machine->root, path);

        return g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

void machine_symlink(Machine *machine, const char *target, const char *path) {
        g_autofree char *full = test_path(machine->root, path), *parent = g_path_get_dirname(full);

        g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
        g_unlink(full);
        g_assert_cmpint(symlink(target, full), ==, 0);
}

GBytes *machine_application(const char *mark) {
        const PeFixtureSection sections[] = {
                {".text", "\x31\xc0\xc3", 3, 0x60000020},
                {".sdmagic", mark, strlen(mark) + 1, 0x40000040},
        };
        PeFixture fixture = {.sections = sections, .n_sections = G_N_ELEMENTS(sections)};

        return g_byte_array_free_to_bytes(pe_fixture_build(&fixture));
}

static void install_programs(Machine *machine) {
        g_autoptr(GBytes) stub = g_byte_array_free_to_bytes(pe_fixture_stub());
        g_autoptr(GBytes) loader = machine_application("#### LoaderInfo: systemd-boot " MACHINE_LOADER_VERSION " ####");

        test_write_bytes(machine->root, MACHINE_STUB, stub, 0644);
        test_write_bytes(machine->root, MACHINE_LOADER, loader, 0644);
}

static void set_defaults(Settings *settings) {
        *settings = (Settings){
                .key_directory = copy("/var/lib/lanzad"),
                .stub = copy(MACHINE_STUB),
                .loader = copy(MACHINE_LOADER),
                .sort_key = copy("lanza"),
                .allow_unsigned = SETTINGS_AUTO,
                .boot_entry = SETTINGS_NO, /* test-boot-option.c has it otherwise */
        };
        g_assert_cmpint(string_list_add(&settings->profiles, "/nix/var/nix/profiles"), ==, 0);
}

static void settings_done(Settings *settings) {
        free(settings->key_directory);
        free(settings->stub);
        free(settings->loader);
        free(settings->loader_config);
        free(settings->sort_key);
        free(settings->entry_token);
        free(settings->esp_path);
        free(settings->xbootldr_path);
        string_list_done(&settings->esp_extra_paths);
        string_list_done(&settings->profiles);
}

Machine *machine_new(bool has_firmware) {
        static const char *const folders[] = {"boot", "nix", "nix/store", "nix/var/nix/profiles"};
        Machine *machine = g_new0(Machine, 1);

        machine->root = test_folder_make();
        machine->now = 1700000000;
        set_defaults(&machine->settings);
        if (has_firmware)
                g_assert_cmpint(variables_new_memory(&machine->variables), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(folders); i++)
                test_make_folder(machine->root, folders[i], i == 0 ? 0700 : 0755);
        machine_write(machine, "etc/hostname", "machine\n");
        install_programs(machine);
        return machine;
}

static void umount_esp(Machine *machine) {
        g_autofree char *path = test_path(machine->root, "boot");

        if (machine->has_small_esp)
                g_assert_cmpint(umount(path), ==, 0);
        machine->has_small_esp = false;
}

void machine_free(Machine *machine) {
        umount_esp(machine);
        variables_free(machine->variables);
        settings_done(&machine->settings);
        test_folder_remove(machine->root);
        g_free(machine->waited_for);
        g_free(machine);
}

void machine_set_keys(Machine *machine, const char *prefix) {
        static const char *const roles[] = {"PK", "KEK", "db"}, *const ends[] = {"key", "pem"};

        for (size_t i = 0; i < G_N_ELEMENTS(roles) * G_N_ELEMENTS(ends); i++) {
                const char *role = roles[i / 2], *end = ends[i % 2];
                g_autofree char *from = g_strdup_printf("%s%s.%s", prefix, role, end);
                g_autofree char *to = g_strdup_printf("var/lib/lanzad/keys/%s/%s.%s", role, role, end);
                g_autoptr(GBytes) bytes = test_pki(from);

                test_write_bytes(machine->root, to, bytes, 0600);
        }
        machine_write(machine, "var/lib/lanzad/GUID", "11111111-2222-3333-4444-555555555555\n");
}

void machine_mount_esp(Machine *machine, unsigned size) {
        g_autofree char *path = test_path(machine->root, "boot");
        g_autofree char *options = g_strdup_printf("size=%uk,mode=0700", size);
        static bool is_private;

        if (!is_private && unshare(CLONE_NEWNS) < 0)
                g_assert_cmpint(unshare(CLONE_NEWUSER | CLONE_NEWNS), ==, 0);
        is_private = true;
        g_assert_cmpint(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
        umount_esp(machine);
        g_assert_cmpint(mount("none", path, "tmpfs", 0, options), ==, 0);
        machine->has_small_esp = true;
}

/* A file of the store that is named after its content. */
static char *add_store_file(Machine *machine, const char *kind, const char *content) {
        g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, content, -1);
        g_autofree char *path = g_strdup_printf("/nix/store/%.8s-%s/file", hash, kind);

        if (!test_exists(machine->root, path))
                machine_write(machine, path, content);
        return g_steal_pointer(&path);
}

/* What all variants of a generation have in common. */
typedef struct Closure {
        char *kernel, *initrd, *label, *more; /* members of boot.json */
} Closure;

static void closure_done(Closure *closure) {
        g_free(closure->kernel);
        g_free(closure->initrd);
        g_free(closure->label);
        g_free(closure->more);
}

static char *document(const Closure *closure, const char *toplevel, const char *specialisations) {
        return g_strdup_printf("{\"org.nixos.bootspec.v1\": {\"init\": \"%s/init\", \"initrd\": \"%s\", \"kernel\": "
                               "\"%s\", \"label\": \"%s\", %s, \"system\": \"x86_64-linux\", \"toplevel\": "
                               "\"%s\"}, \"org.nixos.specialisation.v1\": {%s}}",
                               toplevel, closure->initrd, closure->kernel, closure->label, closure->more, toplevel,
                               specialisations);
}

/* The program is called on the machine that runs the test: by its path there. */
static char *add_secrets(Machine *machine, const MachineGeneration *generation) {
        g_autofree char *name = g_strdup_printf("secrets-%u", generation->number);
        g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", generation->secrets);

        test_write(machine->root, name, text, -1, 0700);
        return test_path(machine->root, name);
}

static Closure make_closure(Machine *machine, const MachineGeneration *generation) {
        g_autofree char *secrets = generation->secrets ? add_secrets(machine, generation) : NULL;
        g_autofree char *member = secrets ? g_strdup_printf(", \"initrdSecrets\": \"%s\"", secrets) : g_strdup("");

        return (Closure){
                .kernel = add_store_file(machine, "linux-6.1.1", generation->kernel ?: "kernel"),
                .initrd = add_store_file(machine, "initrd", generation->initrd ?: "initrd"),
                .label = g_strdup_printf("Test %u", generation->number),
                .more = g_strdup_printf("\"kernelParams\": [\"%s\"]%s", generation->parameter ?: "quiet", member),
        };
}

static char *profile_link(const MachineGeneration *generation, const char *end) {
        return generation->profile
                       ? g_strdup_printf("nix/var/nix/profiles/system-profiles/%s%s", generation->profile, end)
                       : g_strdup_printf("nix/var/nix/profiles/system%s", end);
}

void machine_add_generation(Machine *machine, const MachineGeneration *generation) {
        const char *profile = generation->profile ?: "", *special = generation->specialisation;
        _cleanup_(closure_done) Closure closure = make_closure(machine, generation);
        g_autofree char *toplevel =
                g_strdup_printf("/nix/store/%s%ssystem-%u", profile, *profile ? "-" : "", generation->number);
        g_autofree char *special_toplevel = g_strdup_printf("%s-%s", toplevel, special ?: "");
        g_autofree char *nested = document(&closure, special_toplevel, "");
        g_autofree char *member = special ? g_strdup_printf("\"%s\": %s", special, nested) : g_strdup("");
        g_autofree char *json = document(&closure, toplevel, member);
        g_autofree char *file = g_strdup_printf("%s/boot.json", toplevel);
        g_autofree char *end = g_strdup_printf("-%u-link", generation->number);
        g_autofree char *link = profile_link(generation, end), *current = profile_link(generation, "");
        g_autofree char *name = g_path_get_basename(link);

        machine_write(machine, file, json);
        if (special) {
                g_autofree char *special_link = g_strdup_printf("%s/specialisation/%s", toplevel, special);

                test_make_folder(machine->root, special_toplevel, 0755);
                machine_symlink(machine, special_toplevel, special_link);
        }
        machine_symlink(machine, toplevel, link);
        machine_symlink(machine, name, current);
}

void machine_set_current(Machine *machine, unsigned number) {
        g_autofree char *name = g_strdup_printf("system-%u-link", number);

        machine_symlink(machine, name, "nix/var/nix/profiles/system");
}

void machine_remove_generation(Machine *machine, unsigned number) {
        g_autofree char *path = g_strdup_printf("%s/nix/var/nix/profiles/system-%u-link", machine->root, number);

        g_assert_cmpint(g_unlink(path), ==, 0);
}

Machine *machine_new_typical(bool has_firmware) {
        Machine *machine = machine_new(has_firmware);

        machine_set_keys(machine, "");
        machine_add_generation(machine, &(MachineGeneration){.number = 1, .initrd = "initrd 1"});
        machine_add_generation(machine, &(MachineGeneration){.number = 2, .initrd = "initrd 2"});
        return machine;
}

static char *describe_file(const char *root, const char *name) {
        g_autofree char *path = test_path(root, name), *content = NULL, *hash = NULL;
        struct stat st;
        size_t size;

        g_assert_cmpint(lstat(path, &st), ==, 0);
        if (S_ISLNK(st.st_mode)) {
                content = g_file_read_link(path, NULL);
                hash = g_strdup(content);
        } else if (S_ISREG(st.st_mode)) {
                g_assert_true(g_file_get_contents(path, &content, &size, NULL));
                hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)content, size);
        }
        return g_strdup_printf("%s %o %lld %llu %lld.%09ld %s", name, st.st_mode, (long long)st.st_size,
                               (unsigned long long)st.st_ino, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
                               hash ?: "-");
}

char *machine_snapshot(const Machine *machine, const char *folder) {
        g_autofree char *root = test_path(machine->root, folder), *listing = test_listing(root);
        g_auto(GStrv) names = g_strsplit(listing, "\n", -1);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

        for (size_t i = 0; names[i]; i++)
                if (*names[i])
                        g_ptr_array_add(lines, describe_file(root, names[i]));
        g_ptr_array_add(lines, NULL);
        return g_strjoinv("\n", (char **)lines->pdata);
}

char *machine_esp_files(const Machine *machine, const char *folder, const char *prefix) {
        g_autofree char *below = g_build_filename(machine->root, "boot", folder, NULL), *listing = test_listing(below);
        g_auto(GStrv) names = g_strsplit(listing, "\n", -1);
        g_autoptr(GPtrArray) found = g_ptr_array_new();

        for (size_t i = 0; names[i]; i++)
                if (*names[i] && g_str_has_prefix(names[i], prefix))
                        g_ptr_array_add(found, names[i]);
        g_ptr_array_add(found, NULL);
        return g_strjoinv("\n", (char **)found->pdata);
}

unsigned machine_count_files(const Machine *machine, const char *folder, const char *prefix) {
        g_autofree char *names = machine_esp_files(machine, folder, prefix);
        g_auto(GStrv) list = g_strsplit(names, "\n", -1);

        return *names ? g_strv_length(list) : 0;
}

bool machine_has_file(const Machine *machine, const char *folder, const char *name) {
        g_autofree char *path = g_build_filename("boot", folder, name, NULL);

        return test_exists(machine->root, path);
}

char *machine_image_of(const Machine *machine, unsigned number, const char *specialisation) {
        g_autofree char *prefix =
                specialisation ? g_strdup_printf("nixos-generation-%u-specialisation-%s-", number, specialisation)
                               : g_strdup_printf("nixos-generation-%u-", number);
        g_autofree char *names = machine_esp_files(machine, "EFI/Linux", prefix);
        g_auto(GStrv) list = g_strsplit(names, "\n", -1);
        char *found = NULL;

        for (size_t i = 0; list[i]; i++) {
                if (!specialisation && strstr(list[i], "-specialisation-"))
                        continue;
                g_assert_null(found);
                found = g_strdup(list[i]);
        }
        g_assert_nonnull(found);
        g_assert_cmpstr(found, !=, "");
        return found;
}

static Buffer to_utf16(const char *text) {
        Buffer wide = {};

        for (const char *c = text; *c; c++)
                g_assert_cmpint(buffer_append_u16(&wide, *c), ==, 0);
        g_assert_cmpint(buffer_append_u16(&wide, 0), ==, 0);
        return wide;
}

void machine_set_loader_variable(Machine *machine, const char *name, const char *text) {
        _cleanup_(buffer_done) Buffer wide = to_utf16(text);

        g_assert_cmpint(variables_memory_set(machine->variables, &loader_vendor, name,
                                             VARIABLE_BOOTSERVICE_ACCESS | VARIABLE_RUNTIME_ACCESS, buffer_span(&wide)),
                        ==, 0);
}

static void append(Buffer *buffer, const void *data, size_t size) {
        g_assert_cmpint(buffer_append(buffer, (Span){data, size}), ==, 0);
}

/* EFI_LOAD_OPTION with a hard drive and a file path node (UEFI specification, 3.1.3, 10.3.5.1, 10.3.5.4). */
void machine_set_boot_entry(Machine *machine, const char *description, const char *partition_uuid, const char *path,
                            bool active) {
        static const uint8_t order[] = {1, 0}, end[] = {0x7f, 0xff, 4, 0};
        _cleanup_(buffer_done) Buffer option = {}, text = to_utf16(description), file = to_utf16(path);
        uint8_t drive[42] = {4, 1, 42, 0, [40] = 2, [41] = 2};
        uint8_t file_header[4] = {4, 4, (file.size + 4) & 0xff, (file.size + 4) >> 8};
        const uint32_t attributes = VARIABLE_ATTRIBUTES_SECURE & ~VARIABLE_TIME_BASED_AUTHENTICATED;
        Guid guid;

        g_assert_cmpint(guid_parse(span_from_string(partition_uuid), &guid), ==, 0);
        memcpy(drive + 24, guid.bytes, sizeof(guid.bytes));
        buffer_append_u32(&option, active ? 1 : 0);
        buffer_append_u16(&option, sizeof(drive) + 4 + file.size + sizeof(end));
        append(&option, text.data, text.size);
        append(&option, drive, sizeof(drive));
        append(&option, file_header, sizeof(file_header));
        append(&option, file.data, file.size);
        append(&option, end, sizeof(end));
        g_assert_cmpint(variables_memory_set(machine->variables, &efi_global_variable_guid, "Boot0001", attributes,
                                             buffer_span(&option)),
                        ==, 0);
        g_assert_cmpint(variables_memory_set(machine->variables, &efi_global_variable_guid, "BootOrder", attributes,
                                             (Span){order, sizeof(order)}),
                        ==, 0);
}

void machine_set_certificate(Machine *machine, const char *variable, const char *pki_name) {
        g_autoptr(GBytes) der = test_pki(pki_name);
        _cleanup_(buffer_done) Buffer lists = {};
        size_t size;
        const void *data = g_bytes_get_data(der, &size);

        g_assert_cmpint(signature_database_add(&lists, &signature_type_x509, &test_owner, (Span){data, size}), ==, 1);
        for (SecureVariable i = 0; i < SECURE_VARIABLE_COUNT; i++)
                if (strcmp(secure_variable_name(i), variable) == 0)
                        g_assert_cmpint(variables_memory_set(machine->variables, secure_variable_vendor(i), variable,
                                                             VARIABLE_ATTRIBUTES_SECURE, buffer_span(&lists)),
                                        ==, 0);
}

void machine_switch_off(Machine *machine) {
        static const Guid switches =
                GUID_INIT(0xf0a30bc7, 0xaf08, 0x4556, 0x99, 0xc4, 0x00, 0x10, 0x09, 0xc9, 0x3a, 0x44);
        static const uint8_t off = 0;

        machine_set_certificate(machine, "PK", "foreign-PK.der");
        machine_set_certificate(machine, "KEK", "foreign-KEK.der");
        machine_set_certificate(machine, "db", "foreign-db.der");
        g_assert_cmpint(variables_memory_set(machine->variables, &switches, "SecureBootEnable", 0x03, (Span){&off, 1}),
                        ==, 0);
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
}

void machine_enforce(Machine *machine) {
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        outcome_free(machine_run_status(machine, 0, "enroll-keys", "yes-this-might-brick-my-machine", "yes", NULL));
        g_assert_cmpint(variables_memory_reboot(machine->variables), ==, 0);
}
