/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "tests/esp/esp-fixture.h"

/* Three generations; the first two share their kernel. */
static const FakeGeneration one = {.number = 1, .toplevel = "/nix/store/1", .kernel = "k1", .initrd = "i1"};
static const FakeGeneration two = {.number = 2, .toplevel = "/nix/store/2", .kernel = "k1", .initrd = "i2"};
static const FakeGeneration three = {
        .number = 3, .toplevel = "/nix/store/3", .kernel = "k3", .initrd = "i3", .is_default = true};

/* A volume, what is wanted there, and the plan once it was made. */
typedef struct Planning {
        Volume volume;
        Wanted wanted;
        VolumeSpace space;
        Inventory inventory;
        Plan plan;
        Failure failure;
} Planning;

static void planning_open(Planning *planning, gconstpointer unused) {
        *planning = (Planning){.wanted = {.has_signer = true}, .space = {1024 * 1024, 512}};
        volume_open(&planning->volume, NULL);
}

static void planning_close(Planning *planning, gconstpointer unused) {
        plan_done(&planning->plan);
        inventory_done(&planning->inventory);
        wanted_done(&planning->wanted);
        failure_done(&planning->failure);
        volume_close(&planning->volume, NULL);
}

static int make_plan(Planning *planning) {
        plan_done(&planning->plan);
        inventory_done(&planning->inventory);
        g_assert_cmpint(fake_inventory(planning->volume.fd, &planning->inventory), ==, 0);
        return plan_make(&planning->inventory, &planning->wanted, planning->space, &planning->plan, &planning->failure);
}

/* Makes the plan and compares its steps with EXPECTED: kinds and paths in turn, NULL last; paths are freed. */
static void assert_plan(Planning *planning, const char *kind, ...) {
        g_autoptr(GString) expected = g_string_new(NULL), found = g_string_new(NULL);
        va_list arguments;

        va_start(arguments, kind);
        for (; kind; kind = va_arg(arguments, const char *)) {
                g_autofree char *path = va_arg(arguments, char *);

                g_string_append_printf(expected, "%s %s\n", kind, path);
        }
        va_end(arguments);

        g_assert_cmpint(make_plan(planning), ==, 0);
        for (size_t i = 0; i < planning->plan.step_count; i++)
                g_string_append_printf(found, "%s %s\n", step_kind_name(planning->plan.steps[i].kind),
                                       planning->plan.steps[i].path);
        g_assert_cmpstr(found->str, ==, expected->str);
}

static void assert_failure(Planning *planning, Condition condition, const char *words) {
        g_assert_cmpint(make_plan(planning), <, 0);
        g_assert_cmpint(planning->failure.condition, ==, condition);
        g_assert_nonnull(strstr(planning->failure.message, words));
        g_assert_cmpuint(planning->plan.step_count, ==, 0);
}

static void assert_warning(const Planning *planning, const char *words) {
        g_assert_cmpuint(planning->plan.warnings.count, ==, 1);
        g_assert_nonnull(strstr(planning->plan.warnings.items[0], words));
}

static char *kernel(const char *text) {
        return content_path(CONTENT_KERNEL, text);
}

static char *initrd(const char *text) {
        return content_path(CONTENT_INITRD, text);
}

static char *image(const FakeGeneration *generation) {
        return image_path(generation, "");
}

static void want_loader(Planning *planning, const char *version) {
        planning->wanted.loader_version = strdup(version);
        planning->wanted.loader_size = 1000;
}

static void want_loader_conf(Planning *planning, const char *text) {
        planning->wanted.has_loader_conf = true;
        g_assert_cmpint(buffer_append_string(&planning->wanted.loader_conf, text), ==, 0);
}

/* --- Writing -------------------------------------------------------------------------------------------------- */

static void test_fresh(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &two);
        want_generation(&planning->wanted, &one);
        want_loader(planning, "257");
        want_loader_conf(planning, "default x\n");
        assert_plan(planning, "write-content", kernel("k1"), "write-content", initrd("i2"), "write-content",
                    initrd("i1"), "write-image", image(&two), "write-image", image(&one), "write-loader",
                    g_strdup("EFI/systemd/systemd-bootx64.efi"), "write-fallback", g_strdup("EFI/BOOT/BOOTX64.EFI"),
                    "write-loader-conf", g_strdup("loader/loader.conf"), NULL);
}

