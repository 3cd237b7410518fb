/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A view of a PE32+ image, either as a file or as firmware has loaded it: headers and section table, every offset
 * checked once in pe_view_open(). Microsoft's PE/COFF specification has the names. Functions that can refuse return
 * NULL for success, or why not, as a clause that goes on after the name of the image ("... has no PE header"). */

#include "stubs/bytes.h"

enum {
        PE_MACHINE_X64 = 0x8664,
        PE_MACHINE_AARCH64 = 0xAA64,
        PE_SUBSYSTEM_EFI_APPLICATION = 10,
        PE_SECTIONS_MAX = 96,
};

typedef struct PeSection {
        Bytes name; /* without the NULs that pad it */
        uint32_t virtual_size;
        uint32_t virtual_address;
        uint32_t raw_size;
        uint32_t raw_offset;
        uint32_t characteristics;
} PeSection;

typedef struct PeView {
        Bytes image;
        uint16_t machine;
        uint16_t subsystem;
        uint16_t major_image_version;
        uint32_t entry_point;
        uint32_t section_alignment;
        uint32_t size_of_image;
        uint32_t size_of_headers;
        uint32_t relocations_address; /* the base relocation directory; zero and zero if there is none */
        uint32_t relocations_size;
        Bytes section_table;
        uint16_t section_count;
} PeView;

/* After success: headers and section table lie inside IMAGE and inside SizeOfHeaders; SectionAlignment is a power of
 * two; sections lie behind the headers, inside SizeOfImage, and overlap neither each other nor the headers. What a
 * section has in the file (raw_offset, raw_size) is not checked here: a loaded image has no file. The view lives as
 * long as IMAGE. */
const char *pe_view_open(Bytes image, PeView *ret);

/* How much memory, and at which alignment (a power of two), a file asks for that begins with START; 0 if that is not to
 * be seen there, and then *ret_alignment is left. Nothing that follows from it is checked. */
uint32_t pe_view_guess_memory(Bytes start, uint32_t *ret_alignment);

/* INDEX below section_count. */
PeSection pe_view_section(const PeView *view, uint16_t index);

/* How many bytes a section takes in memory: its VirtualSize or, where that is zero, its SizeOfRawData. */
uint32_t pe_section_memory_size(const PeSection *section);

/* The first section of that name, and the number of such sections; with 0, *ret is left. */
unsigned pe_view_find(const PeView *view, const char *name, PeSection *ret);
