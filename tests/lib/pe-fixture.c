/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/lib/pe-fixture.h"

#include <string.h>

enum { SECTION_HEADER = 40, SUBSYSTEM_EFI_APPLICATION = 10, NX_COMPAT = 0x100 };

static uint32_t align(uint32_t value, uint32_t alignment) {
        return (value + alignment - 1) / alignment * alignment;
}

uint32_t pe_fixture_get32(const GByteArray *file, size_t offset) {
        g_assert_cmpuint(offset + 4, <=, file->len);
        return file->data[offset] | file->data[offset + 1] << 8 | file->data[offset + 2] << 16 |
               (uint32_t)file->data[offset + 3] << 24;
}

void pe_fixture_set16(GByteArray *file, size_t offset, uint16_t value) {
        g_assert_cmpuint(offset + 2, <=, file->len);
        file->data[offset] = value;
        file->data[offset + 1] = value >> 8;
}

void pe_fixture_set32(GByteArray *file, size_t offset, uint32_t value) {
        pe_fixture_set16(file, offset, value);
        pe_fixture_set16(file, offset + 2, value >> 16);
}

static void grow(GByteArray *file, size_t size) {
        guint old = file->len;

        g_byte_array_set_size(file, size);
        memset(file->data + old, 0, size - old);
}

static void write_section(GByteArray *file, size_t header, const PeFixtureSection *section, uint32_t address,
                          uint32_t file_alignment) {
        const uint32_t offset = file->len;

        memcpy(file->data + header, section->name, strnlen(section->name, 8));
        pe_fixture_set32(file, header + 8, section->size);
        pe_fixture_set32(file, header + 12, address);
        pe_fixture_set32(file, header + 16, align(section->size, file_alignment));
        pe_fixture_set32(file, header + 20, section->size > 0 ? offset : 0);
        pe_fixture_set32(file, header + 36, section->characteristics);
        g_byte_array_append(file, section->content, section->size);
        grow(file, offset + align(section->size, file_alignment));
}

static void write_headers(GByteArray *file, const PeFixture *fixture, uint32_t directories, unsigned n_directories,
                          uint32_t size_of_headers) {
        const size_t optional = PE_FIXTURE_OPTIONAL;

        memcpy(file->data, "MZ", 2);
        pe_fixture_set32(file, 0x3c, PE_FIXTURE_COFF - 4);
        memcpy(file->data + PE_FIXTURE_COFF - 4, "PE\0", 4);
        pe_fixture_set16(file, PE_FIXTURE_COFF, fixture->machine ?: (fixture->pe32 ? 0x14c : 0x8664));
        pe_fixture_set16(file, PE_FIXTURE_COFF + 2, fixture->n_sections);
        pe_fixture_set16(file, PE_FIXTURE_COFF + 16, directories + 8 * n_directories);
        pe_fixture_set16(file, PE_FIXTURE_COFF + 18, fixture->pe32 ? 0x102 : 0x22); /* executable, of its width */
        pe_fixture_set16(file, optional, fixture->pe32 ? 0x10b : 0x20b);
        pe_fixture_set32(file, optional + 60, size_of_headers);
        pe_fixture_set16(file, optional + 68, SUBSYSTEM_EFI_APPLICATION);
        pe_fixture_set16(file, optional + 70, NX_COMPAT);
        pe_fixture_set32(file, optional + directories - 4, n_directories);
}

GByteArray *pe_fixture_build(const PeFixture *fixture) {
        const uint32_t file_alignment = fixture->file_alignment ?: 512;
        const uint32_t section_alignment = fixture->section_alignment ?: 4096;
        const unsigned n_directories = fixture->n_directories ?: 16;
        const uint32_t directories = fixture->pe32 ? 96 : 112;
        const size_t table = PE_FIXTURE_OPTIONAL + directories + 8 * n_directories;
        const size_t optional = PE_FIXTURE_OPTIONAL;
        const uint32_t size_of_headers =
                align(table + (fixture->n_sections + fixture->free_headers) * SECTION_HEADER, file_alignment);
        uint32_t address = align(size_of_headers, section_alignment), data_size = 0;
        GByteArray *file = g_byte_array_new();

        grow(file, size_of_headers);
        write_headers(file, fixture, directories, n_directories, size_of_headers);
        pe_fixture_set32(file, optional + 16, address); /* entry point: where the first section begins */
        pe_fixture_set32(file, optional + 20, address);
        pe_fixture_set32(file, optional + 32, section_alignment);
        pe_fixture_set32(file, optional + 36, file_alignment);
        for (unsigned i = 0; i < fixture->n_sections; i++) {
                const PeFixtureSection *section = &fixture->sections[i];

                write_section(file, table + i * SECTION_HEADER, section, address, file_alignment);
                if (section->characteristics & 0x40)
                        data_size += align(section->size, file_alignment);
                if (section->characteristics & 0x20)
                        pe_fixture_set32(file, optional + 4, align(section->size, file_alignment));
                address = align(address + MAX(section->size, 1), section_alignment);
        }
        pe_fixture_set32(file, optional + 8, data_size);
        pe_fixture_set32(file, optional + 56, address);
        if (fixture->trailing_size > 0)
                g_byte_array_append(file, fixture->trailing, fixture->trailing_size);
        return file;
}

GByteArray *pe_fixture_stub(void) {
        static const uint8_t code[] = {0x31, 0xc0, 0xc3}; /* xor %eax,%eax; ret */
        static const char data[] = "lanza test stub";
        static const char sbat[] = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n";
        const PeFixtureSection sections[] = {
                {".text", code, sizeof(code), 0x60000020},
                {".data", data, sizeof(data), 0xc0000040},
                {".sbat", sbat, sizeof(sbat) - 1, 0x40000040},
        };

        return pe_fixture_build(&(PeFixture){
                .free_headers = 16,
                .sections = sections,
                .n_sections = G_N_ELEMENTS(sections),
        });
}
