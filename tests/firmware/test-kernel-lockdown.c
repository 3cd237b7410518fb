/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware/kernel-lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>

#include "daemon/util/file.h"
#include "tests/lib/test-folder.h"

#define LOCKDOWN_FILE "sys/kernel/security/lockdown"

static void test_modes(void) {
        static const struct {
                const char *text, *name;
        } files[] = {
                {"[none] integrity confidentiality\n", "none"},
                {"none [integrity] confidentiality\n", "integrity"},
                {"none integrity [confidentiality]\n", "confidentiality"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                KernelLockdown lockdown;

                g_assert_cmpint(kernel_lockdown_parse(span_from_string(files[i].text), &lockdown), ==, 0);
                g_assert_cmpstr(kernel_lockdown_name(lockdown), ==, files[i].name);
        }
}

static void test_nonsense(void) {
        static const char *const texts[] = {
                "",
                "\n",
                "none integrity\n",
                "[",
                "]",
                "][",
                "[]",
                "[none",
                "none]",
                "[None]",
                "[none ]",
                "[no",
                "[none] [integrity]",
                "[none]]",
                "[[none]",
                "[future]",
        };
        KernelLockdown lockdown = KERNEL_LOCKDOWN_COUNT;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
                g_assert_cmpint(kernel_lockdown_parse(span_from_string(texts[i]), &lockdown), ==, -EBADMSG);
        g_assert_cmpint(lockdown, ==, KERNEL_LOCKDOWN_COUNT);
}

static void test_file(void) {
        _cleanup_(test_folder_cleanup) char *folder = test_folder_make();
        _cleanup_(close_fd) int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_autofree char *large = g_strnfill(10000, ' ');
        KernelLockdown lockdown;

        g_assert_cmpint(kernel_lockdown_read(root, &lockdown), ==, -ENOENT);
        test_write(folder, LOCKDOWN_FILE, "none [integrity] confidentiality\n", -1, 0644);
        g_assert_cmpint(kernel_lockdown_read(root, &lockdown), ==, 0);
        g_assert_cmpint(lockdown, ==, KERNEL_LOCKDOWN_INTEGRITY);
        test_write(folder, LOCKDOWN_FILE, large, -1, 0644);
        g_assert_cmpint(kernel_lockdown_read(root, &lockdown), ==, -EFBIG);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/firmware/kernel-lockdown/the-word-in-brackets-is-in-force", test_modes);
        g_test_add_func("/firmware/kernel-lockdown/anything-else-says-nothing", test_nonsense);
        g_test_add_func("/firmware/kernel-lockdown/is-read-below-the-root-folder", test_file);
        return g_test_run();
}
