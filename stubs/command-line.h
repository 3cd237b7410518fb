/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Kernel command lines: the embedded one (UTF-8 in .cmdline) and what a boot loader passed as load options (UTF-16, or
 * anything: firmware passes binary data there too). Both become what Linux reads: UTF-16 with a NUL. */

#include "stubs/bytes.h"
#include "stubs/stub-abi.h"

typedef struct CommandLine {
        uint16_t text[LANZA_CMDLINE_MAX_BYTES + 1];
        size_t length; /* in UTF-16 units, without the NUL */
} CommandLine;

/* Converts the content of .cmdline; its rules stand in stub-abi.h. Returns NULL, or what is wrong with it, as a clause
 * that goes on after "the command line ..."; then *ret is of no use. */
const char *command_line_from_section(Bytes content, CommandLine *ret);

/* Converts load options, up to their NUL or their end. Returns false, and an empty command line, unless they are text:
 * whole UTF-16 units, the first a printable ASCII character, no control characters but tab, no lone surrogates, and not
 * too long. */
bool command_line_from_load_options(Bytes options, CommandLine *ret);
