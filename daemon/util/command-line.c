/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/command-line.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int command_line_toplevel(Span command_line, char **ret) {
        static const char key[] = "init=", file[] = "/init";
        size_t from = 0, end;
        char *toplevel;

        while (from < command_line.size) {
                while (from < command_line.size && isspace(command_line.data[from]))
                        from++;
                for (end = from; end < command_line.size && !isspace(command_line.data[end]);)
                        end++;

                Span word = {command_line.data + from, end - from};
                from = end;
                if (!span_starts_with(word, span_from_string(key)))
                        continue;
                toplevel = strndup((const char *)word.data + strlen(key), word.size - strlen(key));
                if (!toplevel)
                        return -ENOMEM;
                size_t length = strlen(toplevel);
                if (length > strlen(file) && strcmp(toplevel + length - strlen(file), file) == 0)
                        toplevel[length - strlen(file)] = 0;
                *ret = toplevel;
                return 0;
        }
        *ret = NULL;
        return 0;
}
