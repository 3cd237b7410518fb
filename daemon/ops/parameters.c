/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/parameters.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/util/file.h"

int parameter_refused(Failure *failure, const char *format, ...) {
        _cleanup_(free_pointer) char *text = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        r = failure_set(failure, CONDITION_BAD_CONFIGURATION, "%s", text);
        failure_set_hint(failure, "Nothing was changed.");
        return r;
}
