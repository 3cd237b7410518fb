/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Plans for a volume that has no room for everything. */

#include "tests/esp/planning.h"

/* One that is wanted no more. */
static const FakeGeneration gone = {.number = 9, .toplevel = "/nix/store/9", .kernel = "gone", .initrd = "gone"};

enum { GROWTH = 2 * 512, CONTENT = 512, OLD_IMAGE = 2048, NEW_IMAGE = 3072 };

/* The default one is new; two and one are there, and nothing is free. */
static void prepare_update(Planning *planning) {
        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &two);
        want_generation(&planning->wanted, &one);
        volume_put(&planning->volume, &two);
        volume_put(&planning->volume, &one);
}

static void test_garbage_first(Planning *planning, gconstpointer unused) {
        g_autofree char *garbage = kernel("garbage");

        prepare_update(planning);
        volume_put(&planning->volume, &gone);
        volume_write(&planning->volume, garbage, "garbage");
        planning->space.free_bytes = 2 * CONTENT + NEW_IMAGE + GROWTH;
        assert_plan(planning, "write-content", kernel("k3"), "write-content", initrd("i3"), "write-image",
                    image(&three), "remove-image", image(&gone), "remove-content", initrd("gone"), "remove-content",
                    kernel("gone"), "remove-content", kernel("garbage"), NULL);
        /* A content is enough; then, with the image, what only that needs. */
        planning->space.free_bytes--;
        assert_plan(planning, "remove-content", kernel("garbage"), "write-content", kernel("k3"), "write-content",
                    initrd("i3"), "write-image", image(&three), "remove-image", image(&gone), "remove-content",
                    initrd("gone"), "remove-content", kernel("gone"), NULL);
        planning->space.free_bytes -= CONTENT;
        assert_plan(planning, "remove-image", image(&gone), "remove-content", initrd("gone"), "remove-content",
                    kernel("gone"), "remove-content", kernel("garbage"), "write-content", kernel("k3"), "write-content",
                    initrd("i3"), "write-image", image(&three), NULL);
        g_assert_cmpuint(planning->plan.warnings.count, ==, 0);
        g_assert_cmpuint(planning->plan.left_out.count, ==, 0);
}

/* What runs is not known, and all that could be booted is wanted no more: the newest of it stays until there is more.
 */
static void test_newest_garbage_last(Planning *planning, gconstpointer unused) {
        FakeGeneration ten = {.number = 10, .toplevel = "/nix/store/10", .kernel = "gone", .initrd = "i10"};

        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &ten);
        volume_put(&planning->volume, &gone);
        planning->space.free_bytes = 2 * CONTENT + NEW_IMAGE + GROWTH - 1;
        assert_plan(planning, "remove-image", image(&gone), "remove-content", initrd("gone"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), "remove-image",
                    image(&ten), "remove-content", initrd("i10"), "remove-content", kernel("gone"), NULL);
        planning->space.free_bytes -= OLD_IMAGE + CONTENT;
        assert_plan(planning, "remove-image", image(&ten), "remove-image", image(&gone), "remove-content",
                    initrd("gone"), "remove-content", initrd("i10"), "remove-content", kernel("gone"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), NULL);
}

static void test_oldest_goes(Planning *planning, gconstpointer unused) {
        prepare_update(planning);
        planning->wanted.images[0].size = 2 * NEW_IMAGE;
        planning->space.free_bytes = 2 * CONTENT + 2 * NEW_IMAGE + GROWTH - 1;
        assert_plan(planning, "remove-image", image(&one), "remove-content", initrd("i1"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), NULL);
        assert_warning(planning, "no room for generation 1 on the EFI system partition: its boot files have to go");
        g_assert_nonnull(strstr(planning->plan.warnings.items[0], " 1 bytes are missing"));
        g_assert_cmpuint(planning->plan.left_out.count, ==, 1);
        g_assert_cmpstr(planning->plan.left_out.items[0], ==, "generation 1");

        /* With one cluster more to win both go, with the kernel that they share. */
        planning->space.free_bytes -= OLD_IMAGE + CONTENT;
        assert_plan(planning, "remove-image", image(&one), "remove-image", image(&two), "remove-content", initrd("i2"),
                    "remove-content", initrd("i1"), "remove-content", kernel("k1"), "write-content", kernel("k3"),
                    "write-content", initrd("i3"), "write-image", image(&three), NULL);
        g_assert_cmpuint(planning->plan.left_out.count, ==, 2);
        g_assert_cmpstr(planning->plan.left_out.items[0], ==, "generation 2");

        planning->space.free_bytes -= OLD_IMAGE + 2 * CONTENT;
        assert_failure(planning, CONDITION_ESP_FULL, " 1 are missing");
}

static void test_oldest_by_time(Planning *planning, gconstpointer unused) {
        prepare_update(planning);
        for (size_t i = 0; i < 3; i++)
                planning->wanted.images[i].made = 100 + i;
        planning->space.free_bytes = 2 * CONTENT + NEW_IMAGE + GROWTH - 1;
        assert_plan(planning, "remove-image", image(&two), "remove-content", initrd("i2"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), NULL);
}

