/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/tpm.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "daemon/util/file.h"
#include "daemon/util/root.h"

#define CLASS "/sys/class"
#define DEVICE CLASS "/tpm/tpm0"

enum { FILE_MAX = 4096, PCR_DIGITS = 64 };

int tpm_parse_pcr(Span text, bool *ret_zero) {
        bool zero = true;

        if (text.size != PCR_DIGITS + 1 || text.data[PCR_DIGITS] != '\n')
                return -EBADMSG;
        for (size_t i = 0; i < PCR_DIGITS; i++) {
                if (!isxdigit(text.data[i]))
                        return -EBADMSG;
                zero = zero && text.data[i] == '0';
        }
        *ret_zero = zero;
        return 0;
}

static int read_file(int root, const char *path, Buffer *ret) {
        _cleanup_(close_fd) int fd = root_open(root, path, O_RDONLY);

        return fd < 0 ? fd : file_read_fd(fd, FILE_MAX, ret);
}

static int check_class(int root) {
        _cleanup_(close_fd) int fd = root_open(root, CLASS, O_PATH | O_DIRECTORY);

        return fd < 0 ? fd : 0;
}

int tpm_read(int root, unsigned pcr, Tpm *ret) {
        _cleanup_(buffer_done) Buffer version = {}, value = {};
        char path[sizeof(DEVICE "/pcr-sha256/4294967295")];
        Tpm tpm = {};
        int r;

        r = check_class(root);
        if (r < 0)
                return r;
        r = read_file(root, DEVICE "/tpm_version_major", &version);
        if (r < 0 && r != -ENOENT)
                return r;
        tpm.present = r >= 0 && span_equal(buffer_span(&version), span_from_string("2\n"));
        snprintf(path, sizeof(path), DEVICE "/pcr-sha256/%u", pcr);
        if (tpm.present && read_file(root, path, &value) >= 0)
                tpm.pcr_told = tpm_parse_pcr(buffer_span(&value), &tpm.pcr_zero) >= 0;
        *ret = tpm;
        return 0;
}
