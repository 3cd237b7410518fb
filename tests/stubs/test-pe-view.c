/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/pe-view.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/pe-fixture.h"

enum {
        LFANEW = 0x3c,
        SECTION_COUNT = PE_FIXTURE_COFF + 2,
        OPTIONAL_SIZE = PE_FIXTURE_COFF + 16,
        SECTION_ALIGNMENT = PE_FIXTURE_OPTIONAL + 32,
        SIZE_OF_IMAGE = PE_FIXTURE_OPTIONAL + 56,
        SIZE_OF_HEADERS = PE_FIXTURE_OPTIONAL + 60,
        DIRECTORY_COUNT = PE_FIXTURE_OPTIONAL + 108,
        FIRST_SIZE = PE_FIXTURE_SECTIONS + 8,
        FIRST_ADDRESS = PE_FIXTURE_SECTIONS + 12,
        SECOND_ADDRESS = PE_FIXTURE_SECTIONS + 40 + 12,
};

static const char *open_file(const GByteArray *file, PeView *view) {
        return pe_view_open((Bytes){file->data, file->len}, view);
}

static void test_good(void) {
        g_autoptr(GByteArray) file = pe_fixture_stub();
        PeView view;
        PeSection section;

        g_assert_cmpstr(open_file(file, &view), ==, NULL);
        g_assert_cmpuint(view.machine, ==, PE_MACHINE_X64);
        g_assert_cmpuint(view.subsystem, ==, PE_SUBSYSTEM_EFI_APPLICATION);
        g_assert_cmpuint(view.section_count, ==, 3);
        g_assert_cmpuint(view.section_alignment, ==, 4096);
        g_assert_cmpuint(view.entry_point, ==, 4096);
        g_assert_cmpuint(pe_view_find(&view, ".sbat", &section), ==, 1);
        g_assert_cmpuint(section.virtual_address, ==, 3 * 4096);
        g_assert_cmpmem(file->data + section.raw_offset, 5, "sbat,", 5);
        g_assert_cmpuint(pe_view_find(&view, ".sba", &section), ==, 0);
        g_assert_cmpuint(pe_view_find(&view, ".sbat1", &section), ==, 0);
}

static void test_names(void) {
        const PeFixtureSection sections[] = {
                {".initrdh", "a", 1, 0x40000040}, {".initrd", "b", 1, 0x40000040}, {".initrdh", "c", 1, 0x40000040}};
        g_autoptr(GByteArray) file = pe_fixture_build(&(PeFixture){.sections = sections, .n_sections = 3});
        PeView view;
        PeSection section;

        g_assert_null(open_file(file, &view));
        g_assert_cmpuint(pe_view_find(&view, ".initrdh", &section), ==, 2);
        g_assert_cmpuint(section.virtual_address, ==, 4096);
        g_assert_cmpuint(pe_view_find(&view, ".initrd", &section), ==, 1);
        g_assert_cmpuint(section.virtual_address, ==, 2 * 4096);
}

static void test_truncated(void) {
        g_autoptr(GByteArray) file = pe_fixture_stub();
        PeView view;
        uint32_t headers = pe_fixture_get32(file, SIZE_OF_HEADERS);

        for (uint32_t size = 0; size < headers; size++) {
                g_autofree uint8_t *exact = g_memdup2(file->data, size); /* the sanitizer sees one byte too far */
                g_assert_nonnull(pe_view_open((Bytes){exact, size}, &view));
        }
        g_assert_null(pe_view_open((Bytes){file->data, headers}, &view));
}

typedef struct Damage {
        const char *wrong;
        size_t offset;
        uint32_t value;
        bool half; /* 16 bits instead of 32 */
} Damage;

