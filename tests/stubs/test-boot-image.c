/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/boot-image.h"

#include <glib.h>
#include <string.h>

#include "stubs/kernel-image.h"
#include "tests/lib/pe-fixture.h"

#define KERNEL "\\EFI\\nixos\\kernel.efi"
#define INITRDS "\\EFI\\nixos\\a\n\\EFI\\nixos\\b"
#define HASH_K "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define EMBEDDED "MZ, and so on"
#define END ". Boot another entry, and have this one written anew."

typedef struct Loaded {
        GByteArray *file;
        uint8_t *memory; /* the image as firmware would have loaded it */
        size_t size;
        BootImage image;
        Text why;
} Loaded;

static void loaded_done(Loaded *loaded) {
        g_byte_array_unref(loaded->file);
        g_free(loaded->memory);
}

/* Name and content by turns, ended by NULL: behind a .text. */
static PeFixtureSection *add_section(GArray *sections, const char *name, const char *content) {
        PeFixtureSection section = {name, content, strlen(content), LANZA_SECTION_CHARACTERISTICS};

        g_array_append_val(sections, section);
        return &g_array_index(sections, PeFixtureSection, sections->len - 1);
}

static Loaded load(const char *const *parts) {
        g_autoptr(GArray) sections = g_array_new(FALSE, TRUE, sizeof(PeFixtureSection));
        Loaded loaded = {};
        KernelImage placed;

        add_section(sections, ".text", "code")->characteristics = 0x60000020;
        for (size_t i = 0; parts[i]; i += 2)
                add_section(sections, parts[i], parts[i + 1]);
        loaded.file = pe_fixture_build(
                &(PeFixture){.sections = (PeFixtureSection *)(void *)sections->data, .n_sections = sections->len});
        g_assert_null(kernel_image_open((Bytes){loaded.file->data, loaded.file->len}, PE_MACHINE_X64, &placed));
        loaded.size = placed.memory_size;
        loaded.memory = g_malloc(loaded.size);
        kernel_image_place(&placed, loaded.memory);
        return loaded;
}

static bool boot_image_of(Loaded *loaded, bool secure_boot) {
        text_clear(&loaded->why);
        return boot_image_read((Bytes){loaded->memory, loaded->size}, secure_boot, &loaded->image, &loaded->why);
}

#define LOAD(...) load((const char *const[]){__VA_ARGS__, NULL})
#define LOADED __attribute__((cleanup(loaded_done))) Loaded

static void assert_bytes(Bytes bytes, const char *expected) {
        g_assert_cmpmem(bytes.data, bytes.size, expected, strlen(expected));
}

static void assert_refused(Loaded loaded, const char *sentence) {
        g_assert_false(boot_image_of(&loaded, true));
        g_autofree char *why = g_utf16_to_utf8(loaded.why.data, -1, NULL, NULL, NULL);
        g_assert_cmpstr(why, ==, sentence);
        loaded_done(&loaded);
}

static void test_whole(void) {
        LOADED loaded = LOAD(".osrel", "ID=nixos\n", ".cmdline", "init=/x quiet", ".linux", KERNEL, ".linuxh", HASH_K,
                             ".initrd", INITRDS, ".initrdh", HASH_A HASH_B);

        g_assert_true(boot_image_of(&loaded, true));
        assert_bytes(loaded.image.command_line, "init=/x quiet");
        assert_bytes(loaded.image.kernel.path, KERNEL);
        g_assert_cmpmem(loaded.image.kernel.hash, 32, HASH_K, 32);
        g_assert_cmpuint(loaded.image.initrd_count, ==, 2);
        assert_bytes(loaded.image.initrds[0].path, "\\EFI\\nixos\\a");
        g_assert_cmpmem(loaded.image.initrds[0].hash, 32, HASH_A, 32);
        assert_bytes(loaded.image.initrds[1].path, "\\EFI\\nixos\\b");
        g_assert_cmpmem(loaded.image.initrds[1].hash, 32, HASH_B, 32);
}

