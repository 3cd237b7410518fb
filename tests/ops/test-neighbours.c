/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What others put onto the ESP that lanzad knows: boot loader entries, and images that lanzaboote made. These are made
 * here as lanzaboote makes them: sections appended by objcopy without alignment, signed by sbsign, named after toplevel
 * and key. */

#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/pe/pe-image.h"
#include "daemon/util/encode.h"
#include "tests/lib/test-folder.h"
#include "tests/lib/test-program.h"
#include "tests/ops/machine-fixture.h"

typedef struct LanzabooteImage {
        unsigned number;
        const char *specialisation; /* NULL: none */
        const char *kernel;         /* content; NULL: what generations of the fixture have */
        const char *initrd;         /* content; NULL: the generation's own */
        const char *counter;        /* "+3"; NULL: none */
        const char *key;            /* of the test PKI; NULL: "db" */
        bool old_sections;          /* as before February 2024 */
        bool embedded;              /* a standard UKI: kernel and initrd themselves, and no hashes */
        const char *file_name;      /* NULL: of our form */
} LanzabooteImage;

static char *hash_text(const char *content) {
        g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
        uint8_t digest[32];
        size_t size = sizeof(digest);

        g_checksum_update(checksum, (const guchar *)content, -1);
        g_checksum_get_digest(checksum, digest, &size);
        return base32_encode((Span){digest, size});
}

/* Puts a kernel or initrd where lanzaboote does; returns its name. */
static char *add_content(Machine *machine, const char *kind, const char *content) {
        char *hash = hash_text(content);
        g_autofree char *name = g_strdup_printf("%s-6.1.1-%s.efi", kind, hash);
        g_autofree char *path = g_strdup_printf("boot/EFI/nixos/%s", name);

        free(hash);
        if (!test_exists(machine->root, path))
                machine_write(machine, path, content);
        return g_steal_pointer(&path);
}

/* Where lanzaboote puts the next section: right behind the last one. */
static uint64_t sections_end(const char *stub) {
        g_autofree char *content = NULL;
        PeImage image;
        size_t size;

        g_assert_true(g_file_get_contents(stub, &content, &size, NULL));
        g_assert_cmpint(pe_image_parse((Span){(const uint8_t *)content, size}, &image), ==, 0);
        return UINT64_C(0x140000000) + image.sections[image.n_sections - 1].virtual_address +
               image.sections[image.n_sections - 1].virtual_size;
}

static void append_section(const char *program, const char *name, const char *content, uint64_t *address) {
        g_autofree char *file = g_strconcat(program, name, NULL), *add = g_strdup_printf("%s=%s", name, file);
        g_autofree char *place = g_strdup_printf("%s=%#" PRIx64, name, *address);

        g_assert_true(g_file_set_contents(file, content, -1, NULL));
        g_free(test_run_good("objcopy", "--add-section", add, "--change-section-vma", place, program, NULL));
        *address += strlen(content);
}

static char *efi_path(const char *path) {
        return g_strdelimit(g_strdup(path + strlen("boot")), "/", '\\');
}

