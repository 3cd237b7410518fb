/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/kernel-image.h"

#include <glib.h>
#include <string.h>

#include "stubs/stub-abi.h"
#include "tests/lib/pe-fixture.h"

enum {
        ENTRY_POINT = PE_FIXTURE_OPTIONAL + 16,
        SECTION_ALIGNMENT = PE_FIXTURE_OPTIONAL + 32,
        MAJOR_IMAGE_VERSION = PE_FIXTURE_OPTIONAL + 44,
        SIZE_OF_IMAGE = PE_FIXTURE_OPTIONAL + 56,
        SUBSYSTEM = PE_FIXTURE_OPTIONAL + 68,
        RELOCATIONS = PE_FIXTURE_DIRECTORIES + 5 * 8,

        /* Of the second section header. */
        DATA_SIZE = PE_FIXTURE_SECTIONS + 40 + 8,
        DATA_ADDRESS = PE_FIXTURE_SECTIONS + 40 + 12,
        DATA_RAW_SIZE = PE_FIXTURE_SECTIONS + 40 + 16,
        DATA_RAW_OFFSET = PE_FIXTURE_SECTIONS + 40 + 20,
};

/* What a bzImage has: code, data, and a relocation table that says "nothing to do". */
static GByteArray *make_kernel(void) {
        static const uint8_t nothing_to_relocate[] = {0, 0, 0, 0, 10, 0, 0, 0, 0, 0};
        const PeFixtureSection sections[] = {{".text", "code", 4, 0x60000020},
                                             {".data", "data", 4, 0xc0000040},
                                             {".reloc", nothing_to_relocate, 10, 0x42000040}};
        GByteArray *file = pe_fixture_build(&(PeFixture){.sections = sections, .n_sections = 3});

        pe_fixture_set16(file, MAJOR_IMAGE_VERSION, 1);
        pe_fixture_set32(file, RELOCATIONS, 3 * 4096);
        pe_fixture_set32(file, RELOCATIONS + 4, 10);
        return file;
}

static const char *open_kernel(const GByteArray *file, KernelImage *kernel) {
        return kernel_image_open((Bytes){file->data, file->len}, PE_MACHINE_X64, kernel);
}

static void test_placed(void) {
        g_autoptr(GByteArray) file = make_kernel();
        KernelImage kernel;

        pe_fixture_set32(file, DATA_SIZE, 0x800); /* more than the file has: zeros */
        g_assert_cmpstr(open_kernel(file, &kernel), ==, NULL);
        g_assert_cmpuint(kernel.memory_size, ==, 4 * 4096);
        g_assert_cmpuint(kernel.alignment, ==, 4096);
        g_assert_true(kernel_image_loads_initrd(&kernel.pe));

        g_autofree uint8_t *memory = g_malloc(kernel.memory_size);
        g_autofree uint8_t *expected = g_malloc0(kernel.memory_size);
        memset(memory, 0xaa, kernel.memory_size);
        kernel_image_place(&kernel, memory);
        memcpy(expected, file->data, kernel.pe.size_of_headers);
        memcpy(expected + 0x1000, "code", 4);
        memcpy(expected + 0x2000, "data", 4);
        expected[0x3004] = 10;
        g_assert_cmpmem(memory, kernel.memory_size, expected, kernel.memory_size);
}

/* KERNEL, opened from FILE, placed where a copy of FILE is. */
static void assert_placed_in_place(const GByteArray *file, const KernelImage *kernel) {
        g_autofree uint8_t *apart = g_malloc(kernel->memory_size);
        size_t room = MAX(kernel->memory_size, file->len);
        g_autofree uint8_t *memory = g_malloc(room);
        KernelImage copy;

        kernel_image_place(kernel, apart);
        memset(memory, 0xaa, room);
        memcpy(memory, file->data, file->len);
        g_assert_null(kernel_image_open((Bytes){memory, file->len}, PE_MACHINE_X64, &copy));
        g_assert_true(kernel_image_fits_in_place(&copy));
        kernel_image_place(&copy, memory);
        g_assert_cmpmem(memory, kernel->memory_size, apart, kernel->memory_size);
}

static void test_in_place(void) {
        g_autoptr(GByteArray) file = make_kernel();
        g_autofree uint8_t *tail = g_malloc(5 * 4096);
        KernelImage kernel;

        pe_fixture_set32(file, DATA_SIZE, 0x800);
        g_assert_null(open_kernel(file, &kernel));
        assert_placed_in_place(file, &kernel);

        memset(tail, 'x', 5 * 4096); /* a signature, for instance: it is where zeros must be */
        g_byte_array_append(file, tail, 5 * 4096);
        g_assert_null(open_kernel(file, &kernel));
        assert_placed_in_place(file, &kernel);
}

