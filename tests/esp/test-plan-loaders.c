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
        want_loader_conf(planning, "timeout 1\n");
        assert_plan(planning, "write-loader-conf", g_strdup("loader/loader.conf"), NULL);
        g_assert_cmpint(unlinkat(planning->volume.fd, "loader/loader.conf", 0), ==, 0);
        test_make_folder(planning->volume.path, "loader/loader.conf", 0700);
        assert_plan(planning, NULL);
        assert_warning(planning, "loader.conf");
}

/* --- What the boot loader is told to start --------------------------------------------------------------------- */

/* Generation 2 is the default. */
static void counted_planning(Planning *planning, bool counting, const char *two_counter, const char *three_counter) {
        static FakeGeneration newer, older;

        newer = three;
        older = two;
        newer.is_default = false;
        older.is_default = true;
        wanted_done(&planning->wanted);
        planning->wanted = (Wanted){.has_signer = true, .has_loader_conf = true, .counting = counting};
        want_generation(&planning->wanted, &newer);
        want_generation(&planning->wanted, &older);
        volume_put_contents(&planning->volume, &newer);
        volume_put_contents(&planning->volume, &older);
        volume_put_image(&planning->volume, &newer, "current", three_counter);
        volume_put_image(&planning->volume, &older, "current", two_counter);
        g_assert_cmpint(make_plan(planning), ==, 0);
}

/* FORMAT has a place for the name of the default image, without ".efi". */
static void assert_loader_conf(const Planning *planning, const char *format) {
        g_autofree char *name = fake_image_name(&two), *found = NULL;
        g_auto(GStrv) parts = g_strsplit(format, "DEFAULT", -1);
        g_autofree char *expected = NULL;

        name[strlen(name) - strlen(".efi")] = 0;
        expected = g_strjoinv(name, parts);
        found = g_strndup((const char *)planning->plan.loader_conf.data, planning->plan.loader_conf.size);
        g_assert_cmpstr(found, ==, expected);
}

static void begin_anew(Planning *planning) {
        planning_close(planning, NULL);
        planning_open(planning, NULL);
}

static void test_uncounted_default(Planning *planning, gconstpointer unused) {
        counted_planning(planning, false, "", "");
        assert_loader_conf(planning, "default DEFAULT.efi\n");
        begin_anew(planning);
        /* Boot counting was on when it was written. */
        counted_planning(planning, false, "+2-1", "");
        assert_loader_conf(planning, "default DEFAULT*\n");
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);
}

static void test_counted_default(Planning *planning, gconstpointer unused) {
        /* What is newer was tried in vain. */
        counted_planning(planning, true, "+2-1", "+0-3");
        assert_loader_conf(planning, "default nixos-*\n");
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);
}

static void test_older_default(Planning *planning, gconstpointer unused) {
        counted_planning(planning, true, "", "+3");
        assert_loader_conf(planning, "default DEFAULT.efi\n");
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);

        begin_anew(planning);
        counted_planning(planning, true, "+3", "");
        assert_loader_conf(planning, "default nixos-*\n");
        assert_warning(planning, "was not confirmed good yet, and systemd-boot of an unknown version cannot be told");
}

static void test_older_preferred(Planning *planning, gconstpointer unused) {
        put_loader(planning, SYSTEMD, "260", "current");
        counted_planning(planning, true, "+3", "");
        assert_loader_conf(planning, "preferred DEFAULT.efi\ndefault nixos-*\n");
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);

        /* The one that is there, and stays, is asked, and not the one that could be installed. */
        put_loader(planning, SYSTEMD, "259", "current");
        g_assert_cmpint(make_plan(planning), ==, 0);
        assert_warning(planning, "systemd-boot 259 cannot be told");
        want_loader(planning, "258");
        put_loader(planning, SYSTEMD, "260", "current");
        put_loader(planning, FALLBACK, "260", "current");
        g_assert_cmpint(make_plan(planning), ==, 0);
        assert_loader_conf(planning, "preferred DEFAULT.efi\ndefault nixos-*\n");
        put_loader(planning, SYSTEMD, "257", "current");
        planning->wanted.loader_version[2] = '0';
        planning->wanted.loader_version[1] = '6';
        g_assert_cmpint(make_plan(planning), ==, 0);
        assert_loader_conf(planning, "preferred DEFAULT.efi\ndefault nixos-*\n");
}

static void test_used_up_default(Planning *planning, gconstpointer unused) {
        counted_planning(planning, true, "+0-3", "");
        assert_loader_conf(planning, "default nixos-*\n");
        assert_warning(planning, "has no tries left: systemd-boot starts nixos-generation-3-");
        put_loader(planning, SYSTEMD, "260", "current");
        g_assert_cmpint(make_plan(planning), ==, 0);
        assert_warning(planning, "has no tries left: systemd-boot starts nixos-generation-3-");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        PLAN_TEST("a-boot-loader-as-new-as-ours-is-kept", test_loader_kept);
        PLAN_TEST("an-older-damaged-or-unsigned-boot-loader-is-replaced", test_loader_replaced);
        PLAN_TEST("a-newer-boot-loader-is-replaced-only-when-asked", test_loader_newer);
        PLAN_TEST("a-newer-boot-loader-that-the-current-key-has-not-signed-is-replaced", test_loader_newer_and_foreign);
        PLAN_TEST("another-system's-fallback-loader-is-left-alone", test_fallback_of_others);
        PLAN_TEST("loader.conf-is-written-only-if-it-differs", test_loader_conf);
        PLAN_TEST("the-default-entry-is-named-whatever-counter-it-has", test_uncounted_default);
        PLAN_TEST("with-boot-counting-the-first-with-tries-left-is-the-default", test_counted_default);
        PLAN_TEST("an-older-default-is-named-once-it-was-confirmed-good", test_older_default);
        PLAN_TEST("an-older-default-is-preferred-where-the-boot-loader-knows-that", test_older_preferred);
        PLAN_TEST("a-default-without-tries-left-is-told", test_used_up_default);
        return g_test_run();
}