static void test_nothing_to_do(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &one);
        want_generation(&planning->wanted, &two);
        volume_put(&planning->volume, &one);
        volume_put(&planning->volume, &two);
        want_loader_conf(planning, "default x\n");
        volume_write(&planning->volume, "loader/loader.conf", "default x\n");
        assert_plan(planning, NULL);
        g_assert_cmpuint(planning->plan.images_kept, ==, 2);
        g_assert_cmpuint(planning->plan.contents_kept, ==, 3);
}

static void test_clusters(Planning *planning, gconstpointer unused) {
        g_autofree char *path = kernel("k3");

        want_generation(&planning->wanted, &three);
        volume_put_image(&planning->volume, &three, "current", "");
        volume_write(&planning->volume, path, "of another size");
        planning->space.cluster_bytes = 4096;
        assert_plan(planning, "write-content", kernel("k3"), "write-content", initrd("i3"), NULL);
        g_assert_cmpuint(planning->plan.steps[0].takes, ==, 4096);
        g_assert_cmpuint(planning->plan.steps[0].frees, ==, 4096);
        g_assert_cmpuint(planning->plan.steps[1].frees, ==, 0);
        g_assert_cmpuint(planning->plan.takes, ==, 8192);
        g_assert_cmpuint(planning->plan.frees, ==, 4096);
}

static void test_full(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        planning->space = (VolumeSpace){512 + 512 + 3072 - 1, 512};
        assert_failure(planning, CONDITION_ESP_FULL, " 1 are missing");

        planning->space.free_bytes++;
        failure_done(&planning->failure);
        g_assert_cmpint(make_plan(planning), ==, 0);
}

static void test_leftovers_count_as_space(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_write(&planning->volume, "EFI/nixos/LANZ0007.TMP", "left over");
        planning->space = (VolumeSpace){512 + 3072, 512};
        assert_plan(planning, "remove-temporary", g_strdup("EFI/nixos/LANZ0007.TMP"), "write-content", kernel("k3"),
                    "write-content", initrd("i3"), "write-image", image(&three), NULL);
}

static void test_tries(Planning *planning, gconstpointer unused) {
        FakeGeneration counted = three;

        counted.tries = 3;
        want_generation(&planning->wanted, &counted);
        volume_put_contents(&planning->volume, &counted);
        assert_plan(planning, "write-image", image_path(&counted, "+3"), NULL);
}

static void test_counter_kept(Planning *planning, gconstpointer unused) {
        FakeGeneration counted = three;

        counted.tries = 3;
        want_generation(&planning->wanted, &counted);
        volume_put_contents(&planning->volume, &counted);
        volume_put_image(&planning->volume, &counted, "current", "+1-2");
        assert_plan(planning, NULL);
}

static void test_damaged(Planning *planning, gconstpointer unused) {
        g_autofree char *cut = image_path(&three, "+2-1"), *empty = image_path(&two, ""), *text = image_path(&one, "");

        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &two);
        want_generation(&planning->wanted, &one);
        volume_put_contents(&planning->volume, &three);
        volume_put_contents(&planning->volume, &two);
        volume_put_contents(&planning->volume, &one);
        volume_write(&planning->volume, cut, "MZ cut");
        volume_write(&planning->volume, empty, "");
        volume_write(&planning->volume, text, "no image");
        /* What replaces an unreadable image says what it referred to: garbage may go. */
        g_autofree char *garbage = kernel("garbage");
        volume_write(&planning->volume, garbage, "garbage");
        assert_plan(planning, "write-image", image_path(&three, "+2-1"), "write-image", image(&two), "write-image",
                    image(&one), "remove-content", kernel("garbage"), NULL);
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);
        g_assert_true(g_str_has_suffix(cut, planning->plan.steps[0].counter_from));
}

static void test_wrong_references(Planning *planning, gconstpointer unused) {
        FakeGeneration altered = three;
        g_autofree char *path = image(&three), *text = NULL;

        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &three);
        altered.initrd = NULL;
        text = fake_image(altered.toplevel, "current", altered.kernel, altered.initrd);
        volume_write(&planning->volume, path, text);
        assert_plan(planning, "write-image", image(&three), NULL);
}

