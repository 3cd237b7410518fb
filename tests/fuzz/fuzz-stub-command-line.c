/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: stubs */

/* The input as an embedded command line and as load options: what comes out is text without control characters, ends
 * with a NUL, and is accepted again as load options. */

#include <stdlib.h>
#include <string.h>

#include "stubs/command-line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check(const CommandLine *line) {
        static CommandLine again;

        require(line->length <= LANZA_CMDLINE_MAX_BYTES && line->text[line->length] == 0);
        for (size_t i = 0; i < line->length; i++)
                require(line->text[i] >= 0x20 || line->text[i] == '\t');
        if (line->length == 0 || line->text[0] < 0x20 || line->text[0] >= 0x7f)
                return;
        require(command_line_from_load_options(
                (Bytes){(const uint8_t *)line->text, (line->length + 1) * sizeof *line->text}, &again));
        require(again.length == line->length && memcmp(again.text, line->text, line->length * sizeof *line->text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static CommandLine line;

        if (!command_line_from_section((Bytes){data, size}, &line))
                check(&line);
        if (command_line_from_load_options((Bytes){data, size}, &line))
                check(&line);
        else
                require(line.length == 0 && line.text[0] == 0);
        return 0;
}
