/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "Read-only" is said of a mount and of its file system, and statvfs(3) does not tell which it is. The kernel's table
 * of mounts does: a line has the mount's options as its sixth field, and the file system's as its last one.
 *
 *     36 35 98:0 /folder /mnt ro,noatime shared:1 - vfat /dev/sda1 rw,utf8 */

#include "daemon/util/mount.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/util/file.h"

enum {
        TABLE_MAX = 16 * 1024 * 1024,
        FIELD_ID = 0,
        FIELD_OPTIONS = 5,
        ID_DIGITS = 20,
};

/* Takes the next part of REST that ends with SEPARATOR, or with REST. */
static bool next_part(Span *rest, char separator, Span *ret) {
        const uint8_t *end = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
        size_t length = end ? (size_t)(end - rest->data) : rest->size;

        if (rest->size == 0)
                return false;
        *ret = (Span){rest->data, length};
        length += end ? 1 : 0;
        *rest = (Span){rest->data + length, rest->size - length};
        return true;
}

static bool is_read_only(Span options) {
        Span option;

        while (next_part(&options, ',', &option))
                if (span_equal(option, span_from_string("ro")))
                        return true;
        return false;
}

bool mount_table_hides_writable(Span table, uint64_t id) {
        char wanted[ID_DIGITS + 1];
        Span line, field;

        snprintf(wanted, sizeof(wanted), "%" PRIu64, id);
        while (next_part(&table, '\n', &line)) {
                bool read_only = false;

                for (unsigned i = 0; next_part(&line, ' ', &field); i++) {
                        if (i == FIELD_ID && !span_equal(field, span_from_string(wanted)))
                                break;
                        if (i == FIELD_OPTIONS)
                                read_only = is_read_only(field);
                        if (i > FIELD_OPTIONS && line.size == 0)
                                return read_only && !is_read_only(field);
                }
        }
        return false;
}

bool mount_hides_writable(int fd) {
        _cleanup_(buffer_done) Buffer table = {};
        struct statx sx;

        if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0 || !(sx.stx_mask & STATX_MNT_ID))
                return false;
        if (file_read(AT_FDCWD, "/proc/self/mountinfo", TABLE_MAX, &table) < 0)
                return false;
        return mount_table_hides_writable(buffer_span(&table), sx.stx_mnt_id);
}