/* Returns the image's name. */
static char *add_lanzaboote(Machine *machine, const LanzabooteImage *image) {
        const char *build = g_getenv("LANZA_BUILD") ?: "build", *special = image->specialisation;
        g_autofree char *stub = g_build_filename(build, "stubs/lanzastubx64.efi", NULL);
        g_autofree char *program = g_build_filename(machine->root, "program", NULL), *bytes = NULL;
        g_autofree char *own_initrd = g_strdup_printf("initrd %u", image->number);
        g_autofree char *kernel = add_content(machine, "kernel", image->kernel ?: "kernel");
        g_autofree char *initrd = add_content(machine, "initrd", image->initrd ?: own_initrd);
        g_autofree char *toplevel =
                g_strdup_printf("/nix/store/system-%u%s%s", image->number, special ? "-" : "", special ?: "");
        g_autofree char *line = g_strdup_printf("init=%s/init quiet", toplevel);
        g_autofree char *filler = g_strnfill(100000, '.'); /* more than any path may have */
        g_autofree char *release =
                g_strdup_printf("ID=lanzaboote\nPRETTY_NAME=NixOS\nVERSION_ID=Generation %u\n", image->number);
        g_autofree char *inside = g_strconcat("MZ, and what else a kernel consists of: ", filler, NULL);
        g_autofree char *kernel_path = efi_path(kernel), *initrd_path = efi_path(initrd);
        g_autofree char *key_name = g_strdup_printf("%s.key", image->key ?: "db"), *key = test_pki_path(key_name);
        g_autofree char *pem_name = g_strdup_printf("%s.pem", image->key ?: "db"), *pem = test_pki_path(pem_name);
        g_autofree char *hash_input = g_strconcat(toplevel, pem_name, NULL), *name = NULL, *target = NULL;
        uint64_t address = sections_end(stub);
        char *hash = hash_text(hash_input);
        size_t size;

        g_assert_true(g_file_get_contents(stub, &bytes, &size, NULL));
        g_assert_true(g_file_set_contents(program, bytes, size, NULL));
        append_section(program, ".osrel", release, &address);
        append_section(program, ".cmdline", line, &address);
        append_section(program, image->old_sections ? ".initrdp" : ".initrd", initrd_path, &address);
        append_section(program, image->old_sections ? ".kernelp" : ".linux", image->embedded ? inside : kernel_path,
                       &address);
        if (!image->embedded) {
                append_section(program, ".initrdh", "0123456789abcdef0123456789abcdef", &address);
                append_section(program, image->old_sections ? ".kernelh" : ".linuxh",
                               "0123456789abcdef0123456789abcdef", &address);
        }

        if (image->file_name)
                name = g_strdup(image->file_name);
        else
                name = g_strdup_printf("nixos-generation-%u%s%s-%s%s.efi", image->number,
                                       special ? "-specialisation-" : "", special ?: "", hash, image->counter ?: "");
        free(hash);
        test_make_folder(machine->root, "boot/EFI/Linux", 0700);
        target = g_build_filename(machine->root, "boot/EFI/Linux", name, NULL);
        g_free(test_run_good("sbsign", "--key", key, "--cert", pem, "--output", target, program, NULL));
        return g_steal_pointer(&name);
}

static bool has_image(const Machine *machine, const char *name) {
        return machine_has_file(machine, "EFI/Linux", name);
}

static Outcome *sync_well(Machine *machine) {
        Outcome *outcome = machine_run_status(machine, 0, "sync", NULL);

        outcome_assert(outcome, "warnings", "");
        return outcome;
}

/* Kernels and initrds have the same names by both, and are not written again. */
static void test_replaced(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *first = add_lanzaboote(machine, &(LanzabooteImage){.number = 1, .old_sections = true});
        g_autofree char *second = add_lanzaboote(machine, &(LanzabooteImage){.number = 2, .counter = "+2-1"});
        g_autofree char *with_secrets = add_content(machine, "initrd", "initrd 2 with secrets");
        _cleanup_(outcome_freep) Outcome *outcome = sync_well(machine), *again = NULL;
        g_autofree char *own = machine_image_of(machine, 2, NULL);

        outcome_assert(outcome, "partitions.0.contents-written", "");
        outcome_assert(outcome, "partitions.0.contents-removed", strrchr(with_secrets, '/') + 1);
        g_assert_false(has_image(machine, first));
        g_assert_false(has_image(machine, second));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
        g_assert_true(g_str_has_suffix(own, "+2-1.efi"));
        again = sync_well(machine);
        g_assert_cmpuint(again->signatures, ==, 0);
}

