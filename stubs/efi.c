/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/efi.h"

EFI_SYSTEM_TABLE *ST;
EFI_BOOT_SERVICES *BS;
EFI_RUNTIME_SERVICES *RT;

EFI_STATUS fail(Text *why, EFI_STATUS status, const char *format, ...) {
        __builtin_va_list arguments;

        __builtin_va_start(arguments, format);
        text_append_list(why, format, arguments);
        __builtin_va_end(arguments);
        return status;
}

const char *status_name(EFI_STATUS status) {
        switch (status) {
        case EFI_SUCCESS:
                return "success";
        case EFI_LOAD_ERROR:
                return "load error";
        case EFI_INVALID_PARAMETER:
                return "invalid parameter";
        case EFI_UNSUPPORTED:
                return "unsupported";
        case EFI_BUFFER_TOO_SMALL:
                return "buffer too small";
        case EFI_NOT_READY:
                return "not ready";
        case EFI_DEVICE_ERROR:
                return "device error";
        case EFI_WRITE_PROTECTED:
                return "write protected";
        case EFI_OUT_OF_RESOURCES:
                return "out of resources";
        case EFI_VOLUME_CORRUPTED:
                return "volume corrupted";
        case EFI_NO_MEDIA:
                return "no media";
        case EFI_MEDIA_CHANGED:
                return "media changed";
        case EFI_NOT_FOUND:
                return "not found";
        case EFI_ACCESS_DENIED:
                return "access denied";
        case EFI_TIMEOUT:
                return "timeout";
        case EFI_ALREADY_STARTED:
                return "already there";
        case EFI_ABORTED:
                return "aborted";
        case EFI_SECURITY_VIOLATION:
                return "security violation";
        default:
                return "an error without a name";
        }
}
