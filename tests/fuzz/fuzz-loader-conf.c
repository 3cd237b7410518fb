/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: esp */

/* The administrator's lines for loader.conf: what is taken over is whole lines of text, decides nothing that lanzad
 * decides, and taken over again is the same. */

#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-conf.h"
#include "daemon/util/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(Span text) {
        if (text.size > 0 && text.data[text.size - 1] != '\n')
                abort();
        for (size_t i = 0; i < text.size; i++)
                if ((text.data[i] < ' ' && text.data[i] != '\n' && text.data[i] != '\t' && text.data[i] != '\r') ||
                    text.data[i] == 0x7f)
                        abort();
}

static void check_line(const char *line) {
        line += strspn(line, " \t");
        for (size_t i = 0; i < 2; i++) {
                const char *word = i == 0 ? "default" : "preferred";
                size_t length = strlen(word);

                if (strncmp(line, word, length) == 0 && (!line[length] || strchr(" \t", line[length])))
                        abort();
        }
}

static void check_lines(Span text) {
        char *copy = strndup((const char *)text.data, text.size), *rest = NULL;

        for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                check_line(line);
        free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer text = {}, again = {};

        if (loader_conf_add_lines((Span){data, size}, &text) < 0)
                return 0;
        check_text(buffer_span(&text));
        if (text.size > 0)
                check_lines(buffer_span(&text));
        if (loader_conf_add_lines(buffer_span(&text), &again) < 0 ||
            !span_equal(buffer_span(&text), buffer_span(&again)))
                abort();
        return 0;
}