static void test_wrong_signer(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "");
        assert_plan(planning, "write-image", image(&three), NULL);
        planning->wanted.has_signer = false;
        assert_plan(planning, NULL);
}

/* --- Obstacles ------------------------------------------------------------------------------------------------ */

static void test_folder_in_place(Planning *planning, gconstpointer unused) {
        g_autofree char *path = image(&one);

        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &one);
        volume_put(&planning->volume, &three);
        test_make_folder(planning->volume.path, path, 0700);
        assert_plan(planning, NULL);
        assert_warning(planning, "generation 1");
}

static void test_folder_in_place_of_default(Planning *planning, gconstpointer unused) {
        g_autofree char *path = image(&three);

        want_generation(&planning->wanted, &three);
        test_make_folder(planning->volume.path, path, 0700);
        assert_failure(planning, CONDITION_FAILED, "generation 3");
}

static void test_folder_in_place_of_content(Planning *planning, gconstpointer unused) {
        g_autofree char *path = kernel("k1");

        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &one);
        volume_put(&planning->volume, &three);
        test_make_folder(planning->volume.path, path, 0700);
        assert_plan(planning, NULL);
        assert_warning(planning, "generation 1");
}

static void test_folder_in_place_of_default_content(Planning *planning, gconstpointer unused) {
        g_autofree char *path = kernel("k3");

        want_generation(&planning->wanted, &three);
        volume_put_image(&planning->volume, &three, "current", "");
        test_make_folder(planning->volume.path, path, 0700);
        assert_failure(planning, CONDITION_FAILED, "generation 3");
}

static void test_nothing_bootable(Planning *planning, gconstpointer unused) {
        volume_put(&planning->volume, &one);
        assert_failure(planning, CONDITION_NOTHING_BOOTABLE, "no boot image");
        failure_done(&planning->failure);
        planning->wanted.garbage_only = true;
        assert_failure(planning, CONDITION_NOTHING_BOOTABLE, "no boot image");
}

static void test_no_garbage_nowhere(Planning *planning, gconstpointer unused) {
        planning->wanted.garbage_only = true;
        assert_plan(planning, NULL);
}

/* --- Removing ------------------------------------------------------------------------------------------------- */

static void test_garbage(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &two);
        volume_put(&planning->volume, &one);
        volume_put(&planning->volume, &two);
        assert_plan(planning, "write-content", kernel("k3"), "write-content", initrd("i3"), "write-image",
                    image(&three), "remove-image", image(&one), "remove-content", initrd("i1"), NULL);
}

static void test_whose(Planning *planning, gconstpointer unused) {
        /* Generation 1 is gone from the profiles, 2 is over the limit. */
        FakeGeneration lost = one;

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        g_assert_cmpint(string_list_add(&planning->wanted.toplevels, two.toplevel), ==, 0);
        volume_put_image(&planning->volume, &one, "held", "");
        volume_put_image(&planning->volume, &two, "other", "");
        lost.toplevel = "/nix/store/lost";
        volume_put_image(&planning->volume, &lost, "other", "");
        g_autofree char *foreign = fake_image("/nix/store/2", "current", NULL, NULL);
        volume_write(&planning->volume, "EFI/Linux/nixos-2.efi", foreign);

        g_autofree char *left = image(&lost);
        assert_plan(planning, "remove-image", image(&one), "remove-image", image(&two), NULL);
        g_assert_cmpuint(planning->plan.left_alone.count, ==, 1);
        g_assert_cmpstr(planning->plan.left_alone.items[0], ==, left);
}

static void test_other_token(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        g_autofree char *text = fake_image("/nix/store/3", "current", NULL, NULL);
        g_autofree char *name = fake_image_name(&one), *path = g_strdup_printf("EFI/Linux/work%s", name + 5);
        volume_write(&planning->volume, path, text);
        assert_plan(planning, NULL);
}

