/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A view of a PE image whose headers have been checked (PE/COFF specification; the checks are those of a UEFI loader,
 * so that what is accepted here is loadable there and the other way round). Either the whole file is in memory, or only
 * its headers were read from a descriptor: an image may embed hundreds of megabytes that nobody wants to see. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/buffer.h"
#include "daemon/util/span.h"

/* Windows' loader accepts no more sections, and neither do we. */
enum { PE_SECTIONS_MAX = 96, PE_SECTION_NAME_SIZE = 8 };

/* What an image is built for (PE/COFF specification, "Machine Types"). Others are kept as they are. */
enum {
        PE_MACHINE_I386 = 0x014c,
        PE_MACHINE_ARM = 0x01c2,
        PE_MACHINE_RISCV64 = 0x5064,
        PE_MACHINE_LOONGARCH64 = 0x6264,
        PE_MACHINE_X64 = 0x8664,
        PE_MACHINE_AARCH64 = 0xaa64,
};

typedef struct PeSection {
        char name[PE_SECTION_NAME_SIZE + 1]; /* NUL-terminated; any bytes before */
        uint32_t virtual_address;
        uint32_t virtual_size;
        uint32_t raw_offset; /* meaningless where raw_size is 0; else raw_size bytes from here are inside the file */
        uint32_t raw_size;
        uint32_t characteristics;
} PeSection;

/* Owns nothing: it can be copied, and lives as long as FILE's bytes. */
typedef struct PeImage {
        Span file;          /* the whole file; empty if only headers were read */
        uint64_t file_size; /* in either case */
        uint16_t machine;
        bool is_pe32_plus;
        uint16_t subsystem;
        uint16_t dll_characteristics;
        uint32_t section_alignment;
        uint32_t file_alignment;
        uint32_t size_of_image;
        uint32_t size_of_headers;
        uint32_t size_of_initialized_data;
        uint32_t symbol_table; /* file offset of a COFF symbol table, 0 if there is none */
        uint32_t checksum;
        uint32_t certificates_offset; /* the certificate table, inside the file; */
        uint32_t certificates_size;   /* 0 if there is none */

        /* File offsets of what is written or left out of digests. */
        uint32_t coff_offset;                   /* file header, behind "PE\0\0" */
        uint32_t optional_offset;               /* optional header */
        uint32_t certificates_directory_offset; /* data directory 4, 8 bytes; 0 if the header has none */
        uint32_t section_table_offset;

        size_t n_sections;
        PeSection sections[PE_SECTIONS_MAX];
} PeImage;

/* Checks the headers of a whole file in memory. Returns -EBADMSG for anything that a UEFI loader would not load:
 * offsets outside the file, more sections than the maximum, headers that contradict each other. Stricter than firmware
 * only where the PE header begins above 64 KiB. */
int pe_image_parse(Span file, PeImage *ret);

/* The same for an open regular file, of which only the headers are read. FD stays the caller's. Further errors are
 * those of file_size_fd() and file_read_at(). */
int pe_image_read(int fd, PeImage *ret);

/* The one section with this name. Returns -ENOENT if there is none, -ENOTUNIQ if there are several. Borrowed. */
int pe_image_find_section(const PeImage *image, const char *name, const PeSection **ret);

/* The content of a section of a whole image: exactly its VirtualSize bytes. Returns the errors of
 * pe_image_find_section(), and -EBADMSG if VirtualSize is above SizeOfRawData (a content that is only in part in the
 * file is no use of ours). The span may be empty. */
int pe_image_section(const PeImage *image, const char *name, Span *ret);

/* The same for an image of which only headers were read, from the descriptor that they were read from. Returns -EFBIG
 * above MAXIMUM bytes. The caller owns RET. */
int pe_image_read_section(const PeImage *image, int fd, const char *name, size_t maximum, Buffer *ret);

/* The certificate table: of a whole image borrowed, else read like a section. Returns -ENOENT if there is none. */
int pe_image_certificates(const PeImage *image, Span *ret);
int pe_image_read_certificates(const PeImage *image, int fd, size_t maximum, Buffer *ret);
