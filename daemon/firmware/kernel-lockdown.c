/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/kernel-lockdown.h"

#include <errno.h>
#include <fcntl.h>

#include "daemon/util/file.h"
#include "daemon/util/root.h"

enum { FILE_MAX = 4096 };

static const char *const names[KERNEL_LOCKDOWN_COUNT] = {
        [KERNEL_LOCKDOWN_NONE] = "none",
        [KERNEL_LOCKDOWN_INTEGRITY] = "integrity",
        [KERNEL_LOCKDOWN_CONFIDENTIALITY] = "confidentiality",
};

const char *kernel_lockdown_name(KernelLockdown lockdown) {
        return names[lockdown];
}

int kernel_lockdown_parse(Span text, KernelLockdown *ret) {
        const Span opening = span_from_string("["), closing = span_from_string("]");
        size_t start, end, other;
        Span word;

        if (span_find(text, opening, 0, &start) < 0 || span_find(text, closing, start, &end) < 0)
                return -EBADMSG;
        if (span_find(text, opening, start + 1, &other) >= 0 || span_find(text, closing, end + 1, &other) >= 0)
                return -EBADMSG;
        word = (Span){text.data + start + 1, end - start - 1};
        for (KernelLockdown i = 0; i < KERNEL_LOCKDOWN_COUNT; i++)
                if (span_equal(word, span_from_string(names[i]))) {
                        *ret = i;
                        return 0;
                }
        return -EBADMSG;
}

int kernel_lockdown_read(int root, KernelLockdown *ret) {
        _cleanup_(close_fd) int fd = root_open(root, "/sys/kernel/security/lockdown", O_RDONLY);
        _cleanup_(buffer_done) Buffer text = {};
        int r;

        if (fd < 0)
                return fd;
        r = file_read_fd(fd, FILE_MAX, &text);
        return r < 0 ? r : kernel_lockdown_parse(buffer_span(&text), ret);
}
