/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All numbers in the headers are read with Span's checked accessors into PeImage, and compared there in 64 bits; from
 * then on nobody looks at the raw headers again. The checks are edk2's (BasePeCoffLib, DxeImageVerificationLib), and
 * the limit of 96 sections is Windows'. */

#include "daemon/pe/pe-image.h"

#include <errno.h>
#include <string.h>

#include "daemon/pe/pe-format.h"
#include "daemon/util/file.h"

enum {
        HEADER_OFFSET_MAX = 64 * 1024, /* of the PE header */
        HEADERS_READ_FIRST = 4096,     /* enough for every image that a usual linker makes */
        HEADERS_READ_MAX = 128 * 1024, /* enough for the largest headers that are accepted */
};

static int parse_coff(Span headers, PeImage *image, uint16_t *ret_optional_size) {
        static const uint8_t mz[] = {'M', 'Z'}, pe[] = {'P', 'E', 0, 0};
        uint16_t n_sections;
        uint32_t lfanew;
        Span signature;
        int r;

        if (headers.size < DOS_HEADER_SIZE || !span_starts_with(headers, (Span){mz, sizeof(mz)}))
                return -EBADMSG;
        r = span_u32(headers, DOS_LFANEW, &lfanew);
        if (r < 0)
                return r;
        r = span_slice(headers, lfanew, sizeof(pe), &signature);
        if (r < 0)
                return r;
        if (!span_equal(signature, (Span){pe, sizeof(pe)}) || lfanew > HEADER_OFFSET_MAX)
                return -EBADMSG;

        image->coff_offset = lfanew + sizeof(pe);
        image->optional_offset = image->coff_offset + COFF_HEADER_SIZE;
        r = span_u16(headers, (uint64_t)image->coff_offset + COFF_MACHINE, &image->machine);
        if (r < 0)
                return r;
        r = span_u16(headers, (uint64_t)image->coff_offset + COFF_NUMBER_OF_SECTIONS, &n_sections);
        if (r < 0)
                return r;
        r = span_u32(headers, (uint64_t)image->coff_offset + COFF_POINTER_TO_SYMBOL_TABLE, &image->symbol_table);
        if (r < 0)
                return r;
        r = span_u16(headers, (uint64_t)image->coff_offset + COFF_SIZE_OF_OPTIONAL_HEADER, ret_optional_size);
        if (r < 0)
                return r;
        if (n_sections > PE_SECTIONS_MAX)
                return -EBADMSG;

        image->n_sections = n_sections;
        return 0;
}

/* The fields that PE32 and PE32+ have at the same places. */
static int parse_optional_fields(Span optional, PeImage *image) {
        const struct {
                uint32_t offset;
                uint32_t *value;
        } fields[] = {
                {OPTIONAL_SIZE_OF_INITIALIZED_DATA, &image->size_of_initialized_data},
                {OPTIONAL_SECTION_ALIGNMENT, &image->section_alignment},
                {OPTIONAL_FILE_ALIGNMENT, &image->file_alignment},
                {OPTIONAL_SIZE_OF_IMAGE, &image->size_of_image},
                {OPTIONAL_SIZE_OF_HEADERS, &image->size_of_headers},
                {OPTIONAL_CHECKSUM, &image->checksum},
        };
        int r;

        for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
                r = span_u32(optional, fields[i].offset, fields[i].value);
                if (r < 0)
                        return r;
        }
        r = span_u16(optional, OPTIONAL_SUBSYSTEM, &image->subsystem);
        if (r < 0)
                return r;
        return span_u16(optional, OPTIONAL_DLL_CHARACTERISTICS, &image->dll_characteristics);
}

static int parse_certificates_directory(Span optional, uint32_t directories_offset, PeImage *image) {
        const uint32_t offset = directories_offset + DIRECTORY_CERTIFICATES * DIRECTORY_SIZE;
        int r;

        r = span_u32(optional, offset, &image->certificates_offset);
        if (r < 0)
                return r;
        r = span_u32(optional, offset + 4, &image->certificates_size);
        if (r < 0)
                return r;
        image->certificates_directory_offset = image->optional_offset + offset;
        if (image->certificates_size == 0) {
                image->certificates_offset = 0;
                return 0;
        }
        if ((uint64_t)image->certificates_offset + image->certificates_size > image->file_size)
                return -EBADMSG;
        return 0;
}

static int parse_optional(Span optional, PeImage *image) {
        uint32_t n_directories, directories_offset;
        uint16_t magic;
        int r;

        r = span_u16(optional, OPTIONAL_MAGIC, &magic);
        if (r < 0)
                return r;
        if (magic != MAGIC_PE32 && magic != MAGIC_PE32_PLUS)
                return -EBADMSG;
        image->is_pe32_plus = magic == MAGIC_PE32_PLUS;
        r = parse_optional_fields(optional, image);
        if (r < 0)
                return r;

        directories_offset = image->is_pe32_plus ? 112 : 96;
        r = span_u32(optional, directories_offset - 4, &n_directories);
        if (r < 0)
                return r;
        if (n_directories > DIRECTORIES_MAX || optional.size != directories_offset + n_directories * DIRECTORY_SIZE)
                return -EBADMSG;
        if (n_directories <= DIRECTORY_CERTIFICATES)
                return 0;
        return parse_certificates_directory(optional, directories_offset, image);
}

static int check_sizes(const PeImage *image) {
        const uint64_t table_end = image->section_table_offset + image->n_sections * SECTION_HEADER_SIZE;

        if (image->size_of_headers < table_end || image->size_of_headers > image->file_size)
                return -EBADMSG;
        if (image->size_of_headers >= image->size_of_image)
                return -EBADMSG;
        return 0;
}

