/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/secure-boot.h"

#include "stubs/efi.h"

bool secure_boot_is_on(void) {
        EFI_GUID vendor = EFI_GLOBAL_VARIABLE;
        UINT8 value = 0;
        UINTN size = sizeof value;

        EFI_STATUS status = RT->GetVariable((CHAR16 *)u"SecureBoot", &vendor, /* Attributes= */ NULL, &size, &value);
        if (status == EFI_NOT_FOUND)
                return false;
        return EFI_ERROR(status) || size != sizeof value || value != 0;
}
