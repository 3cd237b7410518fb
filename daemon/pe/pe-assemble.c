/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two passes: the first lays out (and refuses), the second writes, into a buffer that has its final size from the
 * beginning: every byte is copied once, and nothing is undone. The sections must lie in the file without gaps, because
 * programs disagree on how a digest treats what is between sections. */

#include "daemon/pe/pe-assemble.h"

#include <errno.h>
#include <string.h>

#include "daemon/pe/pe-format.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/file.h"
#include "stubs/stub-abi.h"

enum {
        ALIGNMENT_MAX = 1024 * 1024,
        SIGNATURE_ROOM = 8 * 1024, /* more than RSA-4096 with its certificate takes */
};

typedef struct Layout {
        PeImage stub;
        uint64_t file_end;    /* of what is laid out so far */
        uint64_t virtual_end; /* the same in memory */
        uint64_t size_of_initialized_data;
        size_t n_sections; /* new ones */
        PeSection sections[PE_SECTIONS_MAX];
} Layout;

static bool is_alignment(uint32_t value) {
        return value > 0 && value <= ALIGNMENT_MAX && (value & (value - 1)) == 0;
}

static bool is_zero(Span span) {
        for (size_t i = 0; i < span.size; i++)
                if (span.data[i] != 0)
                        return false;
        return true;
}

/* Where the stub's sections end. Behind may be a signature, and zeros that pad to it, and nothing else. */
static int measure_stub(Layout *layout) {
        const PeImage *stub = &layout->stub;
        uint64_t end = stub->file_size;
        Span padding;
        int r;

        layout->file_end = stub->size_of_headers;
        layout->virtual_end = stub->size_of_headers;
        for (size_t i = 0; i < stub->n_sections; i++) {
                const PeSection *section = &stub->sections[i];
                const uint64_t file_end = (uint64_t)section->raw_offset + section->raw_size;
                const uint32_t memory_size = section->virtual_size > 0 ? section->virtual_size : section->raw_size;
                const uint64_t virtual_end = (uint64_t)section->virtual_address + memory_size;

                if (section->raw_size > 0 && file_end > layout->file_end)
                        layout->file_end = file_end;
                if (virtual_end > layout->virtual_end)
                        layout->virtual_end = virtual_end;
        }
        layout->size_of_initialized_data = stub->size_of_initialized_data;

        if (layout->file_end % stub->file_alignment != 0)
                return -EBADMSG;
        if (stub->certificates_size > 0) {
                if ((uint64_t)stub->certificates_offset + stub->certificates_size != end)
                        return -EBADMSG;
                end = stub->certificates_offset;
        }
        if (end < layout->file_end || end - layout->file_end >= CERTIFICATE_ALIGNMENT)
                return -EBADMSG;
        r = span_slice(stub->file, layout->file_end, end - layout->file_end, &padding);
        if (r < 0)
                return r;
        return is_zero(padding) ? 0 : -EBADMSG;
}

static int check_header_room(const PeImage *stub, size_t n_sections) {
        const uint64_t table_end = stub->section_table_offset + stub->n_sections * SECTION_HEADER_SIZE;
        const uint64_t needed = n_sections * SECTION_HEADER_SIZE;
        Span room;
        int r;

        if (n_sections > PE_SECTIONS_MAX - stub->n_sections)
                return -E2BIG;
        if (needed > stub->size_of_headers - table_end)
                return -ENOSPC;
        r = span_slice(stub->file, table_end, needed, &room);
        if (r < 0)
                return r;
        return is_zero(room) ? 0 : -ENOSPC;
}

static int set_name(const Layout *layout, const char *name, PeSection *section) {
        const PeSection *found;
        const size_t length = strlen(name);

        if (length == 0 || length > PE_SECTION_NAME_SIZE)
                return -EINVAL;
        if (pe_image_find_section(&layout->stub, name, &found) != -ENOENT)
                return -EEXIST;
        for (size_t i = 0; i < layout->n_sections; i++)
                if (strcmp(layout->sections[i].name, name) == 0)
                        return -EEXIST;
        memcpy(section->name, name, length);
        return 0;
}

static int lay_out(Layout *layout, const PeNewSection *new) {
        const uint64_t raw_size = pe_align(new->content.size, layout->stub.file_alignment);
        const uint64_t virtual_address = pe_align(layout->virtual_end, layout->stub.section_alignment);
        PeSection section = {.characteristics = LANZA_SECTION_CHARACTERISTICS};
        int r;

        if (new->content.size == 0)
                return -EINVAL;
        r = set_name(layout, new->name, &section);
        if (r < 0)
                return r;
        if (new->content.size > UINT32_MAX || layout->file_end + raw_size > UINT32_MAX ||
            pe_align(virtual_address + new->content.size, layout->stub.section_alignment) > UINT32_MAX ||
            layout->size_of_initialized_data + raw_size > UINT32_MAX)
                return -EFBIG;

        section.virtual_address = virtual_address;
        section.virtual_size = new->content.size;
        section.raw_offset = layout->file_end;
        section.raw_size = raw_size;
        layout->file_end += raw_size;
        layout->virtual_end = virtual_address + new->content.size;
        layout->size_of_initialized_data += raw_size;
        layout->sections[layout->n_sections++] = section;
        return 0;
}

