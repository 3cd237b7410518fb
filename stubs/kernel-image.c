/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/kernel-image.h"

enum {
        PAGE = 4096,
        ALIGNMENT_MAX = 2 * 1024 * 1024,
        MEMORY_MAX = 1024 * 1024 * 1024,

        RELOCATION_BLOCK_HEADER = 8,
        RELOCATION_TYPE_SHIFT = 12,
};

/* How many bytes of a section come from the file. Where the file has more, the rest is its padding. */
static uint32_t section_file_size(const PeSection *section) {
        uint32_t memory_size = pe_section_memory_size(section);

        return section->raw_size < memory_size ? section->raw_size : memory_size;
}

static const char *check_sections(const PeView *pe) {
        bool entry_found = false;

        for (uint16_t i = 0; i < pe->section_count; i++) {
                PeSection section = pe_view_section(pe, i);
                Bytes content;
                if (!bytes_slice(pe->image, section.raw_offset, section_file_size(&section), &content))
                        return "is cut off: a section reaches over its end";
                if (section.virtual_address % pe->section_alignment != 0)
                        return "has a section that is not aligned as its header says";
                if (pe->entry_point >= section.virtual_address &&
                    pe->entry_point - section.virtual_address < content.size)
                        entry_found = true;
        }
        return entry_found ? NULL : "has its entry point outside of its sections";
}

/* The content of the base relocation directory. Linux on x86 carries one that only says "nothing to do": older firmware
 * refuses images without. */
static const char *find_relocations(const PeView *pe, Bytes *ret) {
        for (uint16_t i = 0; i < pe->section_count; i++) {
                PeSection section = pe_view_section(pe, i);
                Bytes content;
                if (pe->relocations_address < section.virtual_address ||
                    !bytes_slice(pe->image, section.raw_offset, section_file_size(&section), &content))
                        continue;
                if (bytes_slice(content, pe->relocations_address - section.virtual_address, pe->relocations_size, ret))
                        return NULL;
        }
        return "has its relocations outside of its sections";
}

static const char *check_relocations(const PeView *pe) {
        Bytes relocations, block;
        const char *wrong;

        if (pe->relocations_size == 0)
                return NULL;
        wrong = find_relocations(pe, &relocations);
        if (wrong)
                return wrong;

        for (size_t offset = 0; offset < relocations.size; offset += block.size) {
                if (!bytes_slice(relocations, offset, RELOCATION_BLOCK_HEADER, &block) ||
                    read_u32(block.data + 4) < RELOCATION_BLOCK_HEADER ||
                    !bytes_slice(relocations, offset, read_u32(block.data + 4), &block))
                        return "has damaged relocations";
                for (size_t i = RELOCATION_BLOCK_HEADER; i + 1 < block.size; i += 2)
                        if (read_u16(block.data + i) >> RELOCATION_TYPE_SHIFT != 0)
                                return "needs to be relocated, which no Linux kernel does";
        }
        return NULL;
}

const char *kernel_image_open(Bytes file, uint16_t machine, KernelImage *ret) {
        KernelImage kernel = {};
        const char *wrong;

        wrong = pe_view_open(file, &kernel.pe);
        if (wrong)
                return wrong;
        if (kernel.pe.machine != machine)
                return "is for another CPU architecture";
        if (kernel.pe.subsystem != PE_SUBSYSTEM_EFI_APPLICATION)
                return "is not an EFI application";
        if (kernel.pe.size_of_image > MEMORY_MAX || kernel.pe.section_alignment > ALIGNMENT_MAX)
                return "asks for an unreasonable amount of memory or alignment";
        wrong = check_sections(&kernel.pe);
        if (wrong)
                return wrong;
        wrong = check_relocations(&kernel.pe);
        if (wrong)
                return wrong;

        kernel.memory_size = kernel.pe.size_of_image;
        kernel.alignment = kernel.pe.section_alignment > PAGE ? kernel.pe.section_alignment : PAGE;

        *ret = kernel;
        return NULL;
}

bool kernel_image_loads_initrd(const PeView *pe) {
        return pe->major_image_version >= 1; /* Linux, include/linux/pe.h: LINUX_EFISTUB_MAJOR_VERSION */
}

void kernel_image_place(const KernelImage *kernel, uint8_t *memory) {
        const PeView *pe = &kernel->pe;

        memset(memory, 0, kernel->memory_size);
        memcpy(memory, pe->image.data, pe->size_of_headers);
        for (uint16_t i = 0; i < pe->section_count; i++) {
                PeSection section = pe_view_section(pe, i);
                if (section_file_size(&section) > 0)
                        memcpy(memory + section.virtual_address, pe->image.data + section.raw_offset,
                               section_file_size(&section));
        }
}