/* With all that it refers to, whatever its sections are called, until another one has booted. */
static void check_booted_stays(bool old_sections, bool is_told_by_loader) {
        const LanzabooteImage image = {
                .number = 2, .kernel = "kernel of then", .initrd = "initrd of then", .old_sections = old_sections};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *name = add_lanzaboote(machine, &image), *own = NULL;
        g_autofree char *kernel = add_content(machine, "kernel", image.kernel);
        g_autofree char *initrd = add_content(machine, "initrd", image.initrd);

        machine_symlink(machine, "/nix/store/system-2", "run/booted-system");
        if (is_told_by_loader)
                machine_set_loader_variable(machine, "LoaderEntrySelected", name);
        for (unsigned i = 0; i < 2; i++) {
                outcome_free(sync_well(machine));
                g_assert_true(has_image(machine, name));
                g_assert_true(test_exists(machine->root, kernel));
                g_assert_true(test_exists(machine->root, initrd));
                g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 3);
        }
        if (!is_told_by_loader)
                return;
        own = machine_esp_files(machine, "EFI/Linux", "nixos-generation-2-");
        for (char *line = strtok(own, "\n"); line; line = strtok(NULL, "\n"))
                if (strcmp(line, name) != 0)
                        machine_set_loader_variable(machine, "LoaderEntrySelected", line);
        outcome_free(sync_well(machine));
        g_assert_false(has_image(machine, name));
        g_assert_false(test_exists(machine->root, kernel));
        g_assert_false(test_exists(machine->root, initrd));
}

static void test_booted(void) {
        check_booted_stays(/* old_sections= */ false, /* is_told_by_loader= */ true);
        check_booted_stays(/* old_sections= */ true, /* is_told_by_loader= */ true);
        check_booted_stays(/* old_sections= */ true, /* is_told_by_loader= */ false);
}

/* Collecting garbage writes nothing: as long as a generation has no other image, lanzaboote's is its image. */
static void test_collected(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *kept = NULL, *special = NULL, *gone = NULL, *strange = NULL, *ours = NULL, *alone = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .specialisation = "gaming"});
        kept = add_lanzaboote(machine, &(LanzabooteImage){.number = 1, .old_sections = true});
        special = add_lanzaboote(machine, &(LanzabooteImage){.number = 3, .specialisation = "gaming"});
        ours = add_lanzaboote(machine, &(LanzabooteImage){.number = 2, .key = "foreign-db"});
        gone = add_lanzaboote(machine, &(LanzabooteImage){.number = 7});
        strange = add_lanzaboote(machine, &(LanzabooteImage){.number = 8, .key = "foreign-db"});
        outcome = machine_run_status(machine, 0, "gc", NULL);
        alone = g_strdup_printf("EFI/Linux/%s", strange);
        outcome_assert(outcome, "partitions.0.left-alone", alone);
        outcome_assert(outcome, "partitions.0.images-removed", gone);
        g_assert_true(has_image(machine, kept));
        g_assert_true(has_image(machine, special));
        g_assert_true(has_image(machine, ours));
        g_assert_cmpuint(machine_count_files(machine, "EFI/nixos", "initrd-"), ==, 4);

        outcome_free(sync_well(machine));
        g_assert_false(has_image(machine, kept));
        g_assert_false(has_image(machine, special));
        g_assert_false(has_image(machine, ours));
        g_assert_true(has_image(machine, strange));
}

static void test_shielded(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *image = add_lanzaboote(machine, &(LanzabooteImage){.number = 1, .kernel = "another"});
        g_autofree char *kernel = add_content(machine, "kernel", "another");

        machine_write(machine, "nix/store/system-1/boot.json", "{");
        outcome_free(machine_run_status(machine, OPERATION_IN_PART, "sync", NULL));
        g_assert_true(has_image(machine, image));
        g_assert_true(test_exists(machine->root, kernel));
}