static void write_section_header(const PeSection *section, uint8_t *header) {
        memcpy(header, section->name, PE_SECTION_NAME_SIZE);
        pe_write_u32(header, SECTION_VIRTUAL_SIZE, section->virtual_size);
        pe_write_u32(header, SECTION_VIRTUAL_ADDRESS, section->virtual_address);
        pe_write_u32(header, SECTION_SIZE_OF_RAW_DATA, section->raw_size);
        pe_write_u32(header, SECTION_POINTER_TO_RAW_DATA, section->raw_offset);
        pe_write_u32(header, SECTION_CHARACTERISTICS, section->characteristics);
}

static void write_headers(const Layout *layout, Buffer *file) {
        const PeImage *stub = &layout->stub;
        uint8_t *optional = file->data + stub->optional_offset;
        uint8_t *header = file->data + stub->section_table_offset + stub->n_sections * SECTION_HEADER_SIZE;

        for (size_t i = 0; i < layout->n_sections; i++)
                write_section_header(&layout->sections[i], header + i * SECTION_HEADER_SIZE);
        pe_write_u16(file->data, stub->coff_offset + COFF_NUMBER_OF_SECTIONS, stub->n_sections + layout->n_sections);
        pe_write_u32(optional, OPTIONAL_SIZE_OF_INITIALIZED_DATA, layout->size_of_initialized_data);
        if (layout->n_sections > 0)
                pe_write_u32(optional, OPTIONAL_SIZE_OF_IMAGE, pe_align(layout->virtual_end, stub->section_alignment));
        if (stub->certificates_directory_offset > 0) {
                pe_write_u32(file->data, stub->certificates_directory_offset, 0);
                pe_write_u32(file->data, stub->certificates_directory_offset + 4, 0);
        }
        pe_write_u32(optional, OPTIONAL_CHECKSUM, 0);
        pe_write_u32(optional, OPTIONAL_CHECKSUM, pe_checksum(buffer_span(file)));
}

static int write_contents(const Layout *layout, const PeNewSection *sections, Span stub_bytes, Buffer *file) {
        int r;

        r = buffer_append(file, stub_bytes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < layout->n_sections; i++) {
                r = buffer_append(file, sections[i].content);
                if (r < 0)
                        return r;
                r = buffer_append_zero(file, layout->sections[i].raw_size - sections[i].content.size);
                if (r < 0)
                        return r;
        }
        return buffer_append_zero(file, pe_align(file->size, CERTIFICATE_ALIGNMENT) - file->size);
}

int pe_assemble(Span stub, const PeNewSection *sections, size_t n_sections, Buffer *ret) {
        _cleanup_(buffer_done) Buffer file = {};
        Layout layout = {};
        uint64_t stub_end;
        int r;

        r = pe_image_parse(stub, &layout.stub);
        if (r < 0)
                return r;
        if (!is_alignment(layout.stub.file_alignment) || !is_alignment(layout.stub.section_alignment))
                return -EBADMSG;
        r = measure_stub(&layout);
        if (r < 0)
                return r;
        stub_end = layout.file_end;
        r = check_header_room(&layout.stub, n_sections);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_sections; i++) {
                r = lay_out(&layout, &sections[i]);
                if (r < 0)
                        return r;
        }

        r = buffer_reserve(&file, layout.file_end + SIGNATURE_ROOM);
        if (r < 0)
                return r;
        r = write_contents(&layout, sections, (Span){stub.data, stub_end}, &file);
        if (r < 0)
                return r;
        write_headers(&layout, &file);

        *ret = TAKE_STRUCT(file);
        return 0;
}

static bool section_equal(const PeSection *a, const PeSection *b) {
        return strcmp(a->name, b->name) == 0 && a->virtual_address == b->virtual_address &&
               a->virtual_size == b->virtual_size && a->raw_offset == b->raw_offset && a->raw_size == b->raw_size &&
               a->characteristics == b->characteristics;
}

/* But for what assembling changes. */
static bool headers_equal(const PeImage *image, const PeImage *stub) {
        if (image->machine != stub->machine || image->subsystem != stub->subsystem ||
            image->dll_characteristics != stub->dll_characteristics ||
            image->section_alignment != stub->section_alignment || image->file_alignment != stub->file_alignment ||
            image->size_of_headers != stub->size_of_headers || image->n_sections < stub->n_sections)
                return false;
        for (size_t i = 0; i < stub->n_sections; i++)
                if (!section_equal(&image->sections[i], &stub->sections[i]))
                        return false;
        return true;
}

int pe_assembled_from(const PeImage *image, int fd, Span stub) {
        _cleanup_(buffer_done) Buffer content = {};
        Layout layout = {};
        size_t size;
        int r;

        if (pe_image_parse(stub, &layout.stub) < 0 || measure_stub(&layout) < 0)
                return 0;
        if (!headers_equal(image, &layout.stub) || image->file_size < layout.file_end)
                return 0;
        size = layout.file_end - layout.stub.size_of_headers;
        r = buffer_append_zero(&content, size);
        if (r >= 0)
                r = file_read_at(fd, layout.stub.size_of_headers, content.data, size);
        if (r < 0)
                return r;
        return memcmp(content.data, stub.data + layout.stub.size_of_headers, size) == 0;
}