/* Where moving one section would overwrite another that is still to be moved. */
static void test_not_in_place(void) {
        g_autoptr(GByteArray) file = make_kernel();
        uint32_t text = pe_fixture_get32(file, DATA_RAW_OFFSET - 40), data = pe_fixture_get32(file, DATA_RAW_OFFSET);
        g_autofree uint8_t *tail = g_malloc0(5 * 4096);
        KernelImage kernel;

        pe_fixture_set32(file, DATA_RAW_OFFSET, text);
        g_assert_null(open_kernel(file, &kernel));
        g_assert_false(kernel_image_fits_in_place(&kernel)); /* a file may share bytes, memory may not */
        pe_fixture_set32(file, DATA_RAW_OFFSET - 40, data);
        g_assert_null(open_kernel(file, &kernel));
        g_assert_false(kernel_image_fits_in_place(&kernel));

        g_byte_array_append(file, tail, 5 * 4096);
        pe_fixture_set32(file, DATA_RAW_OFFSET - 40, text);
        pe_fixture_set32(file, DATA_RAW_OFFSET + 40, file->len - 4096); /* further to the back than in memory */
        pe_fixture_set32(file, DATA_RAW_OFFSET, data);
        pe_fixture_set32(file, RELOCATIONS + 4, 0);
        g_assert_null(open_kernel(file, &kernel));
        g_assert_false(kernel_image_fits_in_place(&kernel));
}

static void test_room(void) {
        g_autoptr(GByteArray) file = make_kernel();
        size_t alignment;

        g_assert_cmpuint(kernel_image_guess_room((Bytes){file->data, 1024}, 5000, &alignment), ==, 4 * 4096);
        g_assert_cmpuint(alignment, ==, 4096);
        g_assert_cmpuint(kernel_image_guess_room((Bytes){file->data, 1024}, 50000, &alignment), ==, 50000);
        pe_fixture_set32(file, SECTION_ALIGNMENT, 0x200000);
        g_assert_cmpuint(kernel_image_guess_room((Bytes){file->data, 1024}, 5000, &alignment), ==, 4 * 4096);
        g_assert_cmpuint(alignment, ==, 0x200000);
        for (unsigned shift = 22; shift < 32; shift++) {
                pe_fixture_set32(file, SECTION_ALIGNMENT, 1u << shift);
                pe_fixture_set32(file, SIZE_OF_IMAGE, LANZA_KERNEL_MAX_BYTES + (1u << shift));
                g_assert_cmpuint(kernel_image_guess_room((Bytes){file->data, 1024}, 5000, &alignment), ==, 5000);
                g_assert_cmpuint(alignment, ==, 4096);
        }
        for (size_t size = 0; size < PE_FIXTURE_DIRECTORIES; size++) {
                g_autofree uint8_t *exact = g_memdup2(file->data, size);
                g_assert_cmpuint(kernel_image_guess_room((Bytes){exact, size}, 7, &alignment), ==, 7);
        }
}

static void test_padding_stays_out(void) {
        g_autoptr(GByteArray) file = make_kernel();
        KernelImage kernel;
        uint32_t offset = pe_fixture_get32(file, DATA_RAW_OFFSET);

        memset(file->data + offset + 4, 'x', 100); /* behind its VirtualSize, inside its SizeOfRawData */
        g_assert_null(open_kernel(file, &kernel));
        g_autofree uint8_t *memory = g_malloc(kernel.memory_size);
        kernel_image_place(&kernel, memory);
        g_assert_cmpmem(memory + 0x2000, 6, "data\0\0", 6);
}

static void test_alignment(void) {
        const PeFixtureSection section = {".text", "code", 4, 0x60000020};
        g_autoptr(GByteArray) file =
                pe_fixture_build(&(PeFixture){.sections = &section, .n_sections = 1, .section_alignment = 0x10000});
        KernelImage kernel;

        g_assert_null(open_kernel(file, &kernel));
        g_assert_cmpuint(kernel.alignment, ==, 0x10000);
        g_assert_false(kernel_image_loads_initrd(&kernel.pe));
}

typedef struct Damage {
        const char *wrong;
        size_t offset;
        uint32_t value;
} Damage;