/* Neither what was booted nor what was confirmed goes, though it is the oldest. */
static void test_protected(Planning *planning, gconstpointer unused) {
        prepare_update(planning);
        planning->space.free_bytes = 2 * CONTENT + NEW_IMAGE + GROWTH - 1;
        planning->wanted.booted_toplevel = strdup(one.toplevel);
        assert_plan(planning, "remove-image", image(&two), "remove-content", initrd("i2"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), NULL);
        planning->wanted.booted_entry = fake_image_name(&two);
        assert_plan(planning, "remove-image", image(&one), "remove-content", initrd("i1"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), NULL);
        planning->wanted.images[2].is_protected = true;
        assert_failure(planning, CONDITION_ESP_FULL, " 1 are missing");
        failure_done(&planning->failure);
        planning->wanted.images[2].is_protected = false;
        g_assert_cmpint(wanted_add_shielded(&planning->wanted, "", 1), ==, 0);
        assert_failure(planning, CONDITION_ESP_FULL, " 1 are missing");
}

/* A specialisation is protected with its generation, and goes with it. */
static void test_groups(Planning *planning, gconstpointer unused) {
        FakeGeneration special = {
                .number = 1, .specialisation = "x", .toplevel = "/nix/store/1x", .kernel = "k1", .initrd = "ix"};

        prepare_update(planning);
        want_generation(&planning->wanted, &special);
        volume_put(&planning->volume, &special);
        planning->space.free_bytes = 2 * CONTENT + NEW_IMAGE + GROWTH - 1;
        assert_plan(planning, "remove-image", image(&one), "remove-content", initrd("i1"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), "remove-image",
                    image(&special), "remove-content", initrd("ix"), NULL);
        planning->space.free_bytes -= OLD_IMAGE + CONTENT;
        assert_plan(planning, "remove-image", image(&one), "remove-image", image(&special), "remove-content",
                    initrd("ix"), "remove-content", initrd("i1"), "write-content", kernel("k3"), "write-content",
                    initrd("i3"), "write-image", image(&three), NULL);
        planning->space.free_bytes += OLD_IMAGE + CONTENT;
        planning->wanted.booted_toplevel = strdup(special.toplevel);
        assert_plan(planning, "remove-image", image(&two), "remove-content", initrd("i2"), "write-content",
                    kernel("k3"), "write-content", initrd("i3"), "write-image", image(&three), NULL);
}

/* The new image of a generation takes its old one's place; those of the oldest go first, and the default's stays until
 * the new one is there. */
static void test_replaced_first(Planning *planning, gconstpointer unused) {
        const FakeGeneration *old[] = {&three, &two, &one};
        FakeGeneration rekeyed[] = {three, two, one};

        for (size_t i = 0; i < 3; i++) {
                rekeyed[i].key = "new key";
                want_generation(&planning->wanted, &rekeyed[i]);
                volume_put_contents(&planning->volume, old[i]);
                volume_put_image(&planning->volume, old[i], "held", "+3");
        }
        planning->space.free_bytes = 3 * NEW_IMAGE + GROWTH - OLD_IMAGE;
        assert_plan(planning, "remove-image", image_path(&one, "+3"), "write-image", image_path(&rekeyed[0], "+3"),
                    "write-image", image_path(&rekeyed[1], "+3"), "write-image", image_path(&rekeyed[2], "+3"),
                    "remove-image", image_path(&two, "+3"), "remove-image", image_path(&three, "+3"), NULL);
        g_assert_cmpuint(planning->plan.left_out.count, ==, 0);
        planning->space.free_bytes -= OLD_IMAGE;
        assert_plan(planning, "remove-image", image_path(&one, "+3"), "remove-image", image_path(&two, "+3"),
                    "write-image", image_path(&rekeyed[0], "+3"), "write-image", image_path(&rekeyed[1], "+3"),
                    "write-image", image_path(&rekeyed[2], "+3"), "remove-image", image_path(&three, "+3"), NULL);
        planning->space.free_bytes--;
        g_assert_cmpint(make_plan(planning), ==, 0);
        g_assert_cmpuint(planning->plan.left_out.count, ==, 1);
}

/* In place: under the same name. */
static void test_replaced_in_place_first(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &one);
        volume_put_contents(&planning->volume, &three);
        volume_put_contents(&planning->volume, &one);
        volume_put_image(&planning->volume, &three, "held", "+2-1");
        volume_put_image(&planning->volume, &one, "held", "+2-1");
        planning->space.free_bytes = 2 * NEW_IMAGE + GROWTH - OLD_IMAGE;
        assert_plan(planning, "remove-image", image_path(&one, "+2-1"), "write-image", image_path(&three, "+2-1"),
                    "write-image", image_path(&one, "+2-1"), NULL);
        g_assert_cmpuint(planning->plan.takes, ==, 2 * NEW_IMAGE);
        g_assert_cmpuint(planning->plan.frees, ==, 2 * OLD_IMAGE);
}

