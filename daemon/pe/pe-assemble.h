/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Builds a boot image in memory: a stub with sections appended, as stubs/stub-abi.h describes. */

#include <stddef.h>

#include "daemon/pe/pe-image.h"
#include "daemon/util/buffer.h"
#include "daemon/util/span.h"

typedef struct PeNewSection {
        const char *name; /* 1 to 8 bytes */
        Span content;     /* at least one byte */
} PeNewSection;

/* Appends SECTIONS, in their order, to a copy of STUB: read-only initialised data, in file and memory behind everything
 * that is there; SizeOfImage, SizeOfInitializedData, NumberOfSections and CheckSum follow. A signature that the stub
 * has is dropped. The result is a multiple of 8 bytes long, and there is room in the buffer for a signature. The same
 * input gives the same bytes.
 *
 * Returns -EBADMSG if STUB is no PE image or carries data behind its last section, -EINVAL for a section without name
 * or content, -EEXIST for a name that is there already or given twice, -ENOSPC if STUB has no room for the section
 * headers, -E2BIG for more sections than a PE image may have, -EFBIG if the image would not fit PE's 32-bit sizes. The
 * caller owns RET. */
int pe_assemble(Span stub, const PeNewSection *sections, size_t n_sections, Buffer *ret);

/* Whether IMAGE, whose headers were read from FD, is STUB with sections appended: 1, or 0, also for a STUB that is
 * none. Reads as many bytes as the stub has. Errors are those of file_read_at(). */
int pe_assembled_from(const PeImage *image, int fd, Span stub);
