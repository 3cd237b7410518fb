/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: firmware */

/* What a machine tells of itself: the kernel's lockdown, a PCR, and a platform key. The first byte chooses. */

#include <stdlib.h>
#include <string.h>

#include "daemon/firmware/kernel-lockdown.h"
#include "daemon/firmware/platform-key.h"
#include "daemon/firmware/tpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
        if (!condition)
                abort();
}

static void check_lockdown(Span text) {
        KernelLockdown lockdown;
        size_t at;

        if (kernel_lockdown_parse(text, &lockdown) >= 0)
                expect(span_find(text, span_from_string(kernel_lockdown_name(lockdown)), 0, &at) >= 0);
}

static void check_pcr(Span text) {
        bool zero;

        if (tpm_parse_pcr(text, &zero) < 0)
                return;
        expect(text.size == 65);
        for (size_t i = 0; i < 64; i++)
                expect(!zero || text.data[i] == '0');
}

static void check_platform_key(Span database) {
        char *name = NULL;
        int r = platform_key_is_for_tests(database, &name);

        expect((r > 0) == (name != NULL));
        expect(!name || strstr(name, "DO NOT "));
        free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0 || size > 1 << 14)
                return 0;
        Span rest = {data + 1, size - 1};

        if (data[0] == 'l')
                check_lockdown(rest);
        else if (data[0] == 'p')
                check_pcr(rest);
        else
                check_platform_key(rest);
        return 0;
}