static void test_listed(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *first = add_lanzaboote(machine, &(LanzabooteImage){.number = 1, .old_sections = true});
        g_autofree char *second = add_lanzaboote(machine, &(LanzabooteImage){.number = 2, .counter = "+1-2"});
        g_autofree char *files = NULL;
        _cleanup_(outcome_freep) Outcome *outcome = machine_run_status(machine, 0, "list", NULL);

        outcome_assert(outcome, "generations.0.images", second);
        outcome_assert(outcome, "generations.1.images", first);
        outcome_assert(outcome, "images.0.name", first);
        outcome_assert(outcome, "images.0.ours", "yes");
        outcome_assert(outcome, "images.0.signed", "yes");
        outcome_assert(outcome, "images.0.toplevel", "/nix/store/system-1");
        outcome_assert(outcome, "images.0.problem", "-");
        outcome_assert(outcome, "images.1.tries-left", "1");
        files = outcome_get(outcome, "images.0.files");
        g_assert_nonnull(strstr(files, "EFI/nixos/kernel-6.1.1-"));
        g_assert_nonnull(strstr(files, "EFI/nixos/initrd-6.1.1-"));
}

/* Another install's, by its token or by none, and whatever it refers to. */
static void test_token(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *image = add_lanzaboote(machine, &(LanzabooteImage){.number = 7, .kernel = "another"});
        g_autofree char *kernel = add_content(machine, "kernel", "another");

        machine->settings.entry_token = strdup("laptop");
        outcome_free(sync_well(machine));
        g_assert_true(has_image(machine, image));
        g_assert_true(test_exists(machine->root, kernel));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "laptop-generation-"), ==, 2);

        free(machine->settings.entry_token);
        machine->settings.entry_token = NULL;
        outcome_free(sync_well(machine));
        g_assert_false(has_image(machine, image));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", "laptop-generation-"), ==, 2);
}

/* It refers to no file, even where what is inside reads like a path: that of the initrd is garbage then. */
static void test_embedded(void) {
        const LanzabooteImage mine = {.number = 2, .embedded = true, .initrd = "an initrd of then"};
        const LanzabooteImage gone = {.number = 7, .embedded = true};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *image = add_lanzaboote(machine, &mine), *other = add_lanzaboote(machine, &gone);
        g_autofree char *initrd = add_content(machine, "initrd", mine.initrd);
        _cleanup_(outcome_freep) Outcome *list = machine_run_status(machine, 0, "list", NULL), *collected = NULL;

        outcome_assert(list, "images.0.name", image);
        outcome_assert(list, "images.0.ours", "yes");
        outcome_assert(list, "images.0.signed", "yes");
        outcome_assert(list, "images.0.toplevel", "/nix/store/system-2");
        outcome_assert(list, "images.0.files", "");
        outcome_assert(list, "images.0.problem", "-");
        collected = machine_run_status(machine, 0, "gc", NULL);
        outcome_assert(collected, "partitions.0.images-removed", other);
        g_assert_true(has_image(machine, image));
        g_assert_false(test_exists(machine->root, initrd));
        outcome_free(sync_well(machine));
        g_assert_false(has_image(machine, image));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2);
}

/* Whoever signed it, ourselves included. */
static void test_ukis(void) {
        const LanzabooteImage others[] = {
                {.number = 7, .embedded = true, .key = "foreign-db", .file_name = "debian-6.12.efi"},
                {.number = 2, .embedded = true, .file_name = "rescue+3.efi"},
        };
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);
        g_autofree char *before = NULL, *after = NULL;
        g_auto(GStrv) lines = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
                g_free(add_lanzaboote(machine, &others[i]));
        before = machine_snapshot(machine, "boot/EFI/Linux");
        outcome_free(sync_well(machine));
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
        after = machine_snapshot(machine, "boot/EFI/Linux");
        lines = g_strsplit(before, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), ==, G_N_ELEMENTS(others));
        for (size_t i = 0; lines[i]; i++)
                g_assert_nonnull(strstr(after, lines[i]));
        g_assert_cmpuint(machine_count_files(machine, "EFI/Linux", ""), ==, 2 + G_N_ELEMENTS(others));
}