static void test_foreign_shields(Planning *planning, gconstpointer unused) {
        g_autofree char *text = fake_image(NULL, "other", "k1", "i1");
        g_autofree char *shouted = g_ascii_strup(text, -1), *path = NULL;

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_put_contents(&planning->volume, &one);
        volume_put_contents(&planning->volume, &two);
        volume_write(&planning->volume, "EFI/Linux/other.efi", text);
        assert_plan(planning, "remove-content", initrd("i2"), NULL);

        /* The same in another spelling of the same path. */
        g_auto(GStrv) parts = g_strsplit(text, "EFI\\nixos\\kernel", -1);
        path = g_strjoinv("efi\\NIXOS\\Kernel", parts);
        volume_write(&planning->volume, "EFI/Linux/other.efi", path);
        assert_plan(planning, "remove-content", initrd("i2"), NULL);
}

static void test_unreadable(Planning *planning, gconstpointer unused) {
        g_autofree char *path = image(&one), *garbage = kernel("garbage");

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_write(&planning->volume, garbage, "garbage");
        volume_write(&planning->volume, path, "MZ cut");
        assert_plan(planning, NULL);
        assert_warning(planning, path);

        g_assert_cmpint(unlinkat(planning->volume.fd, path, 0), ==, 0);
        volume_write(&planning->volume, "EFI/Linux/other.efi", "MZ cut");
        assert_plan(planning, NULL);
        assert_warning(planning, "other.efi");

        volume_write(&planning->volume, "EFI/Linux/other.efi", "no image");
        assert_plan(planning, "remove-content", kernel("garbage"), NULL);
}

static void test_shielded(Planning *planning, gconstpointer unused) {
        FakeGeneration seven = {.number = 7, .toplevel = "/nix/store/7", .kernel = "k7", .initrd = "i7"};
        FakeGeneration special = seven, seventy = seven;

        special.specialisation = "x";
        special.toplevel = "/nix/store/7x";
        seventy.number = 71;
        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_put(&planning->volume, &seven);
        volume_put(&planning->volume, &special);
        volume_put(&planning->volume, &seventy);
        g_assert_cmpint(wanted_add_shielded(&planning->wanted, "", 7), ==, 0);
        g_assert_cmpint(wanted_add_shielded(&planning->wanted, "test", 71), ==, 0);
        assert_plan(planning, "remove-image", image(&seventy), NULL);
}

static void test_empty(Planning *planning, gconstpointer unused) {
        g_autofree char *path = image(&one), *content = initrd("gone");

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_write(&planning->volume, path, "");
        volume_write(&planning->volume, content, "");
        volume_write(&planning->volume, "EFI/Linux/other.efi", "");
        assert_plan(planning, "remove-image", image(&one), "remove-content", initrd("gone"), NULL);
}

static void test_inexact(Planning *planning, gconstpointer unused) {
        g_autofree char *name = fake_content_name(CONTENT_KERNEL, "x"), *upper = g_ascii_strup(name, -1);
        g_autofree char *path = g_strdup_printf("EFI/nixos/%s", upper);

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_write(&planning->volume, path, "x");
        volume_write(&planning->volume, "EFI/nixos/0123-linux-6.1-bzImage.efi", "x");
        volume_write(&planning->volume, "EFI/nixos/KERNEL~1.EFI", "x");
        test_make_folder(planning->volume.path, "EFI/nixos/fw", 0700);
        assert_plan(planning, NULL);
}

static void test_garbage_only(Planning *planning, gconstpointer unused) {
        FakeGeneration rekeyed = two;
        g_autofree char *garbage = kernel("garbage");

        /* What is wanted of 2 is not there yet: what it has stays. */
        rekeyed.key = "new key";
        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &rekeyed);
        volume_put(&planning->volume, &one);
        volume_put(&planning->volume, &two);
        volume_write(&planning->volume, garbage, "garbage");
        volume_write(&planning->volume, "loader/LANZ0000.TMP", "");
        want_loader(planning, "257");
        want_loader_conf(planning, "default x\n");
        planning->wanted.garbage_only = true;
        planning->space.free_bytes = 0;
        assert_plan(planning, "remove-temporary", g_strdup("loader/LANZ0000.TMP"), "remove-image", image(&one),
                    "remove-content", initrd("i1"), "remove-content", kernel("garbage"), NULL);
}

/* --- Keys, boots, counters ------------------------------------------------------------------------------------ */

