/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* gnu-efi's headers, and the little that the rest of the stub's firmware code shares: the tables, cleanup, and how a
 * failure is told. Only headers are used of gnu-efi: its libraries are ELF. */

#include <efi.h>

#include "stubs/text.h"

/* Set once, first of all, in efi_main(). */
extern EFI_SYSTEM_TABLE *ST;
extern EFI_BOOT_SERVICES *BS;
extern EFI_RUNTIME_SERVICES *RT;

/* Runs FUNCTION(&variable) when the variable's scope ends. */
#define _cleanup_(function) __attribute__((cleanup(function)))

/* Appends a sentence (see text_append) to WHY and returns STATUS: how each function of the stub fails. A sentence names
 * what failed, on which file, why, and the way out. */
EFI_STATUS fail(Text *why, EFI_STATUS status, const char *format, ...);

/* "not found", for "... (not found)" in a sentence */
const char *status_name(EFI_STATUS status);

/* The end of sentences about files that are not what they should be. */
#define BOOT_ANOTHER "Boot another entry, and have this one written anew."