/* The default's image stays until it is replaced, so what it refers to does, too. */
static void test_needed_until_replaced(Planning *planning, gconstpointer unused) {
        g_autofree char *garbage = kernel("garbage"), *path = image(&three);
        g_autofree char *text = fake_image(three.toplevel, "current", gone.kernel, gone.initrd);

        want_generation(&planning->wanted, &three);
        volume_put_contents(&planning->volume, &gone);
        volume_write(&planning->volume, path, text);
        volume_write(&planning->volume, garbage, "garbage");
        planning->space.free_bytes = 2 * CONTENT + NEW_IMAGE + GROWTH - 1;
        assert_plan(planning, "remove-content", kernel("garbage"), "write-content", kernel("k3"), "write-content",
                    initrd("i3"), "write-image", image(&three), "remove-content", initrd("gone"), "remove-content",
                    kernel("gone"), NULL);
}

/* What a first run left out the second must not write: though its images turned out smaller than they might be. */
static void test_stable(Planning *planning, gconstpointer unused) {
        static const char loader[] = "MZ\nsigner=current\n#### LoaderInfo: systemd-boot 257 ####\nend\n";

        planning->space.free_bytes = 64 * 1024;
        want_loader(planning, "257");
        want_generation(&planning->wanted, &three);
        want_generation(&planning->wanted, &two);
        want_generation(&planning->wanted, &one);
        for (uint64_t free_bytes = 64 * 1024; free_bytes > 0; free_bytes -= 512) {
                planning->space.free_bytes = free_bytes;
                failure_done(&planning->failure);
                if (make_plan(planning) < 0)
                        break;
                size_t left_out = planning->plan.left_out.count;
                uint64_t used = (3 - left_out) * OLD_IMAGE +
                                (left_out == 0   ? 5
                                 : left_out == 1 ? 4
                                                 : 2) *
                                        CONTENT +
                                2 * 512;

                volume_write(&planning->volume, "EFI/systemd/systemd-bootx64.efi", loader);
                volume_write(&planning->volume, "EFI/BOOT/BOOTX64.EFI", loader);
                volume_put(&planning->volume, &three);
                if (left_out < 2)
                        volume_put(&planning->volume, &two);
                if (left_out < 1)
                        volume_put(&planning->volume, &one);
                planning->space.free_bytes -= used;
                g_assert_cmpint(make_plan(planning), ==, 0);
                g_assert_cmpuint(planning->plan.step_count, ==, 0);
                g_assert_cmpuint(planning->plan.left_out.count, ==, left_out);
                volume_close(&planning->volume, NULL);
                volume_open(&planning->volume, NULL);
        }
        g_assert_cmpint(planning->failure.condition, ==, CONDITION_ESP_FULL);
}

static void test_full_hint(Planning *planning, gconstpointer unused) {
        want_generation(&planning->wanted, &three);
        volume_put(&planning->volume, &one);
        volume_write(&planning->volume, "EFI/nixos/somebody's", "x");
        planning->space.free_bytes = 0;
        planning->wanted.booted_toplevel = strdup(one.toplevel);
        assert_failure(planning, CONDITION_ESP_FULL, "even without every generation that may go");
        g_assert_nonnull(strstr(planning->failure.hint, "not lanzad's have 512 bytes"));
        failure_done(&planning->failure);
        g_assert_cmpint(unlinkat(planning->volume.fd, "EFI/nixos/somebody's", 0), ==, 0);
        assert_failure(planning, CONDITION_ESP_FULL, "even without every generation that may go");
        g_assert_nonnull(strstr(planning->failure.hint, "What was booted, and is not to stay, has 3072 bytes"));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        PLAN_TEST("where-room-is-short-garbage-goes-first", test_garbage_first);
        PLAN_TEST("of-images-that-are-garbage-the-newest-goes-last", test_newest_garbage_last);
        PLAN_TEST("then-the-oldest-generations-go-and-only-as-many-as-needed", test_oldest_goes);
        PLAN_TEST("the-oldest-generations-are-so-by-time", test_oldest_by_time);
        PLAN_TEST("the-default-the-booted-the-confirmed-and-shielded-ones-never-go-to-make-room", test_protected);
        PLAN_TEST("a-generation-goes-with-its-specialisations", test_groups);
        PLAN_TEST("an-image-gives-way-to-its-successor-first-if-need-be", test_replaced_first);
        PLAN_TEST("and-also-under-the-same-name", test_replaced_in_place_first);
        PLAN_TEST("what-an-image-refers-to-stays-as-long-as-the-image", test_needed_until_replaced);
        PLAN_TEST("what-was-left-out-is-not-written-by-a-second-run", test_stable);
        PLAN_TEST("what-would-free-space-is-said", test_full_hint);
        return g_test_run();
}
