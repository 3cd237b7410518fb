/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whole pages of memory from the firmware, owned. */

#include "stubs/efi.h"

typedef struct Pages {
        EFI_PHYSICAL_ADDRESS allocation; /* what firmware gave, and gets back */
        UINTN count;                     /* 0: nothing is owned */
        uint8_t *data;                   /* aligned as asked, inside the allocation */
        size_t size;                     /* as asked */
} Pages;

/* At least SIZE bytes (more than 0) at an address that ALIGNMENT, a power of two, divides. WHAT is for the message. */
EFI_STATUS pages_allocate(EFI_MEMORY_TYPE type, size_t size, size_t alignment, const char *what, Pages *ret, Text *why);

void pages_free(Pages *pages);

static inline Bytes pages_bytes(const Pages *pages) {
        return (Bytes){pages->data, pages->size};
}
