/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/pages.h"

enum {
        PAGE = 4096, /* UEFI's, whatever the CPU's is */
};

EFI_STATUS pages_allocate(EFI_MEMORY_TYPE type, size_t size, size_t alignment, const char *what, Pages *ret,
                          Text *why) {
        size_t slack = alignment > PAGE ? alignment - PAGE : 0;
        Pages pages = {.count = (size + slack + PAGE - 1) / PAGE, .size = size};

        EFI_STATUS status = BS->AllocatePages(AllocateAnyPages, type, pages.count, &pages.allocation);
        if (EFI_ERROR(status))
                return fail(why, status,
                            "There is no room in memory for the %s, which takes %u bytes (%s). "
                            "Boot an entry whose files are smaller.",
                            what, (uint64_t)pages.count * PAGE, status_name(status));
        pages.data = (uint8_t *)(uintptr_t)((pages.allocation + slack) / alignment * alignment);

        *ret = pages;
        return EFI_SUCCESS;
}

void pages_free(Pages *pages) {
        if (pages->count > 0)
                BS->FreePages(pages->allocation, pages->count);
        *pages = (Pages){};
}
