/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kinds of generation that there are: each gets its image. */

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/pe/pe-image.h"
#include "daemon/util/file.h"
#include "tests/lib/pe-fixture.h"
#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

static void sync_well(Machine *machine) {
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        outcome_assert(outcome, "warnings", "");
}

/* The content of an image's section; NULL if it has none of that name. */
static char *section_of(const Machine *machine, const char *image, const char *name) {
        g_autofree char *path = g_build_filename("boot/EFI/Linux", image, NULL);
        g_autoptr(GBytes) bytes = test_read(machine->root, path);
        PeImage parsed;
        size_t size;
        const void *data = g_bytes_get_data(bytes, &size);
        Span content;

        g_assert_cmpint(pe_image_parse((Span){data, size}, &parsed), ==, 0);
        if (pe_image_section(&parsed, name, &content) < 0)
                return NULL;
        return g_strndup((const char *)content.data, content.size);
}

static void write_in(Machine *machine, const char *toplevel, const char *name, const char *text) {
        g_autofree char *path = g_strdup_printf("%s/%s", toplevel, name);

        machine_write(machine, path, text);
}

static void link_in(Machine *machine, const char *toplevel, const char *name, const char *target) {
        g_autofree char *path = g_strdup_printf("%s/%s", toplevel, name);

        machine_symlink(machine, target, path);
}

/* Makes a toplevel one of a system that has no boot.json. */
static void make_old(Machine *machine, const char *toplevel, const char *params) {
        g_autofree char *document = g_strdup_printf("%s/boot.json", toplevel);
        g_autofree char *full = test_path(machine->root, document);

        g_unlink(full);
        machine_write(machine, "/nix/store/old-linux-5.10.81/bzImage", "old kernel");
        machine_write(machine, "/nix/store/old-initrd/initrd", "old initrd");
        machine_write(machine, "/nix/store/old-modules/lib/modules/5.10.81/modules.dep", "");
        write_in(machine, toplevel, "init", "#!/bin/sh\n");
        write_in(machine, toplevel, "kernel-params", params);
        write_in(machine, toplevel, "nixos-version", "21.11");
        write_in(machine, toplevel, "system", "x86_64-linux");
        link_in(machine, toplevel, "kernel", "/nix/store/old-linux-5.10.81/bzImage");
        link_in(machine, toplevel, "initrd", "/nix/store/old-initrd/initrd");
        link_in(machine, toplevel, "kernel-modules", "/nix/store/old-modules");
}

static void test_without_boot_json(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *own = NULL, *special = NULL, *own_line = NULL, *special_line = NULL, *kernel = NULL;
        g_autofree char *release = NULL, *before = NULL, *after = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .specialisation = "gaming"});
        make_old(machine, "/nix/store/system-3", "quiet loglevel=4\n");
        make_old(machine, "/nix/store/system-3-gaming", "splash\n");
        sync_well(machine);
        own = machine_image_of(machine, 3, NULL);
        special = machine_image_of(machine, 3, "gaming");
        own_line = section_of(machine, own, ".cmdline");
        special_line = section_of(machine, special, ".cmdline");
        kernel = section_of(machine, special, ".linux");
        release = section_of(machine, own, ".osrel");
        g_assert_cmpstr(own_line, ==, "init=/nix/store/system-3/init quiet loglevel=4");
        g_assert_cmpstr(special_line, ==, "init=/nix/store/system-3-gaming/init splash");
        g_assert_true(g_str_has_prefix(kernel, "\\EFI\\nixos\\kernel-5.10.81-"));
        g_assert_nonnull(strstr(release, "NixOS 21.11 (Linux 5.10.81) (Generation 3"));

        before = machine_snapshot(machine, "boot");
        sync_well(machine);
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);

        /* One of its specialisations may be the default. */
        outcome_free(machine_run_status(machine, 0, "sync", "toplevel", "/nix/store/system-3-gaming", NULL));
}

