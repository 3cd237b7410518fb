/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: esp */

/* The input as a boot loader entry. A path that is accepted stays below the volume's root and is spelled in one way
 * only. */

#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-entry.h"
#include "daemon/util/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check(const char *path) {
        size_t length = strlen(path);

        require(length > 0 && path[0] != '/' && path[length - 1] != '/' && path[length - 1] != '.');
        require(!strchr(path, '\\') && !strstr(path, "//") && !strstr(path, "./") && !strpbrk(path, "\n\r\t"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(string_list_done) StringList paths = {};
        LoaderEntryOwner owner;

        if (loader_entry_owner_parse((Span){data, size}, &owner) >= 0) {
                require(!owner.machine_id || !strpbrk(owner.machine_id, "\n\r"));
                require(!owner.toplevel || strlen(owner.toplevel) <= size);
                loader_entry_owner_done(&owner);
        }
        if (loader_entry_parse((Span){data, size}, &paths) < 0)
                return 0;
        require(paths.count <= size);
        for (size_t i = 0; i < paths.count; i++)
                check(paths.items[i]);
        return 0;
}
