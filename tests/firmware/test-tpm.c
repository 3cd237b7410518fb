/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>

#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define DEVICE "sys/class/tpm/tpm0/"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000\n"
#define MEASURED "00000000000000000000000000000000000000000000000000000000000000A1\n"

static void test_pcr(void) {
        static const char *const nonsense[] = {
                "",
                "0\n",
                ZERO "0",
                MEASURED "\n",
                "0x00000000000000000000000000000000000000000000000000000000000000\n",
                "000000000000000000000000000000000000000000000000000000000000000 \n",
        };
        bool zero;

        g_assert_cmpint(tpm_parse_pcr(span_from_string(ZERO), &zero), ==, 0);
        g_assert_true(zero);
        g_assert_cmpint(tpm_parse_pcr(span_from_string(MEASURED), &zero), ==, 0);
        g_assert_false(zero);
        for (size_t i = 0; i < G_N_ELEMENTS(nonsense); i++)
                g_assert_cmpint(tpm_parse_pcr(span_from_string(nonsense[i]), &zero), ==, -EBADMSG);
}

static Tpm look(const char *folder) {
        _cleanup_(close_fd) int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        Tpm tpm;

        g_assert_cmpint(tpm_read(root, 11, &tpm), ==, 0);
        return tpm;
}

static void test_presence(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        Tpm tpm;

        g_assert_cmpint(tpm_read(root, 11, &tpm), ==, -ENOENT);
        test_make_folder(folder, "sys/class", 0755);
        g_assert_false(look(folder).present);
        test_write(folder, DEVICE "tpm_version_major", "1\n", -1, 0444);
        g_assert_false(look(folder).present);
        test_write(folder, DEVICE "tpm_version_major", "2\n", -1, 0444);
        tpm = look(folder);
        g_assert_true(tpm.present && !tpm.pcr_told);
        test_write(folder, DEVICE "pcr-sha256/11", "garbage\n", -1, 0444);
        g_assert_false(look(folder).pcr_told);
        test_write(folder, DEVICE "pcr-sha256/11", ZERO, -1, 0444);
        tpm = look(folder);
        g_assert_true(tpm.pcr_told && tpm.pcr_zero);
        test_write(folder, DEVICE "pcr-sha256/11", MEASURED, -1, 0444);
        tpm = look(folder);
        g_assert_true(tpm.pcr_told && !tpm.pcr_zero);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/firmware/tpm/a-pcr-is-64-digits", test_pcr);
        g_test_add_func("/firmware/tpm/tells-what-the-kernel-tells-of-it", test_presence);
        return g_test_run();
}