static void test_damaged(void) {
        const Damage damages[] = {
                {"is not a PE image (no MZ header)", 0, 0x464c457f},
                {"is for another CPU architecture", PE_FIXTURE_COFF, 0x0003aa64},
                {"is not an EFI application", SUBSYSTEM, 0x0100000b},
                {"asks for an unreasonable amount of memory or alignment", SIZE_OF_IMAGE, 0x40000001},
                {"asks for an unreasonable amount of memory or alignment", SECTION_ALIGNMENT, 0x400000},
                {"has a section that is not aligned as its header says", SECTION_ALIGNMENT, 0x2000},
                {"has its entry point outside of its sections", ENTRY_POINT, 0},
                {"has its entry point outside of its sections", ENTRY_POINT, 0x1004},
                {"has its entry point outside of its sections", ENTRY_POINT, 0xffffffff},
                {"is cut off: a section reaches over its end", DATA_RAW_OFFSET, 0x7fffffff},
                {"is cut off: a section reaches over its end", DATA_RAW_OFFSET, 0xffffffff},
                {"has sections that overlap", DATA_ADDRESS, 0x1000},
                {"has its relocations outside of its sections", RELOCATIONS, 0x9000},
                {"has its relocations outside of its sections", RELOCATIONS, 0x10},
                {"has its relocations outside of its sections", RELOCATIONS + 4, 0xffffffff},
                {"has damaged relocations", RELOCATIONS + 4, 7},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(damages); i++) {
                g_autoptr(GByteArray) file = make_kernel();
                KernelImage kernel;
                pe_fixture_set32(file, damages[i].offset, damages[i].value);
                g_assert_cmpstr(open_kernel(file, &kernel), ==, damages[i].wrong);
        }
}

static void test_order(void) {
        g_autoptr(GByteArray) file = make_kernel();
        KernelImage kernel;

        pe_fixture_set32(file, SIZE_OF_IMAGE, 0x6000);
        g_assert_null(open_kernel(file, &kernel));
        pe_fixture_set32(file, DATA_ADDRESS, 0x5000);
        g_assert_cmpstr(open_kernel(file, &kernel), ==, "has sections that are not in ascending order");
}

static void test_truncated(void) {
        g_autoptr(GByteArray) file = make_kernel();
        KernelImage kernel;

        for (uint32_t size = 0; size < file->len - 512 + 10; size++) {
                g_autofree uint8_t *exact = g_memdup2(file->data, size);
                g_assert_nonnull(kernel_image_open((Bytes){exact, size}, PE_MACHINE_X64, &kernel));
        }
}

static void test_relocations(void) {
        g_autoptr(GByteArray) file = make_kernel();
        uint32_t offset = pe_fixture_get32(file, DATA_RAW_OFFSET + 40);
        KernelImage kernel;

        pe_fixture_set16(file, offset + 8, 0xa123); /* IMAGE_REL_BASED_DIR64 */
        g_assert_cmpstr(open_kernel(file, &kernel), ==, "needs to be relocated, which no Linux kernel does");
        pe_fixture_set16(file, offset + 8, 0x0123);
        g_assert_null(open_kernel(file, &kernel));
        for (uint32_t size = 0; size <= 11; size++) {
                pe_fixture_set32(file, offset + 4, size); /* of the block */
                g_assert_true((open_kernel(file, &kernel) == NULL) == (size == 10));
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/kernel-image/is-placed-as-its-headers-say-with-zeros-between", test_placed);
        g_test_add_func("/stubs/kernel-image/is-placed-where-its-file-is-as-elsewhere", test_in_place);
        g_test_add_func("/stubs/kernel-image/is-not-placed-where-its-file-is-if-that-would-damage-it",
                        test_not_in_place);
        g_test_add_func("/stubs/kernel-image/guesses-its-room-from-the-beginning-of-its-file", test_room);
        g_test_add_func("/stubs/kernel-image/keeps-the-file's-padding-out-of-memory", test_padding_stays_out);
        g_test_add_func("/stubs/kernel-image/asks-for-its-section-alignment", test_alignment);
        g_test_add_func("/stubs/kernel-image/says-what-is-wrong-with-a-file", test_damaged);
        g_test_add_func("/stubs/kernel-image/has-its-sections-in-ascending-order", test_order);
        g_test_add_func("/stubs/kernel-image/is-refused-when-cut-at-any-byte", test_truncated);
        g_test_add_func("/stubs/kernel-image/is-refused-when-it-needs-relocation", test_relocations);
        return g_test_run();
}
