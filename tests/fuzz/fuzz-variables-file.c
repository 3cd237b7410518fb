/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: firmware */

/* A file of firmware variables (--variables=FILE): what was read is written, and read again it is the same. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/firmware/variables-memory.h"
#include "daemon/util/buffer.h"
#include "daemon/util/file.h"
#include "daemon/util/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(const char *path, const uint8_t *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || file_write_fd(fd, (Span){data, size}) < 0)
                abort();
        close(fd);
}

/* Writes the file as it was understood. */
static int rewrite(const char *path, Buffer *ret) {
        Variables *variables = NULL;
        int r = variables_new_memory_file(path, &variables);

        if (r < 0)
                return r;
        if (variables_memory_set_capacity(variables, 65536) < 0 || file_read(AT_FDCWD, path, 1 << 24, ret) < 0)
                abort();
        variables_free(variables);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer first = {}, second = {};
        char path[64];

        snprintf(path, sizeof(path), "/dev/shm/lanza-fuzz-%d", getpid());
        put(path, data, size);
        if (rewrite(path, &first) >= 0) {
                if (rewrite(path, &second) < 0 || !span_equal(buffer_span(&first), buffer_span(&second)))
                        abort();
        }
        unlink(path);
        return 0;
}
