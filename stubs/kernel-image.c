/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/kernel-image.h"

#include "stubs/stub-abi.h"

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
        uint32_t end = pe->size_of_headers;
        bool entry_found = false;

        for (uint16_t i = 0; i < pe->section_count; i++) {
                PeSection section = pe_view_section(pe, i);
                Bytes content;
                if (!bytes_slice(pe->image, section.raw_offset, section_file_size(&section), &content))
                        return "is cut off: a section reaches over its end";
                if (section.virtual_address % pe->section_alignment != 0)
                        return "has a section that is not aligned as its header says";
                if (section.virtual_address < end)
                        return "has sections that are not in ascending order";
                end = section.virtual_address + pe_section_memory_size(&section);
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

bool kernel_image_fits_in_place(const KernelImage *kernel) {
        uint32_t end = 0;

        for (uint16_t i = 0; i < kernel->pe.section_count; i++) {
                PeSection section = pe_view_section(&kernel->pe, i);
                if (section_file_size(&section) == 0)
                        continue;
                if (section.raw_offset < end || section.raw_offset > section.virtual_address)
                        return false;
                end = section.raw_offset + section_file_size(&section);
        }
        return true;
}

/* The last section goes first: in place, it makes room for the one before it. The headers stay as they are meanwhile.
 */
void kernel_image_place(const KernelImage *kernel, uint8_t *memory) {
        const PeView *pe = &kernel->pe;
        const uint8_t *file = pe->image.data;
        uint32_t end = kernel->memory_size;

        for (uint16_t i = pe->section_count; i-- > 0;) {
                PeSection section = pe_view_section(pe, i);
                uint32_t start = section.virtual_address, size = section_file_size(&section);
                if (size > 0 && memory + start != file + section.raw_offset)
                        memmove(memory + start, file + section.raw_offset, size);
                memset(memory + start + size, 0, end - start - size);
                end = start;
        }
        memset(memory + pe->size_of_headers, 0, end - pe->size_of_headers);
        if (memory != file)
                memcpy(memory, file, pe->size_of_headers);
}

size_t kernel_image_guess_room(Bytes start, size_t file_size, size_t *ret_alignment) {
        uint32_t alignment = PAGE, size = pe_view_guess_memory(start, &alignment);

        *ret_alignment = alignment > PAGE && alignment <= ALIGNMENT_MAX ? alignment : PAGE;
        return size > file_size && size <= LANZA_KERNEL_MAX_BYTES ? size : file_size;
}