static void test_new_key(Planning *planning, gconstpointer unused) {
        FakeGeneration rekeyed = three;

        rekeyed.key = "new key";
        rekeyed.tries = 3;
        want_generation(&planning->wanted, &rekeyed);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "+2-1");
        assert_plan(planning, "write-image", image_path(&rekeyed, "+2-1"), "remove-image", image_path(&three, "+2-1"),
                    NULL);
}

static void test_new_key_booted(Planning *planning, gconstpointer unused) {
        FakeGeneration rekeyed = three;
        g_autofree char *old_name = fake_image_name(&three), *new_name = fake_image_name(&rekeyed);

        rekeyed.key = "new key";
        g_free(new_name);
        new_name = fake_image_name(&rekeyed);
        want_generation(&planning->wanted, &rekeyed);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "");
        planning->wanted.booted_entry = g_ascii_strup(old_name, -1);
        planning->wanted.booted_toplevel = strdup("/nix/store/3");
        assert_plan(planning, "write-image", image(&rekeyed), NULL);

        /* As long as it is the booted one it stays, also beside the new one. */
        volume_put_image(&planning->volume, &rekeyed, "current", "");
        assert_plan(planning, NULL);

        /* The new one was booted. */
        g_free(planning->wanted.booted_entry);
        planning->wanted.booted_entry = strdup(new_name);
        assert_plan(planning, "remove-image", image(&three), NULL);
}

static void test_booted_by_toplevel(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_put(&planning->volume, &one);
        volume_put(&planning->volume, &two);
        planning->wanted.booted_toplevel = strdup("/nix/store/1");
        assert_plan(planning, "remove-image", image(&two), "remove-content", initrd("i2"), NULL);
        planning->wanted.booted_entry = strdup("auto-windows");
        assert_plan(planning, "remove-image", image(&two), "remove-content", initrd("i2"), NULL);
}

static void test_booted_is_not_rewritten(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "");
        planning->wanted.booted_entry = fake_image_name(&three);
        assert_plan(planning, NULL);
}

static void test_reused_number(Planning *planning, gconstpointer unused) {
        FakeGeneration again = three;

        /* The same number, another toplevel: another generation, with its own counter. */
        again.toplevel = "/nix/store/3b";
        again.tries = 3;
        want_generation(&planning->wanted, &again);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "current", "+0-3");
        assert_plan(planning, "write-image", image_path(&again, "+3"), "remove-image", image_path(&three, "+0-3"),
                    NULL);
}

static void test_twins(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "current", "+2-1");
        volume_put_image(&planning->volume, &three, "current", "");
        volume_put_image(&planning->volume, &three, "current", "+3");
        assert_plan(planning, "remove-image", image_path(&three, "+2-1"), "remove-image", image_path(&three, "+3"),
                    NULL);
}

static void test_case(Planning *planning, gconstpointer unused) {
        g_autofree char *text = fake_image(three.toplevel, "current", three.kernel, three.initrd);
        g_autofree char *name = fake_image_name(&three), *upper = g_ascii_strup(name, -1);
        g_autofree char *path = g_strdup_printf("EFI/Linux/%s", upper);

        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &three);
        volume_write(&planning->volume, path, text);
        assert_plan(planning, NULL);
}

/* --- Boot loaders --------------------------------------------------------------------------------------------- */

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
        put_loader(planning, SYSTEMD, "258", "other");
        assert_plan(planning, NULL);
        assert_warning(planning, "258");
        planning->wanted.allow_downgrade = true;
        assert_plan(planning, "write-loader", g_strdup(SYSTEMD), NULL);
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

/* --- Size ----------------------------------------------------------------------------------------------------- */

