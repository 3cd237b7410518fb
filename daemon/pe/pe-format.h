/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where things stand in a PE file, and little-endian writes. For this folder's files only. PE/COFF specification; the
 * names are its own. */

#include <stdint.h>

#include "daemon/util/span.h"

enum {
        /* from the beginning of the file */
        DOS_LFANEW = 0x3c,
        DOS_HEADER_SIZE = 0x40,

        /* from the COFF file header */
        COFF_MACHINE = 0,
        COFF_NUMBER_OF_SECTIONS = 2,
        COFF_POINTER_TO_SYMBOL_TABLE = 8,
        COFF_SIZE_OF_OPTIONAL_HEADER = 16,
        COFF_HEADER_SIZE = 20,

        /* from the optional header, where PE32 and PE32+ agree */
        OPTIONAL_MAGIC = 0,
        OPTIONAL_SIZE_OF_INITIALIZED_DATA = 8,
        OPTIONAL_SECTION_ALIGNMENT = 32,
        OPTIONAL_FILE_ALIGNMENT = 36,
        OPTIONAL_SIZE_OF_IMAGE = 56,
        OPTIONAL_SIZE_OF_HEADERS = 60,
        OPTIONAL_CHECKSUM = 64,
        OPTIONAL_SUBSYSTEM = 68,
        OPTIONAL_DLL_CHARACTERISTICS = 70,

        MAGIC_PE32 = 0x10b,
        MAGIC_PE32_PLUS = 0x20b,
        DIRECTORIES_MAX = 16,
        DIRECTORY_SIZE = 8,
        DIRECTORY_CERTIFICATES = 4,

        /* from a section header */
        SECTION_VIRTUAL_SIZE = 8,
        SECTION_VIRTUAL_ADDRESS = 12,
        SECTION_SIZE_OF_RAW_DATA = 16,
        SECTION_POINTER_TO_RAW_DATA = 20,
        SECTION_CHARACTERISTICS = 36,
        SECTION_HEADER_SIZE = 40,

        /* from an entry of the certificate table: WIN_CERTIFICATE */
        CERTIFICATE_LENGTH = 0,
        CERTIFICATE_REVISION = 4,
        CERTIFICATE_TYPE = 6,
        CERTIFICATE_HEADER_SIZE = 8,
        CERTIFICATE_ALIGNMENT = 8,

        CERTIFICATE_REVISION_2_0 = 0x0200,
        CERTIFICATE_TYPE_PKCS_SIGNED_DATA = 0x0002,
        CERTIFICATE_TYPE_EFI_GUID = 0x0ef1,
};

void pe_write_u16(uint8_t *file, uint64_t offset, uint16_t value);
void pe_write_u32(uint8_t *file, uint64_t offset, uint32_t value);

/* VALUE rounded up to a multiple of ALIGNMENT, a power of two. */
uint64_t pe_align(uint64_t value, uint64_t alignment);

/* The image checksum of a file whose checksum field is zero: the 16-bit ones' complement sum of all words plus the
 * file's length, as Windows' CheckSumMappedFile computes it. */
uint32_t pe_checksum(Span file);