/* What it has on the ESP stays until it can be read again, or is gone. */
static void test_broken_without_boot_json(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *image = NULL;

        make_old(machine, "/nix/store/system-1", "quiet");
        sync_well(machine);
        image = machine_image_of(machine, 1, NULL);
        link_in(machine, "/nix/store/system-1", "kernel", "/home/user/kernel");
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(
                outcome, "warnings",
                "generation 1 is left out: /nix/store/system-1 has no boot.json, and its kernel leads out of "
                "/nix/store");
        g_assert_true(machine_has_file(machine, "EFI/Linux", image));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "kernel-5.10.81-"), ==, 1);
}

/* Replaces a part of a generation's boot.json. */
static void change_document(Machine *machine, unsigned number, const char *what, const char *with) {
        g_autofree char *path = g_strdup_printf("/nix/store/system-%u/boot.json", number);
        g_autofree char *text = machine_read(machine, path), *changed = NULL;
        g_auto(GStrv) parts = g_strsplit(text, what, 2);

        g_assert_cmpuint(g_strv_length(parts), ==, 2);
        changed = g_strjoinv(with, parts);
        machine_write(machine, path, changed);
}

static void test_without_initrd(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *image = NULL, *kernel = NULL, *initrd = NULL, *hash = NULL;

        change_document(machine, 2, "\"initrd\":", "\"none\":");
        sync_well(machine);
        image = machine_image_of(machine, 2, NULL);
        kernel = section_of(machine, image, ".linux");
        initrd = section_of(machine, image, ".initrd");
        hash = section_of(machine, image, ".initrdh");
        g_assert_nonnull(kernel);
        g_assert_null(initrd);
        g_assert_null(hash);
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 1);
}

static void test_odd_kernels(void) {
        static const struct {
                const char *path, *prefix;
        } kernels[] = {
                {"/nix/store/aaa-linux-6.6.1+rpt/Image", "kernel-unknown-"},
                {"/nix/store/bbb-linux-zen-6.1-zen1/bzImage", "kernel-zen-6.1-zen1-"},
                {"/nix/store/ccc-vmlinuz", "kernel-unknown-"},
                {"/nix/store/ddd-linux-/bzImage", "kernel-unknown-"},
                {"/nix/store/eee-linux-\xc3\xa9 \xf0\x9f\x90\xa7/bz image", "kernel-unknown-"},
        };
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        for (size_t i = 0; i < G_N_ELEMENTS(kernels); i++) {
                g_autofree char *json = g_strdup_printf("\"kernel\": \"%s\", \"old\":", kernels[i].path);
                g_autofree char *image = NULL, *path = NULL, *expected = NULL;

                machine_add_generation(machine, &(MachineGeneration){.number = 3 + i});
                machine_write(machine, kernels[i].path, kernels[i].path);
                change_document(machine, 3 + i, "\"kernel\":", json);
                sync_well(machine);
                image = machine_image_of(machine, 3 + i, NULL);
                path = section_of(machine, image, ".linux");
                expected = g_strdup_printf("\\EFI\\nixos\\%s", kernels[i].prefix);
                g_assert_true(g_str_has_prefix(path, expected));
        }
}

/* Every character that a label can have, in blocks; those that a terminal would obey leave their generation out. */
static void test_labels(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        for (gunichar first = 0; first < 0x3000; first += first < 0x100 ? 16 : 256) {
                bool is_control = first < 0x20 || (first >= 0x70 && first < 0xa0);
                g_autoptr(GString) json = g_string_new("\"label\": \"");
                _cleanup_(outcome_freep) Outcome *outcome = NULL;

                for (gunichar c = first; c < first + (first < 0x100 ? 16 : 256); c++)
                        if (c > 0)
                                g_string_append_printf(json, "\\u%04x", c);
                g_string_append(json, "\", \"old\":");
                machine_add_generation(machine, &(MachineGeneration){.number = 3});
                machine_set_current(machine, 2);
                change_document(machine, 3, "\"label\":", json->str);
                outcome = machine_run_status(machine, is_control ? OPERATION_IN_PART : 0, "sync", NULL);
                if (is_control)
                        outcome_assert_has(outcome, "warnings", "label has a control character");
                else
                        outcome_assert(outcome, "warnings", "");
        }
}

