/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "tests/esp/planning.h"

static void put_loader(Planning *planning, const char *path, const char *version, const char *signer) {
        g_autofree char *text =
                g_strdup_printf("MZ\n#### LoaderInfo: systemd-boot %s ####\nsigner=%s\nend\n", version, signer);

        volume_write(&planning->volume, path, text);
}

#define SYSTEMD "EFI/systemd/systemd-bootx64.efi"
#define FALLBACK "EFI/BOOT/BOOTX64.EFI"

static void loader_planning(Planning *planning) {
        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        want_loader(planning, "257.4");
        put_loader(planning, SYSTEMD, "257.4", "current");
        put_loader(planning, FALLBACK, "257.4", "current");
}

static void test_loader_kept(Planning *planning, gconstpointer unused) {
        loader_planning(planning);
        assert_plan(planning, NULL);
        put_loader(planning, SYSTEMD, "257.10", "current");
        assert_plan(planning, NULL);
        planning->wanted.has_signer = false;
        put_loader(planning, SYSTEMD, "257.4", "none");
        assert_plan(planning, NULL);
}

static void test_loader_replaced(Planning *planning, gconstpointer unused) {
        loader_planning(planning);
        put_loader(planning, SYSTEMD, "256", "current");
        put_loader(planning, FALLBACK, "257.4", "other");
        assert_plan(planning, "write-loader", g_strdup(SYSTEMD), "write-fallback", g_strdup(FALLBACK), NULL);

        put_loader(planning, FALLBACK, "257.4", "current");
        volume_write(&planning->volume, SYSTEMD, "");
        assert_plan(planning, "write-loader", g_strdup(SYSTEMD), NULL);
        volume_write(&planning->volume, SYSTEMD, "MZ #### LoaderInfo: systemd-boot 300 #### cut");
        assert_plan(planning, "write-loader", g_strdup(SYSTEMD), NULL);
        volume_write(&planning->volume, SYSTEMD, "MZ something else\nsigner=current\nend\n");
        assert_plan(planning, "write-loader", g_strdup(SYSTEMD), NULL);
}

static void test_loader_newer(Planning *planning, gconstpointer unused) {
        loader_planning(planning);
        put_loader(planning, SYSTEMD, "258", "current");
        assert_plan(planning, NULL);
        planning->wanted.has_signer = false;
        put_loader(planning, SYSTEMD, "258", "none");
        assert_plan(planning, NULL);
        planning->wanted.allow_downgrade = true;
        assert_plan(planning, "write-loader", g_strdup(SYSTEMD), NULL);
}

static void test_loader_newer_and_foreign(Planning *planning, gconstpointer unused) {
        static const char *const signers[] = {"none", "other", "held"};

        loader_planning(planning);
        for (size_t i = 0; i < G_N_ELEMENTS(signers); i++) {
                put_loader(planning, SYSTEMD, "258", signers[i]);
                assert_plan(planning, "write-loader", g_strdup(SYSTEMD), NULL);
                assert_warning(planning, "258");
        }
}

static void test_fallback_of_others(Planning *planning, gconstpointer unused) {
        loader_planning(planning);
        volume_write(&planning->volume, FALLBACK, "MZ another system's\nend\n");
        assert_plan(planning, NULL);
        g_assert_cmpint(unlinkat(planning->volume.fd, FALLBACK, 0), ==, 0);
        test_make_folder(planning->volume.path, FALLBACK, 0700);
        assert_plan(planning, NULL);
        assert_warning(planning, FALLBACK);
        g_assert_cmpint(unlinkat(planning->volume.fd, FALLBACK, AT_REMOVEDIR), ==, 0);
        volume_write(&planning->volume, FALLBACK, "");
        assert_plan(planning, "write-fallback", g_strdup(FALLBACK), NULL);
}

static void test_loader_conf(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_write(&planning->volume, "loader/loader.conf", "default y\n");
        assert_plan(planning, NULL);
        want_loader_conf(planning, "default x\n");
        assert_plan(planning, "write-loader-conf", g_strdup("loader/loader.conf"), NULL);
        g_assert_cmpint(unlinkat(planning->volume.fd, "loader/loader.conf", 0), ==, 0);
        test_make_folder(planning->volume.path, "loader/loader.conf", 0700);
        assert_plan(planning, NULL);
        assert_warning(planning, "loader.conf");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        PLAN_TEST("a-boot-loader-as-new-as-ours-is-kept", test_loader_kept);
        PLAN_TEST("an-older-damaged-or-unsigned-boot-loader-is-replaced", test_loader_replaced);
        PLAN_TEST("a-newer-boot-loader-is-replaced-only-when-asked", test_loader_newer);
        PLAN_TEST("a-newer-boot-loader-that-the-current-key-has-not-signed-is-replaced", test_loader_newer_and_foreign);
        PLAN_TEST("another-system's-fallback-loader-is-left-alone", test_fallback_of_others);
        PLAN_TEST("loader.conf-is-written-only-if-it-differs", test_loader_conf);
        return g_test_run();
}