static void test_least(void) {
        LOADED loaded = LOAD(".linux", KERNEL);

        g_assert_true(boot_image_of(&loaded, true));
        g_assert_cmpuint(loaded.image.command_line.size, ==, 0);
        g_assert_null(loaded.image.kernel.hash);
        g_assert_cmpuint(loaded.image.initrd_count, ==, 0);
}

static void test_embedded(void) {
        LOADED loaded =
                LOAD(".cmdline", "quiet", ".linux", EMBEDDED, ".initrd", "\\not\\a path", ".ucode", "microcode");

        for (int secure_boot = 0; secure_boot < 2; secure_boot++) {
                g_assert_true(boot_image_of(&loaded, secure_boot));
                assert_bytes(loaded.image.embedded_kernel, EMBEDDED);
                assert_bytes(loaded.image.embedded_initrd, "\\not\\a path");
                assert_bytes(loaded.image.microcode, "microcode");
                g_assert_cmpuint(loaded.image.kernel.path.size, ==, 0);
                g_assert_null(loaded.image.kernel.hash);
                g_assert_cmpuint(loaded.image.initrd_count, ==, 0);
        }
}

static void test_embedded_alone(void) {
        LOADED loaded = LOAD(".linux", "MZ");

        g_assert_true(boot_image_of(&loaded, true));
        assert_bytes(loaded.image.embedded_kernel, "MZ");
        g_assert_cmpuint(loaded.image.embedded_initrd.size, ==, 0);
        g_assert_cmpuint(loaded.image.microcode.size, ==, 0);
}

static void test_microcode(void) {
        LOADED loaded = LOAD(".linux", KERNEL, ".linuxh", HASH_K, ".initrd", INITRDS, ".initrdh", HASH_A HASH_B,
                             ".ucode", "microcode");

        g_assert_true(boot_image_of(&loaded, true));
        assert_bytes(loaded.image.microcode, "microcode");
        g_assert_cmpuint(loaded.image.initrd_count, ==, 2);
        g_assert_cmpuint(loaded.image.embedded_kernel.size, ==, 0);
        g_assert_cmpuint(loaded.image.embedded_initrd.size, ==, 0);
}

static void test_extra(void) {
        LOADED loaded = LOAD(".osrel", "ID=nixos\n", ".linux", EMBEDDED, ".profile", "ID=main", ".pcrsig", "{}",
                             ".pcrpkey", "-----BEGIN");
        LOADED without = LOAD(".linux", EMBEDDED);

        g_assert_true(boot_image_of(&loaded, true));
        assert_bytes(loaded.image.os_release, "ID=nixos\n");
        assert_bytes(loaded.image.profile, "ID=main");
        assert_bytes(loaded.image.pcr_signature, "{}");
        assert_bytes(loaded.image.pcr_public_key, "-----BEGIN");
        g_assert_true(boot_image_of(&without, true));
        g_assert_cmpuint(without.image.os_release.size + without.image.profile.size + without.image.pcr_signature.size +
                                 without.image.pcr_public_key.size,
                         ==, 0);
}

static void test_embedded_with_hashes(void) {
        assert_refused(LOAD(".linux", EMBEDDED, ".linuxh", HASH_K),
                       "This boot image carries its kernel inside, and a section .linuxh, which is for files" END);
        assert_refused(LOAD(".linux", EMBEDDED, ".initrd", INITRDS, ".initrdh", HASH_A HASH_B),
                       "This boot image carries its kernel inside, and a section .initrdh, which is for files" END);
        assert_refused(LOAD(".linux", EMBEDDED, ".initrd", "a", ".initrd", "b"),
                       "This boot image has its section .initrd twice" END);
        assert_refused(LOAD(".linux", "M"),
                       "This boot image names as its kernel \"M\", and that path does not begin with a backslash" END);
}

