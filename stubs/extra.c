/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/extra.h"

#include "stubs/cpio.h"

enum {
        PAGE = 4096,
        FILES_MAX = 4,
};

EFI_STATUS extra_make(const BootImage *image, Pages *ret, Text *why) {
        const CpioFile all[FILES_MAX] = {
                {"os-release", image->os_release},
                {"profile", image->profile},
                {"tpm2-pcr-signature.json", image->pcr_signature},
                {"tpm2-pcr-public-key.pem", image->pcr_public_key},
        };
        CpioFile files[FILES_MAX];
        size_t count = 0;

        for (size_t i = 0; i < FILES_MAX; i++)
                if (all[i].content.size > 0)
                        files[count++] = all[i];
        if (count == 0)
                return EFI_SUCCESS;

        EFI_STATUS status =
                pages_allocate(EfiLoaderData, cpio_size(".extra", files, count), PAGE, "initrd's /.extra", ret, why);
        if (!EFI_ERROR(status))
                cpio_write(".extra", files, count, ret->data);
        return status;
}