/* Somebody's entry for the boot loader, with what it names: another kernel of ours that no image needs any more, too.
 */
static void test_entries(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *kernel = add_content(machine, "kernel", "a kernel of then");
        g_autofree char *initrd = add_content(machine, "initrd", "an initrd of then");
        g_autofree char *other = add_content(machine, "kernel", "a kernel of nobody");
        g_autofree char *upper = g_ascii_strup(initrd + strlen("boot"), -1), *text = NULL, *before = NULL,
                        *after = NULL;
        static const char *const builders[] = {
                "boot/EFI/nixos/0c6vlinux-linux-6.12.30-bzImage.efi",
                "boot/EFI/nixos/1abcinitrd-initrd-linux-6.12.30-initrd.efi",
                "boot/loader/entries/nixos-generation-1.conf",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(builders); i++)
                machine_write(machine, builders[i],
                              "linux /EFI/nixos/0c6vlinux-linux-6.12.30-bzImage.efi\n"
                              "initrd /EFI/nixos/1abcinitrd-initrd-linux-6.12.30-initrd.efi\n");
        text = g_strdup_printf("title mine\nlinux %s\ninitrd %s\n", kernel + strlen("boot"), upper);
        machine_write(machine, "boot/loader/entries/mine.conf", text);
        machine_write(machine, "boot/loader/entries/ignored.txt", other);
        test_make_folder(machine->root, "boot/loader/entries/folder.conf", 0700);
        outcome_free(sync_well(machine));
        g_assert_true(test_exists(machine->root, kernel));
        g_assert_true(test_exists(machine->root, initrd));
        g_assert_false(test_exists(machine->root, other));
        for (size_t i = 0; i < G_N_ELEMENTS(builders); i++)
                g_assert_true(test_exists(machine->root, builders[i]));
        before = machine_snapshot(machine, "boot");
        outcome_free(sync_well(machine));
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);

        machine_write(machine, "boot/loader/entries/mine.conf", "title mine\n");
        outcome_free(sync_well(machine));
        g_assert_false(test_exists(machine->root, kernel));
        g_assert_false(test_exists(machine->root, initrd));
}

/* It might name anything: nothing goes as long as it is there. */
static void test_unclear_entries(void) {
        static const struct {
                const char *text;
                size_t size;
                const char *why;
        } unclear[] = {
                {"linux /EFI/nixos/../nixos/k", 0, "Bad message"},
                {"linux \0", 7, "Bad message"},
                {NULL, 64 * 1024 + 1, "File too large"},
        };
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *other = add_content(machine, "kernel", "a kernel of nobody");
        g_autofree char *large = g_strnfill(64 * 1024 + 1, '\n');

        for (size_t i = 0; i < G_N_ELEMENTS(unclear); i++) {
                g_autofree char *warning =
                        g_strdup_printf("loader/entries/mine.conf cannot be read (%s): no kernel and "
                                        "no initrd is removed, since it might name it",
                                        unclear[i].why);
                _cleanup_(outcome_freep) Outcome *outcome = NULL;

                test_write(machine->root, "boot/loader/entries/mine.conf", unclear[i].text ?: large,
                           unclear[i].size > 0 ? (ssize_t)unclear[i].size : -1, 0644);
                outcome = machine_run_status(machine, 0, "sync", NULL);
                outcome_assert(outcome, "warnings", warning);
                g_assert_true(test_exists(machine->root, other));
        }
        large[64 * 1024] = 0;
        machine_write(machine, "boot/loader/entries/mine.conf", large);
        outcome_free(sync_well(machine));
        g_assert_false(test_exists(machine->root, other));
}

/* Names that lanzaboote gave and lanzad does not: of before August 2023, of specialisations with long or odd names, and
 * kernels whose versions have a "+". */
