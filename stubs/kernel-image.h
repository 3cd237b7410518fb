/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Linux kernel as a PE file, to be placed in memory by ourselves: firmware's own loader would ask for a signature,
 * and this one is trusted by its hash. The file is still checked as if it were hostile. */

#include "stubs/pe-view.h"

typedef struct KernelImage {
        PeView pe;
        uint32_t memory_size; /* bytes that kernel_image_place() fills */
        uint32_t alignment;   /* of the memory: a power of two, at least a page, at most 2 MiB */
} KernelImage;

/* Checks that FILE is an EFI application for MACHINE that can be placed at any address: sections inside the file, entry
 * point inside a section, sections in ascending order, no relocations. Returns NULL, or why not (see pe-view.h). *ret
 * lives as long as FILE. */
const char *kernel_image_open(Bytes file, uint16_t machine, KernelImage *ret);

/* Whether this kernel knows the LoadFile2 protocol for initrds (Linux 5.8): its PE header says so for this very
 * purpose. */
bool kernel_image_loads_initrd(const PeView *pe);

/* Whether each section has its place in memory no further to the front than in the file. Then MEMORY in
 * kernel_image_place() may be where the file is. */
bool kernel_image_fits_in_place(const KernelImage *kernel);

/* Fills the kernel's memory_size bytes at MEMORY: headers, sections, and zeros everywhere else. */
void kernel_image_place(const KernelImage *kernel, uint8_t *memory);

/* The memory to read a kernel of FILE_SIZE bytes to that begins with START, so that it can most likely be placed there;
 * at least FILE_SIZE, at most LANZA_KERNEL_MAX_BYTES. START is not trusted yet: the answer may be wrong. */
size_t kernel_image_guess_room(Bytes start, size_t file_size, size_t *ret_alignment);