static void test_damaged(void) {
        const Damage damages[] = {
                {"is not a PE image (no MZ header)", 0, 0},
                {"is not a PE image (no PE header)", LFANEW, 0xfffffff0},
                {"is not a PE image (no PE header)", LFANEW, 0x7fffffff},
                {"is not a PE image (no PE header)", LFANEW, 0},
                {"has no sections, or more than 96", SECTION_COUNT, 0, true},
                {"has no sections, or more than 96", SECTION_COUNT, 97, true},
                {"is cut off in its section table", SECTION_COUNT, 96, true},
                {"states an impossible size of its headers", SECTION_COUNT, 29, true},
                {"is cut off in its PE header", OPTIONAL_SIZE, 0xffff, true},
                {"is not a 64-bit PE image (PE32+)", OPTIONAL_SIZE, 111, true},
                {"is not a 64-bit PE image (PE32+)", PE_FIXTURE_OPTIONAL, 0x10b, true},
                {"has data directories outside its optional header", DIRECTORY_COUNT, 17},
                {"has data directories outside its optional header", DIRECTORY_COUNT, 0xffffffff},
                {"has a section alignment that is not a power of two", SECTION_ALIGNMENT, 0},
                {"has a section alignment that is not a power of two", SECTION_ALIGNMENT, 4097},
                {"states an impossible size of its headers", SIZE_OF_HEADERS, 0},
                {"states an impossible size of its headers", SIZE_OF_HEADERS, 0xffffffff},
                {"states an impossible size of its headers", SIZE_OF_IMAGE, 64},
                {"has a section outside its memory image", SIZE_OF_IMAGE, 0x1000},
                {"has a section outside its memory image", FIRST_SIZE, 0xffffffff},
                {"has a section outside its memory image", FIRST_ADDRESS, 0xfffff000},
                {"has a section that overlaps its headers", FIRST_ADDRESS, 0},
                {"has sections that overlap", FIRST_SIZE, 0x1001},
                {"has sections that overlap", SECOND_ADDRESS, 0x1000},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(damages); i++) {
                g_autoptr(GByteArray) file = pe_fixture_stub();
                PeView view = {};
                if (damages[i].half)
                        pe_fixture_set16(file, damages[i].offset, (uint16_t)damages[i].value);
                else
                        pe_fixture_set32(file, damages[i].offset, damages[i].value);
                g_assert_cmpstr(open_file(file, &view), ==, damages[i].wrong);
                g_assert_cmpuint(view.section_count, ==, 0);
        }
}

static void test_shared_offset(void) {
        g_autoptr(GByteArray) file = pe_fixture_stub();
        PeView view;

        pe_fixture_set32(file, SECOND_ADDRESS, 0xfffff000);
        pe_fixture_set32(file, SIZE_OF_IMAGE, 0xffffffff);
        g_assert_cmpstr(open_file(file, &view), ==, NULL); /* the largest image there can be, and nothing overflows */
}

/* Whatever a view accepts, its promises hold. */
static void assert_promises(const PeView *view) {
        for (uint16_t i = 0; i < view->section_count; i++) {
                PeSection section = pe_view_section(view, i);
                uint64_t end = (uint64_t)section.virtual_address + pe_section_memory_size(&section);
                g_assert_cmpuint(end, <=, view->size_of_image);
                g_assert_cmpuint(section.name.size, <=, 8);
        }
        g_assert_cmpuint(view->size_of_headers, <=, view->image.size);
}

static void test_random_damage(void) {
        const char *seed = getenv("LANZA_SEED");
        guint32 number = seed ? (guint32)strtoul(seed, NULL, 0) : 1;
        GRand *random = g_rand_new_with_seed(number);
        g_autoptr(GByteArray) good = pe_fixture_stub();
        unsigned accepted = 0;

        g_test_message("LANZA_SEED=%u", number);
        for (int i = 0; i < 20000; i++) {
                g_autofree uint8_t *file = g_memdup2(good->data, good->len);
                for (int j = 0; j < 3; j++)
                        file[g_rand_int_range(random, 0, 600)] = (uint8_t)g_rand_int_range(random, 0, 256);
                PeView view;
                if (pe_view_open((Bytes){file, good->len}, &view))
                        continue;
                assert_promises(&view);
                accepted++;
        }
        g_assert_cmpuint(accepted, >, 100);
        g_rand_free(random);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stubs/pe-view/reads-headers-and-sections", test_good);
        g_test_add_func("/stubs/pe-view/tells-names-of-eight-bytes-apart-and-counts-them", test_names);
        g_test_add_func("/stubs/pe-view/refuses-headers-cut-at-any-byte", test_truncated);
        g_test_add_func("/stubs/pe-view/says-which-field-is-impossible", test_damaged);
        g_test_add_func("/stubs/pe-view/does-not-overflow-at-four-gigabytes", test_shared_offset);
        g_test_add_func("/stubs/pe-view/keeps-its-promises-under-random-damage", test_random_damage);
        return g_test_run();
}
