/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The assembler puts the files into read-only data; both gcc's and clang's can. Paths are from the root of the tree,
 * where make runs the compiler; which files these are, daemon/build.mk tells make. */

#include "daemon/firmware/vendor-certificates-data.h"

#define EMBED(name, file)                                                                                              \
        __asm__(".pushsection .rodata\n"                                                                               \
                ".globl vendor_" #name "_start, vendor_" #name "_end\n"                                                \
                ".hidden vendor_" #name "_start\n"                                                                     \
                ".hidden vendor_" #name "_end\n"                                                                       \
                "vendor_" #name "_start:\n"                                                                            \
                ".incbin \"daemon/firmware/vendor/" file "\"\n"                                                        \
                "vendor_" #name "_end:\n"                                                                              \
                ".byte 0\n"                                                                                            \
                ".popsection\n")

EMBED(kek_2011, "kek-2011.der");
EMBED(kek_2023, "kek-2023.der");
EMBED(windows_2011, "windows-2011.der");
EMBED(windows_2023, "windows-2023.der");
EMBED(third_party_2011, "third-party-2011.der");
EMBED(third_party_2023, "third-party-2023.der");
EMBED(option_rom_2023, "option-rom-2023.der");