static void test_initrd_without_hash(void) {
        LOADED loaded = LOAD(".linux", KERNEL, ".linuxh", HASH_K, ".initrd", INITRDS);

        g_assert_true(boot_image_of(&loaded, false));
        g_assert_cmpuint(loaded.image.initrd_count, ==, 2);
        g_assert_null(loaded.image.initrds[1].hash);
        assert_refused(
                LOAD(".linux", KERNEL, ".linuxh", HASH_K, ".initrd", INITRDS),
                "This boot image has no hash of its initrd \\EFI\\nixos\\a, which is needed while Secure Boot is on" END);
}

static void test_refusals(void) {
        assert_refused(LOAD(".osrel", "x"), "This boot image names no kernel (it has no section .linux)" END);
        assert_refused(LOAD(".linux", KERNEL, ".linux", KERNEL), "This boot image has its section .linux twice" END);
        assert_refused(LOAD(".linux", KERNEL, ".cmdline", "a", ".cmdline", "b"),
                       "This boot image has its section .cmdline twice" END);
        assert_refused(
                LOAD(".linux", "\\EFI\\..\\k"),
                "This boot image names as its kernel \"\\EFI\\..\\k\", and that path goes up or in place with a component "
                "\"..\" or \".\"" END);
        assert_refused(
                LOAD(".linux", KERNEL "\n"),
                "This boot image names as its kernel \"\\EFI\\nixos\\kernel.efi?\", and that path has a character that is "
                "not allowed in names on this file system" END);
        assert_refused(LOAD(".linux", KERNEL, ".initrd", "\\a\n", ".initrdh", HASH_A),
                       "This boot image names as its initrds \"\\a?\", and that list has an empty line" END);
}

/* The reason and the way out are in the sentence, whatever is in the image. */
static void test_refusals_of_much(void) {
        g_autoptr(GString) list = g_string_new("\\first");

        while (list->len < 4000)
                g_string_append(list, "\n\\EFI\\nixos\\initrd-0123456789");
        for (int i = 0; i < 2; i++) {
                LOADED loaded = i == 0 ? LOAD(".linux", list->str) : LOAD(".linux", KERNEL, ".initrd", list->str);
                g_assert_false(boot_image_of(&loaded, false));
                g_autofree char *why = g_utf16_to_utf8(loaded.why.data, -1, NULL, NULL, NULL);
                g_assert_nonnull(strstr(why, "\\first?\\EFI"));
                g_assert_nonnull(strstr(why, i == 0 ? "...\", and that path " : "...\", and that list "));
                g_assert_true(g_str_has_suffix(why, END));
        }
}

static void test_wrong_hashes(void) {
        assert_refused(LOAD(".linux", KERNEL, ".linuxh", "short"),
                       "This boot image has a kernel hash of 5 bytes instead of 32" END);
        assert_refused(LOAD(".linux", KERNEL, ".linuxh", HASH_K "x"),
                       "This boot image has a kernel hash of 33 bytes instead of 32" END);
        assert_refused(LOAD(".linux", KERNEL, ".initrd", INITRDS, ".initrdh", HASH_A),
                       "This boot image has 32 bytes of initrd hashes instead of 32 for each of its 2 initrds" END);
        assert_refused(LOAD(".linux", KERNEL, ".initrdh", HASH_A),
                       "This boot image has 32 bytes of initrd hashes instead of 32 for each of its 0 initrds" END);
}

/* Header fields of the section behind .text in the loaded image. */
enum {
        LENGTH = PE_FIXTURE_SECTIONS + 40 + 8,
        ADDRESS = PE_FIXTURE_SECTIONS + 40 + 12,
        RAW_LENGTH = PE_FIXTURE_SECTIONS + 40 + 16,
};

static void set32(Loaded *loaded, size_t offset, uint32_t value) {
        for (int i = 0; i < 4; i++)
                loaded->memory[offset + i] = (uint8_t)(value >> 8 * i);
}

