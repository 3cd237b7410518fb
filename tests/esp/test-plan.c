/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "tests/esp/planning.h"

/* --- Writing -------------------------------------------------------------------------------------------------- */

static void test_fresh(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &two);
        want_generation(&planning->wanted, &one);
        want_loader(planning, "257");
        want_loader_conf(planning, "timeout 1\n");
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
        want_loader_conf(planning, "timeout 1\n");
        volume_write(&planning->volume, "loader/loader.conf", "timeout 1\ndefault nixos-*\n");
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
        /* Two contents and an image; a cluster of names in each of their folders, and EFI itself. */
        planning->space = (VolumeSpace){512 + 512 + 3072 + 3 * 512 - 1, 512};
        assert_failure(planning, CONDITION_ESP_FULL, " 1 are missing");

        planning->space.free_bytes++;
        failure_done(&planning->failure);
        g_assert_cmpint(make_plan(planning), ==, 0);
}

static void test_leftovers_count_as_space(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_write(&planning->volume, "EFI/nixos/LANZ0007.TMP", "left over");
        planning->space = (VolumeSpace){512 + 3072 + 3 * 512, 512};
        assert_plan(planning, "remove-temporary", g_strdup("EFI/nixos/LANZ0007.TMP"), "write-content", kernel("k3"),
                    "write-content", initrd("i3"), "write-image", image(&three), NULL);
}

/* --- Counters and damage -------------------------------------------------------------------------------------- */

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

/* An image without counter says that it was confirmed good; what can't be read says nothing. */
static void test_damaged_without_counter(Planning *planning, gconstpointer unused) {
        FakeGeneration counted = three;
        g_autofree char *cut = image(&three), *new = image_path(&three, "+3");

        counted.tries = 3;
        want_generation(&planning->wanted, &counted);
        volume_put_contents(&planning->volume, &three);
        volume_write(&planning->volume, cut, "");
        assert_plan(planning, "write-image", image_path(&counted, "+3"), "remove-image", image(&three), NULL);
        volume_write(&planning->volume, cut, "MZ cut");
        assert_plan(planning, "write-image", image_path(&counted, "+3"), "remove-image", image(&three), NULL);

        /* A cut may leave both empty. */
        volume_write(&planning->volume, new, "");
        assert_plan(planning, "write-image", image_path(&counted, "+3"), "remove-image", image(&three), NULL);

        /* And after a cut between the two. */
        volume_put_image(&planning->volume, &three, "current", "+3");
        assert_plan(planning, "remove-image", image(&three), NULL);
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);
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
        assert_failure(planning, CONDITION_NOTHING_BOOTABLE, "No boot image");
        failure_done(&planning->failure);
        planning->wanted.garbage_only = true;
        assert_failure(planning, CONDITION_NOTHING_BOOTABLE, "No boot image");
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
        want_loader_conf(planning, "timeout 1\n");
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

/* What was confirmed good stays beside its successor until that was, too, or another generation was. */
static void test_confirmed_stays(Planning *planning, gconstpointer unused) {
        FakeGeneration rekeyed = three;
        g_autofree char *used_up = NULL, *confirmed = NULL;

        rekeyed.key = "new key";
        rekeyed.tries = 3;
        used_up = image_path(&rekeyed, "+0-3");
        want_generation(&planning->wanted, &rekeyed);
        planning->wanted.images[0].is_confirmed = true;
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "");
        volume_put_image(&planning->volume, &rekeyed, "current", "+0-3");
        assert_plan(planning, NULL);

        planning->wanted.images[0].is_confirmed = false;
        assert_plan(planning, "remove-image", image(&three), NULL);

        planning->wanted.images[0].is_confirmed = true;
        g_assert_cmpint(unlinkat(planning->volume.fd, used_up, 0), ==, 0);
        volume_put_image(&planning->volume, &rekeyed, "current", "");
        assert_plan(planning, "remove-image", image(&three), NULL);

        /* One with a counter says nothing. */
        confirmed = image(&three);
        g_assert_cmpint(unlinkat(planning->volume.fd, confirmed, 0), ==, 0);
        volume_put_image(&planning->volume, &three, "held", "+1-2");
        assert_plan(planning, "remove-image", image_path(&three, "+1-2"), NULL);
}

/* What it does not say itself another image of the generation does. */
static void test_damaged_beside_confirmed(Planning *planning, gconstpointer unused) {
        FakeGeneration rekeyed = three;
        g_autofree char *empty = NULL;

        rekeyed.key = "new key";
        rekeyed.tries = 3;
        empty = image(&rekeyed);
        want_generation(&planning->wanted, &rekeyed);
        planning->wanted.images[0].is_confirmed = true;
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "");
        volume_write(&planning->volume, empty, "");
        assert_plan(planning, "write-image", image(&rekeyed), "remove-image", image(&three), NULL);
}

/* The new image gets the counter of the booted one, which was not confirmed yet. */
static void test_confirmed_stays_beside_booted(Planning *planning, gconstpointer unused) {
        FakeGeneration rekeyed = three, booted = three;

        booted.key = "second key";
        rekeyed.key = "new key";
        rekeyed.tries = 3;
        want_generation(&planning->wanted, &rekeyed);
        planning->wanted.images[0].is_confirmed = true;
        planning->wanted.booted_entry = fake_image_name(&booted);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "held", "");
        volume_put_image(&planning->volume, &booted, "held", "+2-1");
        assert_plan(planning, "write-image", image_path(&rekeyed, "+2-1"), NULL);
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