static void test_other_names(void) {
        static const char long_name[] = "a-specialisation-whose-name-is-longer-than-lanzad-would-write-it";
        static const char odd_kernel[] =
                "boot/EFI/nixos/kernel-6.1.1+rpt-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.efi";
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ false);
        g_autofree char *long_file = g_strdup_printf("nixos-generation-2-specialisation-%s-aaaa+3.efi", long_name);
        const LanzabooteImage images[] = {
                {.number = 1, .file_name = "nixos-generation-1.efi", .old_sections = true},
                {.number = 2, .file_name = "nixos-generation-2.efi", .key = "foreign-db"},
                {.number = 2, .file_name = long_file},
                {.number = 7, .file_name = "nixos-generation-7-specialisation-a b+c.efi"},
                /* Not ours: by nobody's key and of no generation, of another form, another profile's, a UKI. */
                {.number = 8, .file_name = "nixos-generation-8.efi", .key = "foreign-db"},
                {.number = 2, .file_name = "nixos-generation-02.efi"},
                {.number = 2, .file_name = "Nixos-generation-22.efi"},
                {.number = 2, .file_name = "nixos-other-generation-2.efi"},
                {.number = 2, .file_name = "nixos-generation-3.efi", .embedded = true},
        };
        enum { OURS = 4 };
        g_autofree char *before = NULL, *after = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(images); i++)
                g_free(add_lanzaboote(machine, &images[i]));
        machine_write(machine, odd_kernel, "a kernel");
        outcome_free(sync_well(machine));
        for (size_t i = 0; i < G_N_ELEMENTS(images); i++)
                g_assert_cmpint(has_image(machine, images[i].file_name), ==, i >= OURS);
        g_assert_false(test_exists(machine->root, odd_kernel));
        before = machine_snapshot(machine, "boot");
        outcome_free(machine_run_status(machine, 0, "gc", NULL));
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(after, ==, before);
}

/* As any other that was booted. */
static void test_other_name_booted(void) {
        const LanzabooteImage image = {.number = 2, .file_name = "nixos-generation-2.efi"};
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);

        g_free(add_lanzaboote(machine, &image));
        machine_set_loader_variable(machine, "LoaderEntrySelected", image.file_name);
        outcome_free(sync_well(machine));
        g_assert_true(has_image(machine, image.file_name));
        machine_write(machine, "nix/store/system-2/boot.json", "{");
        machine_set_current(machine, 1);
        machine_set_loader_variable(machine, "LoaderEntrySelected", "auto-windows");
        outcome_free(machine_run_status(machine, OPERATION_IN_PART, "sync", NULL));
        g_assert_true(has_image(machine, image.file_name));
}

#define TEST(name, function) g_test_add_func("/ops/neighbours/" name, function)

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        TEST("lanzaboote's-images-are-replaced-and-their-files-taken-over", test_replaced);
        TEST("lanzaboote's-booted-image-stays-until-another-one-booted", test_booted);
        TEST("lanzaboote's-images-are-collected-with-their-generations", test_collected);
        TEST("lanzaboote's-image-of-a-malformed-generation-stays", test_shielded);
        TEST("lanzaboote's-images-are-listed", test_listed);
        TEST("lanzaboote's-images-of-other-names-are-collected-where-they-are-ours", test_other_names);
        TEST("lanzaboote's-image-of-another-name-stays-while-booted-or-shielded", test_other_name_booted);
        TEST("another-token's-images-stay-with-what-they-refer-to", test_token);
        TEST("an-image-with-its-kernel-inside-names-no-files", test_embedded);
        TEST("ukis-that-are-not-of-our-form-stay-as-they-are", test_ukis);
        TEST("what-a-boot-loader-entry-names-stays", test_entries);
        TEST("while-an-entry-is-unclear-nothing-it-might-name-goes", test_unclear_entries);
        return g_test_run();
}