/* Names of specialisations that FAT, the boot loader or a person would take for others. */
static void test_names(void) {
        static const char *const names[] = {
                "a b", "A", "a", "\xc3\xa9", "a+3", "a+1-1", "a*?<>|:", "-specialisation-x", "aux", "%s%n$(x)", "..."};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *member = g_strdup_printf("\"%s\": {", names[i]);

                machine_add_generation(machine, &(MachineGeneration){.number = 3 + i, .specialisation = "x"});
                change_document(machine, 3 + i, "\"x\": {", member);
                sync_well(machine);
                g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "nixos-generation-"), ==, 2 + 2 * (i + 1));
        }
        sync_well(machine);
}

/* The number is another generation's now, and the images of the old one go. */
static void test_reused_number(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *before = NULL, *after = NULL, *line = NULL;

        sync_well(machine);
        before = machine_image_of(machine, 2, NULL);
        machine_add_generation(machine, &(MachineGeneration){.number = 7, .parameter = "anew"});
        machine_remove_generation(machine, 7);
        machine_symlink(machine, "/nix/store/system-7", "nix/var/nix/profiles/system-2-link");
        machine_set_current(machine, 2);
        sync_well(machine);
        after = machine_image_of(machine, 2, NULL);
        line = section_of(machine, after, ".cmdline");
        g_assert_cmpstr(before, !=, after);
        g_assert_cmpstr(line, ==, "init=/nix/store/system-7/init anew");
}

/* The link is there, what it leads to is not. */
static void test_closure_gone(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *image = NULL, *toplevel = test_path(machine->root, "nix/store/system-1");
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        image = machine_image_of(machine, 1, NULL);
        test_folder_remove(g_steal_pointer(&toplevel));
        outcome = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
        outcome_assert_has(outcome, "warnings", "generation 1 is left out: ");
        outcome_assert_has(outcome, "warnings", "system-1-link leads to nothing");
        g_assert_true(machine_has_file(machine, "EFI/Linux", image));
        machine_remove_generation(machine, 1);
        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        g_assert_false(machine_has_file(machine, "EFI/Linux", image));
}

/* Lets a generation bring an extension of its bootspec with it. */
static void add_extension(Machine *machine, unsigned number, const char *extension) {
        g_autofree char *with = g_strdup_printf("{%s, \"org.nixos.bootspec.v1\":", extension);

        change_document(machine, number, "{\"org.nixos.bootspec.v1\":", with);
}

static void add_stub(Machine *machine, const char *path, const char *mark) {
        GByteArray *bytes = pe_fixture_stub();
        char *place = memmem(bytes->data, bytes->len, "lanza test stub", 15);
        g_autoptr(GBytes) stub = NULL;

        g_assert_nonnull(place);
        memcpy(place, mark, 15);
        stub = g_byte_array_free_to_bytes(bytes);
        test_write_bytes(machine->root, path, stub, 0644);
}

static void assert_has_stub(const Machine *machine, const char *image, const char *mark) {
        g_autofree char *path = g_build_filename("boot/EFI/Linux", image, NULL);
        g_autoptr(GBytes) bytes = test_read(machine->root, path);

        g_assert_nonnull(memmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), mark, strlen(mark)));
}

