/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: boot */

/* The input as os-release text, and as three values. What was read can be written and reads back the same; what was
 * written has exactly one line a value, whatever the value. */

#include <stdlib.h>
#include <string.h>

#include "daemon/boot/os-release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static bool same(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static size_t count_values(const OsRelease *os_release) {
        return !!os_release->id + !!os_release->pretty_name + !!os_release->version_id;
}

/* Writes the values and reads them back. Values that can't be written leave nothing. */
static void check_round_trip(const OsRelease *os_release, bool must_work) {
        _cleanup_(os_release_done) OsRelease back = {};
        _cleanup_(buffer_done) Buffer text = {};
        size_t lines = 0;

        if (os_release_format(os_release, &text) < 0) {
                require(!must_work && text.size == 0);
                return;
        }
        for (size_t i = 0; i < text.size; i++) {
                lines += text.data[i] == '\n';
                require(text.data[i] == '\n' || (text.data[i] >= 0x20 && text.data[i] != 0x7f));
        }
        require(lines == count_values(os_release));
        if (text.size > OS_RELEASE_MAX_BYTES)
                return;
        require(os_release_parse(buffer_span(&text), &back) == 0);
        require(same(back.id, os_release->id) && same(back.pretty_name, os_release->pretty_name) &&
                same(back.version_id, os_release->version_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(os_release_done) OsRelease read = {}, made = {};
        size_t third = size / 3;

        if (os_release_parse((Span){data, size}, &read) == 0)
                check_round_trip(&read, /* must_work= */ true);

        if (size == 0)
                return 0;
        made.id = strndup((const char *)data, third);
        made.pretty_name = strndup((const char *)data + third, third);
        made.version_id = strndup((const char *)data + 2 * third, size - 2 * third);
        check_round_trip(&made, /* must_work= */ false);
        return 0;
}
