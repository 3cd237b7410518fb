/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: esp */

/* A boot loader's version: short and printable. Comparing any two is antisymmetric and ends. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/esp/loader-version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int n) {
        return (n > 0) - (n < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t half = size / 2;
        char *version, *a, *b;

        if (loader_version_find((Span){data, size}, &version) >= 0) {
                assert(strlen(version) >= 1 && strlen(version) <= LOADER_VERSION_MAX);
                for (const char *c = version; *c; c++)
                        assert(*c > ' ' && *c < 0x7f);
                assert(version_compare(version, version) == 0);
                free(version);
        }
        a = strndup((const char *)data, half);
        b = strndup((const char *)data + half, size - half);
        assert(a && b);
        assert(sign(version_compare(a, b)) == -sign(version_compare(b, a)));
        assert(version_compare(a, a) == 0);
        free(a);
        free(b);
        return 0;
}