/* Whatever the configured stub is, and also when stubs are renewed. */
static void test_own_stub(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        _cleanup_(outcome_freep) Outcome *restub = NULL, *list = NULL, *renewed = NULL;
        g_autofree char *first = NULL, *second = NULL;

        add_stub(machine, "nix/store/stub-1/stub.efi", "stub of its own");
        machine_symlink(machine, "/nix/store/stub-1/stub.efi", "nix/store/stub.efi");
        add_extension(machine, 2, "\"org.lanzaboote.lanzad\": {\"stub\": \"/nix/store/stub.efi\"}");
        sync_well(machine);
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        assert_has_stub(machine, first, "lanza test stub");
        assert_has_stub(machine, second, "stub of its own");

        add_stub(machine, &MACHINE_STUB[1], "configured anew");
        list = machine_run_status(machine, 0, "list", NULL);
        outcome_assert(list, "images.0.old-stub", "yes");
        outcome_assert(list, "images.1.old-stub", "no");
        restub = machine_run_status(machine, 0, "sync", "restub", "yes", NULL);
        outcome_assert(restub, "partitions.0.images-written", first);
        assert_has_stub(machine, first, "configured anew");
        assert_has_stub(machine, second, "stub of its own");

        add_stub(machine, "nix/store/stub-2/stub.efi", "its second stub");
        change_document(machine, 2, "/nix/store/stub.efi", "/nix/store/stub-2/stub.efi");
        sync_well(machine);
        assert_has_stub(machine, second, "stub of its own");
        renewed = machine_run_status(machine, 0, "sync", "restub", "yes", NULL);
        outcome_assert(renewed, "partitions.0.images-written", second);
        assert_has_stub(machine, second, "its second stub");
}

static void test_bad_own_stub(void) {
        static const struct {
                const char *path, *why;
        } bad[] = {
                {"/nix/store/none.efi", "Its stub /nix/store/none.efi cannot be read: No such file or directory"},
                {"/nix/store/out.efi", "Its stub /nix/store/out.efi leads out of /nix/store"},
                {"/home/user/stub.efi", "Its stub /home/user/stub.efi leads out of /nix/store"},
                {"/nix/store/text.efi", "/nix/store/text.efi is no PE image, or a damaged one"},
                {"/nix/store/folder", "/nix/store/folder cannot be read: Is a directory"},
                {"/nix/store/made.efi", "Its stub /nix/store/made.efi cannot take the sections of an image"},
        };
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *made = NULL, *before = NULL, *after = NULL;

        sync_well(machine);
        made = machine_image_of(machine, 2, NULL);
        add_stub(machine, "home/user/stub.efi", "not from a store");
        machine_symlink(machine, "/home/user/stub.efi", "nix/store/out.efi");
        machine_write(machine, "nix/store/text.efi", "no program");
        test_make_folder(machine->root, "nix/store/folder", 0755);
        {
                g_autofree char *path = g_build_filename("boot/EFI/Linux", made, NULL);
                g_autoptr(GBytes) image = test_read(machine->root, path);

                test_write_bytes(machine->root, "nix/store/made.efi", image, 0644);
        }
        add_extension(machine, 1, "\"org.lanzaboote.lanzad\": {\"stub\": \"/nix/store/x\"}");
        before = machine_snapshot(machine, "boot");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                _cleanup_(outcome_freep) Outcome *other = NULL, *refused = NULL;

                change_document(machine, 1, i == 0 ? "/nix/store/x" : bad[i - 1].path, bad[i].path);
                other = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
                outcome_assert_has(other, "warnings", "generation 1 is left out: ");
                outcome_assert_has(other, "warnings", bad[i].why);
                refused = machine_run_refused(machine, CONDITION_BAD_IMAGE, "sync", "toplevel", "/nix/store/system-1",
                                              NULL);
                outcome_assert_message(refused, bad[i].why);
        }
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
}