static void test_many(Planning *planning, gconstpointer unused) {
        unsigned count = 50000;
        Inventory *inventory = &planning->inventory;
        gint64 start;

        want_generation(&planning->wanted, &three);
        inventory->images = calloc(count, sizeof(*inventory->images));
        inventory->contents = calloc(count, sizeof(*inventory->contents));
        for (unsigned i = 0; i < count; i++) {
                inventory->images[i] = (EspImage){.regular = true, .size = 1};
                g_assert_cmpint(asprintf(&inventory->images[i].name, "foreign-%u.efi", i), >, 0);
                g_assert_cmpint(string_list_add_format(&inventory->images[i].paths, "EFI/nixos/%u", i), ==, 0);
                inventory->contents[i] = (EspContent){.regular = true, .exact_form = true};
                g_assert_cmpint(asprintf(&inventory->contents[i].name, "%u", i), >, 0);
        }
        inventory->image_count = inventory->content_count = count;
        start = g_get_monotonic_time();
        g_assert_cmpint(plan_make(inventory, &planning->wanted, planning->space, &planning->plan, NULL), ==, 0);
        g_test_message("%u foreign images planned around in %" G_GINT64_FORMAT " ms", count,
                       (g_get_monotonic_time() - start) / 1000);
        g_assert_cmpuint(planning->plan.step_count, ==, 3);
}

#define TEST(name, function) g_test_add("/esp/plan/" name, Planning, NULL, planning_open, function, planning_close)

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        TEST("writes-contents-images-loaders-configuration-in-this-order", test_fresh);
        TEST("is-empty-when-all-is-there", test_nothing_to_do);
        TEST("counts-whole-clusters", test_clusters);
        TEST("says-how-many-bytes-are-missing", test_full);
        TEST("removes-leftovers-first-and-counts-them-as-space", test_leftovers_count_as_space);
        TEST("a-new-entry-starts-with-its-tries", test_tries);
        TEST("an-entry-keeps-its-boot-counter", test_counter_kept);
        TEST("damaged-images-are-replaced-in-place", test_damaged);
        TEST("an-image-that-refers-to-something-else-is-replaced", test_wrong_references);
        TEST("an-image-not-signed-by-the-current-key-is-replaced", test_wrong_signer);
        TEST("a-folder-in-place-of-an-image-skips-it", test_folder_in_place);
        TEST("a-folder-in-place-of-the-default-image-is-an-error", test_folder_in_place_of_default);
        TEST("a-folder-in-place-of-a-content-skips-its-image", test_folder_in_place_of_content);
        TEST("a-folder-in-place-of-the-default's-kernel-is-an-error", test_folder_in_place_of_default_content);
        TEST("nothing-is-changed-if-nothing-bootable-would-remain", test_nothing_bootable);
        TEST("an-empty-volume-has-no-garbage", test_no_garbage_nowhere);
        TEST("shared-contents-stay-and-unshared-ones-go-after-their-image", test_garbage);
        TEST("only-images-of-our-form-and-of-our-key-or-profiles-go", test_whose);
        TEST("another-install's-images-stay", test_other_token);
        TEST("contents-that-a-foreign-image-refers-to-stay", test_foreign_shields);
        TEST("while-an-image-cannot-be-read-no-content-goes", test_unreadable);
        TEST("images-of-an-unreadable-generation-stay", test_shielded);
        TEST("empty-files-of-our-form-go", test_empty);
        TEST("contents-of-another-form-stay", test_inexact);
        TEST("collecting-garbage-writes-nothing-and-leaves-each-generation-its-image", test_garbage_only);
        TEST("a-new-key's-image-inherits-the-boot-counter", test_new_key);
        TEST("the-booted-image-stays-until-its-successor-was-booted", test_new_key_booted);
        TEST("without-a-known-entry-all-images-of-the-booted-system-stay", test_booted_by_toplevel);
        TEST("the-booted-image-is-not-rewritten", test_booted_is_not_rewritten);
        TEST("a-reused-number-is-another-generation", test_reused_number);
        TEST("of-two-files-for-one-entry-the-confirmed-one-stays", test_twins);
        TEST("names-that-differ-in-case-are-one-file", test_case);
        TEST("a-boot-loader-as-new-as-ours-is-kept", test_loader_kept);
        TEST("an-older-damaged-or-unsigned-boot-loader-is-replaced", test_loader_replaced);
        TEST("a-newer-boot-loader-is-replaced-only-when-asked", test_loader_newer);
        TEST("another-system's-fallback-loader-is-left-alone", test_fallback_of_others);
        TEST("loader.conf-is-written-only-if-it-differs", test_loader_conf);
        TEST("tens-of-thousands-of-foreign-files-are-planned-around", test_many);
        return g_test_run();
}
