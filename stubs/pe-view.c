/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/pe-view.h"

enum {
        /* Offsets and sizes of the PE/COFF specification. */
        DOS_HEADER = 64,
        DOS_PE_OFFSET = 60,
        PE_HEADER = 24, /* signature and COFF file header */
        PE_MACHINE = 4,
        PE_SECTION_COUNT = 6,
        PE_OPTIONAL_SIZE = 20,

        OPTIONAL_HEADER = 112, /* without data directories */
        OPTIONAL_MAGIC = 0,
        OPTIONAL_ENTRY_POINT = 16,
        OPTIONAL_SECTION_ALIGNMENT = 32,
        OPTIONAL_MAJOR_IMAGE_VERSION = 44,
        OPTIONAL_SIZE_OF_IMAGE = 56,
        OPTIONAL_SIZE_OF_HEADERS = 60,
        OPTIONAL_SUBSYSTEM = 68,
        OPTIONAL_DIRECTORY_COUNT = 108,
        MAGIC_PE32_PLUS = 0x20B,

        DIRECTORY = 8,
        DIRECTORY_RELOCATIONS = 5,

        SECTION_HEADER = 40,
        SECTION_NAME = 8,
};

static const char *read_optional_header(Bytes header, PeView *view) {
        Bytes directory;

        if (header.size < OPTIONAL_HEADER || read_u16(header.data + OPTIONAL_MAGIC) != MAGIC_PE32_PLUS)
                return "is not a 64-bit PE image (PE32+)";
        uint32_t directories = read_u32(header.data + OPTIONAL_DIRECTORY_COUNT);
        if (directories > (header.size - OPTIONAL_HEADER) / DIRECTORY)
                return "has data directories outside its optional header";

        view->entry_point = read_u32(header.data + OPTIONAL_ENTRY_POINT);
        view->section_alignment = read_u32(header.data + OPTIONAL_SECTION_ALIGNMENT);
        view->major_image_version = read_u16(header.data + OPTIONAL_MAJOR_IMAGE_VERSION);
        view->size_of_image = read_u32(header.data + OPTIONAL_SIZE_OF_IMAGE);
        view->size_of_headers = read_u32(header.data + OPTIONAL_SIZE_OF_HEADERS);
        view->subsystem = read_u16(header.data + OPTIONAL_SUBSYSTEM);
        if (directories > DIRECTORY_RELOCATIONS &&
            bytes_slice(header, OPTIONAL_HEADER + DIRECTORY_RELOCATIONS * DIRECTORY, DIRECTORY, &directory)) {
                view->relocations_address = read_u32(directory.data);
                view->relocations_size = read_u32(directory.data + 4);
        }

        if (view->section_alignment == 0 || (view->section_alignment & (view->section_alignment - 1)) != 0)
                return "has a section alignment that is not a power of two";
        return NULL;
}

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
        return a_size > 0 && b_size > 0 && a < b + b_size && b < a + a_size;
}

static const char *check_sections(const PeView *view) {
        for (uint16_t i = 0; i < view->section_count; i++) {
                PeSection section = pe_view_section(view, i);
                uint64_t size = pe_section_memory_size(&section);
                if (size > view->size_of_image || section.virtual_address > view->size_of_image - size)
                        return "has a section outside its memory image";
                if (ranges_overlap(0, view->size_of_headers, section.virtual_address, size))
                        return "has a section that overlaps its headers";
                for (uint16_t j = 0; j < i; j++) {
                        PeSection other = pe_view_section(view, j);
                        if (ranges_overlap(section.virtual_address, size, other.virtual_address,
                                           pe_section_memory_size(&other)))
                                return "has sections that overlap";
                }
        }
        return NULL;
}

/* *RET_END is where the section table begins. */
static const char *read_headers(Bytes image, PeView *view, uint64_t *ret_end) {
        Bytes dos, pe, optional;

        if (!bytes_slice(image, 0, DOS_HEADER, &dos) || !bytes_start_with(dos, "MZ"))
                return "is not a PE image (no MZ header)";
        uint64_t offset = read_u32(dos.data + DOS_PE_OFFSET);
        if (!bytes_slice(image, offset, PE_HEADER, &pe) || read_u32(pe.data) != 0x00004550 /* "PE", NUL, NUL */)
                return "is not a PE image (no PE header)";
        view->machine = read_u16(pe.data + PE_MACHINE);
        view->section_count = read_u16(pe.data + PE_SECTION_COUNT);

        offset += PE_HEADER;
        if (!bytes_slice(image, offset, read_u16(pe.data + PE_OPTIONAL_SIZE), &optional))
                return "is cut off in its PE header";

        *ret_end = offset + optional.size;
        return read_optional_header(optional, view);
}

uint32_t pe_view_guess_memory(Bytes start, uint32_t *ret_alignment) {
        PeView view = {};
        uint64_t end;

        if (read_headers(start, &view, &end))
                return 0;

        *ret_alignment = view.section_alignment;
        return view.size_of_image;
}

const char *pe_view_open(Bytes image, PeView *ret) {
        PeView view = {.image = image};
        uint64_t offset;

        const char *wrong = read_headers(image, &view, &offset);
        if (wrong)
                return wrong;
        if (view.section_count == 0 || view.section_count > PE_SECTIONS_MAX)
                return "has no sections, or more than 96";
        if (!bytes_slice(image, offset, (uint64_t)view.section_count * SECTION_HEADER, &view.section_table))
                return "is cut off in its section table";
        if (view.size_of_headers < offset + view.section_table.size || view.size_of_headers > image.size ||
            view.size_of_headers > view.size_of_image)
                return "states an impossible size of its headers";
        wrong = check_sections(&view);
        if (wrong)
                return wrong;

        *ret = view;
        return NULL;
}

PeSection pe_view_section(const PeView *view, uint16_t index) {
        const uint8_t *header = view->section_table.data + (size_t)index * SECTION_HEADER;
        size_t name_size = 0;

        while (name_size < SECTION_NAME && header[name_size] != 0)
                name_size++;
        return (PeSection){
                .name = {header, name_size},
                .virtual_size = read_u32(header + 8),
                .virtual_address = read_u32(header + 12),
                .raw_size = read_u32(header + 16),
                .raw_offset = read_u32(header + 20),
                .characteristics = read_u32(header + 36),
        };
}

uint32_t pe_section_memory_size(const PeSection *section) {
        return section->virtual_size > 0 ? section->virtual_size : section->raw_size;
}

unsigned pe_view_find(const PeView *view, const char *name, PeSection *ret) {
        PeSection found = {};
        unsigned count = 0;

        for (uint16_t i = 0; i < view->section_count; i++) {
                PeSection section = pe_view_section(view, i);
                if (!bytes_equal(section.name, bytes_from_string(name)))
                        continue;
                if (count++ == 0)
                        found = section;
        }

        if (count > 0)
                *ret = found;
        return count;
}
