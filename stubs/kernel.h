/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts Linux. If that works, neither function ever returns. */

#include "stubs/command-line.h"
#include "stubs/pages.h"

/* What both ways need to know. */
typedef struct KernelStart {
        EFI_HANDLE image;               /* our own */
        EFI_LOADED_IMAGE *loaded_image; /* of ourselves */
        Bytes name;                     /* of the kernel, for messages */
        Bytes path;                     /* of the kernel's file, valid; not needed for a trusted one */
        Bytes file;                     /* its content */
        const Pages *pages;             /* that FILE begins, and that may be written to; empty if there are none */
        bool needs_initrd;
        CommandLine *command_line;
} KernelStart;

/* A kernel that is known to be good, by its hash or because it is embedded: placed in memory by ourselves, and called
 * as if it were us. */
EFI_STATUS kernel_start_trusted(const KernelStart *start, Text *why);

/* A kernel that firmware shall judge by its signature, against db and dbx, and then load and start. */
EFI_STATUS kernel_start_by_firmware(const KernelStart *start, Text *why);
