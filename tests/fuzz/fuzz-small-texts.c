/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: util */

/* Texts that need no parser of their own folder: the kernel's table of mounts, GUIDs, UTF-16 of firmware variables. */

#include <stdlib.h>
#include <string.h>

#include "daemon/util/guid.h"
#include "daemon/util/macro.h"
#include "daemon/util/mount.h"
#include "daemon/util/utf16.h"
#include "daemon/util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_guid(Span text) {
        char formatted[GUID_TEXT_SIZE];
        Guid guid, again;

        if (guid_parse(text, &guid) < 0)
                return;
        guid_format(&guid, formatted);
        if (guid_parse(span_from_string(formatted), &again) < 0 || !guid_equal(&guid, &again))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const Span input = {data, size};
        char *text = NULL;
        size_t length;

        for (uint64_t id = 0; id < 40; id += 13)
                (void)mount_table_hides_writable(input, id);
        check_guid(input);
        if (utf16_to_utf8(input, &text, &length) >= 0 && utf8_check((Span){(uint8_t *)text, strlen(text)}) < 0)
                abort();
        free(text);
        return 0;
}