/* What is embedded is bounded by the image that firmware loaded, whatever its headers say. */
static void test_embedded_bounds(void) {
        static const struct {
                size_t field;
                uint32_t value;
        } changes[] = {
                {LENGTH, 0},       {LENGTH, 0x1001}, {LENGTH, 0x7fffffff},  {LENGTH, 0xffffffff}, {ADDRESS, 0x1000},
                {ADDRESS, 0x4000}, {ADDRESS, 0},     {ADDRESS, 0xfffff000}, {RAW_LENGTH, 0},      {RAW_LENGTH, 5},
        };
        static const char *const names[] = {".linux", ".initrd", ".ucode"};

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                for (size_t j = 0; j < G_N_ELEMENTS(changes); j++) {
                        LOADED loaded =
                                LOAD(names[i], EMBEDDED, names[(i + 1) % 3], EMBEDDED, names[(i + 2) % 3], EMBEDDED);
                        g_assert_true(boot_image_of(&loaded, true));
                        set32(&loaded, changes[j].field, changes[j].value);
                        g_assert_false(boot_image_of(&loaded, true));
                }
}

static void test_lengths(void) {
        LOADED loaded = LOAD(".linux", KERNEL, ".linuxh", HASH_K);

        loaded.memory[RAW_LENGTH + 1] = 0;
        loaded.memory[RAW_LENGTH] = sizeof KERNEL - 2;
        g_assert_false(boot_image_of(&loaded, true));
        loaded.memory[RAW_LENGTH] = sizeof KERNEL - 1;
        g_assert_true(boot_image_of(&loaded, true));
        loaded.memory[LENGTH] = 0;
        g_assert_false(boot_image_of(&loaded, true));
}

static void test_truncated(void) {
        LOADED loaded = LOAD(".cmdline", "a", ".linux", KERNEL, ".linuxh", HASH_K);
        BootImage image;

        for (size_t size = 0; size < 4 * 4096 + 32; size++) {
                g_autofree uint8_t *exact = size % 256 == 0 || size < 1024 ? g_memdup2(loaded.memory, size) : NULL;
                text_clear(&loaded.why);
                g_assert_false(
                        boot_image_read((Bytes){exact ? exact : loaded.memory, size}, true, &image, &loaded.why));
                if (size % 16 == 0)
                        g_assert_cmpuint(loaded.why.length, >, 20);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/boot-image/reads-command-line-paths-and-hashes", test_whole);
        g_test_add_func("/stubs/boot-image/needs-nothing-but-a-kernel", test_least);
        g_test_add_func("/stubs/boot-image/finds-kernel-initrd-and-microcode-inside", test_embedded);
        g_test_add_func("/stubs/boot-image/needs-nothing-beside-an-embedded-kernel", test_embedded_alone);
        g_test_add_func("/stubs/boot-image/finds-microcode-beside-paths", test_microcode);
        g_test_add_func("/stubs/boot-image/finds-what-the-initrd-gets-to-see", test_extra);
        g_test_add_func("/stubs/boot-image/refuses-hashes-beside-an-embedded-kernel", test_embedded_with_hashes);
        g_test_add_func("/stubs/boot-image/takes-nothing-from-outside-of-itself", test_embedded_bounds);
        g_test_add_func("/stubs/boot-image/needs-hashes-of-initrds-while-secure-boot-is-on", test_initrd_without_hash);
        g_test_add_func("/stubs/boot-image/says-why-it-cannot-be-booted", test_refusals);
        g_test_add_func("/stubs/boot-image/says-why-however-much-it-holds", test_refusals_of_much);
        g_test_add_func("/stubs/boot-image/refuses-hashes-of-another-number-or-length", test_wrong_hashes);
        g_test_add_func("/stubs/boot-image/refuses-sections-longer-than-their-content-or-empty", test_lengths);
        g_test_add_func("/stubs/boot-image/is-refused-when-cut-at-any-byte", test_truncated);
        return g_test_run();
}
