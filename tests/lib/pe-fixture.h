/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small PE images made from a description, without a compiler: what tests parse, sign, and break. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct PeFixtureSection {
        const char *name; /* up to 8 bytes */
        const void *content;
        size_t size; /* VirtualSize; in the file rounded up to the file alignment, zero-padded */
        uint32_t characteristics;
} PeFixtureSection;

/* Zero means the usual: x64, PE32+, 16 data directories, alignments 512 and 4096. */
typedef struct PeFixture {
        bool pe32;
        uint16_t machine;
        unsigned n_directories;
        uint32_t file_alignment;
        uint32_t section_alignment;
        unsigned free_headers; /* room for more section headers, in any case rounded up to the file alignment */
        const PeFixtureSection *sections;
        unsigned n_sections;
        const void *trailing; /* behind the last section */
        size_t trailing_size;
} PeFixture;

/* Where things are in the images that these functions make. */
enum {
        PE_FIXTURE_COFF = 0x84,
        PE_FIXTURE_OPTIONAL = PE_FIXTURE_COFF + 20,
        PE_FIXTURE_CHECKSUM = PE_FIXTURE_OPTIONAL + 64,
        PE_FIXTURE_DIRECTORIES = PE_FIXTURE_OPTIONAL + 112, /* PE32+; with PE32 16 less */
        PE_FIXTURE_CERTIFICATES = PE_FIXTURE_DIRECTORIES + 4 * 8,
        PE_FIXTURE_SECTIONS = PE_FIXTURE_DIRECTORIES + 16 * 8, /* with 16 directories */
};

/* Owned by the caller (g_byte_array_unref). The checksum field is 0. */
GByteArray *pe_fixture_build(const PeFixture *fixture);

/* An EFI application for x64 that returns EFI_SUCCESS, with room for 16 more sections: .text, .data and .sbat. Like
 * pe_fixture_build(). */
GByteArray *pe_fixture_stub(void);

/* Little-endian access, for breaking an image in one place. */
uint32_t pe_fixture_get32(const GByteArray *file, size_t offset);
void pe_fixture_set16(GByteArray *file, size_t offset, uint16_t value);
void pe_fixture_set32(GByteArray *file, size_t offset, uint32_t value);