static int parse_section(Span headers, const PeImage *image, size_t index, PeSection *ret) {
        PeSection section = {};
        Span header;
        int r;

        r = span_slice(headers, image->section_table_offset + index * SECTION_HEADER_SIZE, SECTION_HEADER_SIZE,
                       &header);
        if (r < 0)
                return r;
        const struct {
                uint32_t offset;
                uint32_t *value;
        } fields[] = {
                {SECTION_VIRTUAL_SIZE, &section.virtual_size},
                {SECTION_VIRTUAL_ADDRESS, &section.virtual_address},
                {SECTION_SIZE_OF_RAW_DATA, &section.raw_size},
                {SECTION_POINTER_TO_RAW_DATA, &section.raw_offset},
                {SECTION_CHARACTERISTICS, &section.characteristics},
        };
        memcpy(section.name, header.data, PE_SECTION_NAME_SIZE);
        for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
                r = span_u32(header, fields[i].offset, fields[i].value);
                if (r < 0)
                        return r;
        }

        if ((uint64_t)section.virtual_address + section.virtual_size > image->size_of_image)
                return -EBADMSG;
        if (section.raw_size > 0) {
                if ((uint64_t)section.raw_offset + section.raw_size > image->file_size)
                        return -EBADMSG;
                if (section.raw_offset < image->size_of_headers || section.virtual_address < image->size_of_headers)
                        return -EBADMSG;
        }

        *ret = section;
        return 0;
}

/* HEADERS is the beginning of a file of FILE_SIZE bytes: if it is too short for the headers, that is -EBADMSG too. */
static int parse_headers(Span headers, uint64_t file_size, PeImage *ret) {
        PeImage image = {.file_size = file_size};
        uint16_t optional_size;
        Span optional;
        int r;

        r = parse_coff(headers, &image, &optional_size);
        if (r < 0)
                return r;
        r = span_slice(headers, image.optional_offset, optional_size, &optional);
        if (r < 0)
                return r;
        image.section_table_offset = image.optional_offset + optional_size;
        r = parse_optional(optional, &image);
        if (r < 0)
                return r;
        r = check_sizes(&image);
        if (r < 0)
                return r;
        for (size_t i = 0; i < image.n_sections; i++) {
                r = parse_section(headers, &image, i, &image.sections[i]);
                if (r < 0)
                        return r;
        }

        *ret = image;
        return 0;
}

int pe_image_parse(Span file, PeImage *ret) {
        int r = parse_headers(file, file.size, ret);

        if (r < 0)
                return r;
        ret->file = file;
        return 0;
}

static int read_and_parse(int fd, uint64_t file_size, size_t headers_size, PeImage *ret) {
        _cleanup_(buffer_done) Buffer headers = {};
        int r;

        if (headers_size > file_size)
                headers_size = file_size;
        r = buffer_append_zero(&headers, headers_size);
        if (r < 0)
                return r;
        r = file_read_at(fd, /* offset= */ 0, headers.data, headers_size);
        if (r < 0)
                return r;
        return parse_headers(buffer_span(&headers), file_size, ret);
}

int pe_image_read(int fd, PeImage *ret) {
        uint64_t file_size;
        int r;

        r = file_size_fd(fd, &file_size);
        if (r < 0)
                return r;
        r = read_and_parse(fd, file_size, HEADERS_READ_FIRST, ret);
        if (r == -EBADMSG && file_size > HEADERS_READ_FIRST)
                r = read_and_parse(fd, file_size, HEADERS_READ_MAX, ret);
        return r;
}

int pe_image_find_section(const PeImage *image, const char *name, const PeSection **ret) {
        const PeSection *found = NULL;

        for (size_t i = 0; i < image->n_sections; i++) {
                if (strcmp(image->sections[i].name, name) != 0)
                        continue;
                if (found)
                        return -ENOTUNIQ;
                found = &image->sections[i];
        }
        if (!found)
                return -ENOENT;

        *ret = found;
        return 0;
}

static int find_content(const PeImage *image, const char *name, const PeSection **ret) {
        const PeSection *section;
        int r;

        r = pe_image_find_section(image, name, &section);
        if (r < 0)
                return r;
        if (section->virtual_size > section->raw_size)
                return -EBADMSG;
        *ret = section;
        return 0;
}

int pe_image_section(const PeImage *image, const char *name, Span *ret) {
        const PeSection *section;
        int r;

        r = find_content(image, name, &section);
        if (r < 0)
                return r;
        if (section->virtual_size == 0) {
                *ret = (Span){};
                return 0;
        }
        return span_slice(image->file, section->raw_offset, section->virtual_size, ret);
}

static int read_part(int fd, uint64_t offset, size_t size, size_t maximum, Buffer *ret) {
        _cleanup_(buffer_done) Buffer buffer = {};
        int r;

        if (size > maximum)
                return -EFBIG;
        r = buffer_append_zero(&buffer, size);
        if (r < 0)
                return r;
        if (size > 0) {
                r = file_read_at(fd, offset, buffer.data, size);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_STRUCT(buffer);
        return 0;
}

int pe_image_read_section(const PeImage *image, int fd, const char *name, size_t maximum, Buffer *ret) {
        const PeSection *section;
        int r;

        r = find_content(image, name, &section);
        if (r < 0)
                return r;
        return read_part(fd, section->raw_offset, section->virtual_size, maximum, ret);
}

int pe_image_certificates(const PeImage *image, Span *ret) {
        if (image->certificates_size == 0)
                return -ENOENT;
        return span_slice(image->file, image->certificates_offset, image->certificates_size, ret);
}

int pe_image_read_certificates(const PeImage *image, int fd, size_t maximum, Buffer *ret) {
        if (image->certificates_size == 0)
                return -ENOENT;
        return read_part(fd, image->certificates_offset, image->certificates_size, maximum, ret);
}