static void test_extensions(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        _cleanup_(outcome_freep) Outcome *outcome = NULL;
        g_autofree char *first = NULL, *second = NULL, *first_text = NULL, *second_text = NULL;

        add_extension(machine, 1, "\"org.nix-community.lanzaboote\": {\"sort_key\": \"lanzaboote\"}");
        add_extension(machine, 2,
                      "\"org.nixos.systemd-boot\": {\"sortKey\": \"nixos\", \"devicetree\": \"/nix/store/dtb/a.dtb\"}");
        outcome = machine_run_status(machine, 0, "sync", NULL);
        outcome_assert(
                outcome, "warnings",
                "The device tree of generation 2, /nix/store/dtb/a.dtb, is not used: boot images for x86-64 have "
                "none");
        first = machine_image_of(machine, 1, NULL);
        second = machine_image_of(machine, 2, NULL);
        first_text = section_of(machine, first, ".osrel");
        second_text = section_of(machine, second, ".osrel");
        g_assert_nonnull(strstr(first_text, "ID=\"lanzaboote\"\n"));
        g_assert_nonnull(strstr(second_text, "ID=\"nixos\"\n"));
}

/* Kernel and initrd of a boot.json, by way of links too. */
static void test_outside_the_store(void) {
        static const char *const members[] = {"\"kernel\":", "\"initrd\":"};
        static const char *const paths[] = {"/home/user/file", "/nix/store/out/file", "/nix/store/through"};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *good = machine_read(machine, "nix/store/system-1/boot.json"), *before = NULL, *after = NULL;

        sync_well(machine);
        machine_write(machine, "home/user/file", "from a user");
        machine_write(machine, "nix/store/inside", "from the store");
        machine_symlink(machine, "/home/user", "nix/store/out");
        machine_symlink(machine, "/home/user/back", "nix/store/through");
        machine_symlink(machine, "/nix/store/inside", "home/user/back");
        before = machine_snapshot(machine, "boot");
        for (size_t i = 0; i < G_N_ELEMENTS(members) * G_N_ELEMENTS(paths); i++) {
                const char *member = members[i / G_N_ELEMENTS(paths)], *path = paths[i % G_N_ELEMENTS(paths)];
                g_autofree char *with = g_strdup_printf("%s \"%s\", \"old\":", member, path);
                g_autofree char *why = g_strdup_printf("%s leads out of /nix/store", path);
                _cleanup_(outcome_freep) Outcome *other = NULL, *refused = NULL;

                change_document(machine, 1, member, with);
                other = machine_run_status(machine, OPERATION_IN_PART, "sync", NULL);
                outcome_assert_has(other, "warnings", why);
                refused = machine_run_refused(machine, CONDITION_BAD_BOOTSPEC, "sync", "toplevel",
                                              "/nix/store/system-1", NULL);
                outcome_assert_message(refused, why);
                machine_write(machine, "nix/store/system-1/boot.json", good);
        }
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
        sync_well(machine);
}

#define TEST(name, function) g_test_add_func("/ops/sync/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("knows-systems-without-boot-json-and-their-specialisations", test_without_boot_json);
        TEST("shields-the-files-of-a-broken-system-without-boot-json", test_broken_without_boot_json);
        TEST("writes-images-of-systems-without-initrd", test_without_initrd);
        TEST("takes-kernels-of-any-name", test_odd_kernels);
        TEST("takes-labels-of-any-text", test_labels);
        TEST("takes-specialisations-of-any-name", test_names);
        TEST("takes-a-reused-number-for-another-generation", test_reused_number);
        TEST("keeps-the-image-of-a-generation-whose-system-is-gone-as-long-as-its-link-is-there", test_closure_gone);
        TEST("a-generation's-own-stub-is-what-its-images-get", test_own_stub);
        TEST("leaves-out-a-generation-whose-own-stub-is-bad", test_bad_own_stub);
        TEST("takes-sort-keys-and-warns-of-device-trees", test_extensions);
        TEST("signs-no-kernel-and-no-initrd-from-outside-the-store", test_outside_the_store);
        return g_test_run();
}