static void test_same_toplevel(Planning *planning, gconstpointer unused) {
        FakeGeneration again = three;

        /* The same toplevel as a new generation: it starts with its own tries. */
        again.number = 4;
        again.key = "key of another name";
        again.tries = 3;
        want_generation(&planning->wanted, &again);
        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &three);
        volume_put_image(&planning->volume, &three, "current", "+0-3");
        assert_plan(planning, "write-image", image_path(&again, "+3"), NULL);
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

/* A cut may leave a temporary file and its final name as one file. */
static void test_leftover_twins(Planning *planning, gconstpointer unused) {
        g_autofree char *garbage = kernel("garbage"), *wanted = kernel("k3"), *old = image(&one);
        g_autofree char *text = fake_image(one.toplevel, "current", one.kernel, one.initrd);

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &three);
        volume_put(&planning->volume, &one);
        volume_write(&planning->volume, garbage, "garbage");
        volume_write(&planning->volume, "EFI/nixos/LANZ0000.TMP", "k3");
        volume_write(&planning->volume, "EFI/nixos/LANZ0001.TMP", "garbage");
        volume_write(&planning->volume, "EFI/nixos/LANZ0002.TMP", "Garbage");
        volume_write(&planning->volume, "EFI/Linux/LANZ0003.TMP", text);
        volume_write(&planning->volume, "loader/loader.conf", "default old\n");
        volume_write(&planning->volume, "loader/LANZ0004.TMP", "default old\n");
        want_loader_conf(planning, "timeout 1\n");
        assert_plan(planning, "remove-temporary", g_strdup("EFI/nixos/LANZ0002.TMP"), NULL);
        g_assert_cmpuint(planning->plan.warnings.count, ==, 4);
        g_assert_nonnull(strstr(planning->plan.warnings.items[0], "EFI/Linux/LANZ0003.TMP"));
        g_assert_nonnull(strstr(planning->plan.warnings.items[0], old));
        g_assert_nonnull(strstr(planning->plan.warnings.items[1], wanted));
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

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        PLAN_TEST("writes-contents-images-loaders-configuration-in-this-order", test_fresh);
        PLAN_TEST("is-empty-when-all-is-there", test_nothing_to_do);
        PLAN_TEST("counts-whole-clusters", test_clusters);
        PLAN_TEST("says-how-many-bytes-are-missing", test_full);
        PLAN_TEST("removes-leftovers-first-and-counts-them-as-space", test_leftovers_count_as_space);
        PLAN_TEST("a-new-entry-starts-with-its-tries", test_tries);
        PLAN_TEST("an-entry-keeps-its-boot-counter", test_counter_kept);
        PLAN_TEST("damaged-images-are-replaced-in-place", test_damaged);
        PLAN_TEST("an-unreadable-image-without-counter-hands-none-down", test_damaged_without_counter);
        PLAN_TEST("an-image-that-refers-to-something-else-is-replaced", test_wrong_references);
        PLAN_TEST("an-image-not-signed-by-the-current-key-is-replaced", test_wrong_signer);
        PLAN_TEST("a-folder-in-place-of-an-image-skips-it", test_folder_in_place);
        PLAN_TEST("a-folder-in-place-of-the-default-image-is-an-error", test_folder_in_place_of_default);
        PLAN_TEST("a-folder-in-place-of-a-content-skips-its-image", test_folder_in_place_of_content);
        PLAN_TEST("a-folder-in-place-of-the-default's-kernel-is-an-error", test_folder_in_place_of_default_content);
        PLAN_TEST("nothing-is-changed-if-nothing-bootable-would-remain", test_nothing_bootable);
        PLAN_TEST("an-empty-volume-has-no-garbage", test_no_garbage_nowhere);
        PLAN_TEST("shared-contents-stay-and-unshared-ones-go-after-their-image", test_garbage);
        PLAN_TEST("only-images-of-our-form-and-of-our-key-or-profiles-go", test_whose);
        PLAN_TEST("another-install's-images-stay", test_other_token);
        PLAN_TEST("contents-that-a-foreign-image-refers-to-stay", test_foreign_shields);
        PLAN_TEST("while-an-image-cannot-be-read-no-content-goes", test_unreadable);
        PLAN_TEST("images-of-an-unreadable-generation-stay", test_shielded);
        PLAN_TEST("empty-files-of-our-form-go", test_empty);
        PLAN_TEST("contents-of-another-form-stay", test_inexact);
        PLAN_TEST("collecting-garbage-writes-nothing-and-leaves-each-generation-its-image", test_garbage_only);
        PLAN_TEST("a-new-key's-image-inherits-the-boot-counter", test_new_key);
        PLAN_TEST("the-booted-image-stays-until-its-successor-was-booted", test_new_key_booted);
        PLAN_TEST("what-was-confirmed-good-stays-until-its-successor-was", test_confirmed_stays);
        PLAN_TEST("what-was-confirmed-good-says-so-of-what-cannot-be-read", test_damaged_beside_confirmed);
        PLAN_TEST("what-was-confirmed-good-stays-beside-what-was-booted", test_confirmed_stays_beside_booted);
        PLAN_TEST("without-a-known-entry-all-images-of-the-booted-system-stay", test_booted_by_toplevel);
        PLAN_TEST("the-booted-image-is-not-rewritten", test_booted_is_not_rewritten);
        PLAN_TEST("a-reused-number-is-another-generation", test_reused_number);
        PLAN_TEST("the-same-toplevel-as-another-generation-counts-anew", test_same_toplevel);
        PLAN_TEST("of-two-files-for-one-entry-the-confirmed-one-stays", test_twins);
        PLAN_TEST("names-that-differ-in-case-are-one-file", test_case);
        PLAN_TEST("a-leftover-that-may-be-another-name-of-a-file-is-left-with-it", test_leftover_twins);
        PLAN_TEST("tens-of-thousands-of-foreign-files-are-planned-around", test_many);
        return g_test_run();
}
