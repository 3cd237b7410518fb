/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A fixture for tests of the planner. */

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

static inline void planning_open(Planning *planning, gconstpointer unused) {
        *planning = (Planning){.wanted = {.has_signer = true}, .space = {1024 * 1024, 512}};
        volume_open(&planning->volume, NULL);
}

static inline void planning_close(Planning *planning, gconstpointer unused) {
        plan_done(&planning->plan);
        inventory_done(&planning->inventory);
        wanted_done(&planning->wanted);
        failure_done(&planning->failure);
        volume_close(&planning->volume, NULL);
}

static inline int make_plan(Planning *planning) {
        plan_done(&planning->plan);
        inventory_done(&planning->inventory);
        g_assert_cmpint(fake_inventory(planning->volume.fd, &planning->inventory), ==, 0);
        return plan_make(&planning->inventory, &planning->wanted, planning->space, &planning->plan, &planning->failure);
}

/* Makes the plan and compares its steps with EXPECTED: kinds and paths in turn, NULL last; paths are freed. */
static inline void assert_plan(Planning *planning, const char *kind, ...) {
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

static inline void assert_failure(Planning *planning, Condition condition, const char *words) {
        g_assert_cmpint(make_plan(planning), <, 0);
        g_assert_cmpint(planning->failure.condition, ==, condition);
        g_assert_nonnull(strstr(planning->failure.message, words));
        g_assert_cmpuint(planning->plan.step_count, ==, 0);
}

static inline void assert_warning(const Planning *planning, const char *words) {
        g_assert_cmpuint(planning->plan.warnings.count, ==, 1);
        g_assert_nonnull(strstr(planning->plan.warnings.items[0], words));
}

static inline char *kernel(const char *text) {
        return content_path(CONTENT_KERNEL, text);
}

static inline char *initrd(const char *text) {
        return content_path(CONTENT_INITRD, text);
}

static inline char *image(const FakeGeneration *generation) {
        return image_path(generation, "");
}

static inline void want_loader(Planning *planning, const char *version) {
        planning->wanted.loader_version = strdup(version);
        planning->wanted.loader_size = 1000;
}

static inline void want_loader_conf(Planning *planning, const char *text) {
        planning->wanted.has_loader_conf = true;
        g_assert_cmpint(buffer_append_string(&planning->wanted.loader_lines, text), ==, 0);
}

#define PLAN_TEST(name, function) g_test_add("/esp/plan/" name, Planning, NULL, planning_open, function, planning_close)
