/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: ops */

/* What a boot image says about the files that it needs and the system that it starts. The input's first byte separates
 * the three sections that follow: kernel, initrd, command line. */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ops/image-facts.h"
#include "daemon/util/command-line.h"
#include "daemon/util/file.h"
#include "stubs/stub-abi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Span take(Span *rest, uint8_t separator) {
        const uint8_t *end = memchr(rest->data, separator, rest->size);
        size_t length = end ? (size_t)(end - rest->data) : rest->size;
        Span part = {rest->data, length};

        *rest = (Span){rest->data + length + (end ? 1 : 0), rest->size - length - (end ? 1 : 0)};
        return part;
}

/* The references are the kernel section, then the lines of the initrd section: put together again, they give both. */
static void check_references(Span kernel, Span initrd) {
        _cleanup_(string_list_done) StringList paths = {};
        _cleanup_(buffer_done) Buffer joined = {};
        int r = image_references_parse(kernel, initrd, &paths);

        if (r < 0) {
                if (r != -EBADMSG)
                        abort();
                return;
        }
        if (paths.count > LANZA_INITRDS_MAX + 1)
                abort();
        if (paths.count == 0)
                return;
        if (!span_equal(span_from_string(paths.items[0]), kernel))
                abort();
        for (size_t i = 1; i < paths.count; i++)
                if (buffer_append_string(&joined, paths.items[i]) < 0 ||
                    buffer_append_u8(&joined, LANZA_LIST_SEPARATOR) < 0)
                        abort();
        if (initrd.size > 0 && initrd.data[initrd.size - 1] != LANZA_LIST_SEPARATOR)
                joined.size--;
        if (!span_equal(buffer_span(&joined), initrd))
                abort();
}

/* A toplevel is a word of the command line, behind "init=". */
static void check_toplevel(Span command_line) {
        _cleanup_(free_pointer) char *toplevel = NULL;
        size_t offset;

        if (command_line_toplevel(command_line, &toplevel) < 0)
                abort();
        if (!toplevel)
                return;
        for (const char *c = toplevel; *c; c++)
                if (isspace((unsigned char)*c))
                        abort();
        if (span_find(command_line, span_from_string("init="), 0, &offset) < 0 ||
            span_find(command_line, span_from_string(toplevel), 0, &offset) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span rest, kernel, initrd;

        if (size == 0)
                return 0;
        rest = (Span){data + 1, size - 1};
        kernel = take(&rest, data[0]);
        initrd = take(&rest, data[0]);
        check_references(kernel, initrd);
        check_toplevel(rest);
        return 0;
}
