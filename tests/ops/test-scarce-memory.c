/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Operations whose allocations fail, one after the other: none crashes, leaks (the sanitizer says so), or tells a
 * result that is not the whole one; and what one leaves behind, the next one mends. */

#include <errno.h>
#include <ftw.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/test-folder.h"
#include "tests/ops/machine-fixture.h"

/* About so many allocations are tried of each operation, spread evenly. */
enum { SAMPLES = 150 };

typedef struct Case {
        const char *verb;
        const char *parameter, *value;
        void (*prepare)(Machine *machine); /* before each time; NULL: nothing */
} Case;

static Outcome *run(Machine *machine, const Case *wanted, unsigned failing) {
        Outcome *outcome;

        if (wanted->prepare)
                wanted->prepare(machine);
        machine->failing_allocation = failing;
        outcome = machine_run(machine, wanted->verb, wanted->parameter, wanted->value, NULL);
        machine->failing_allocation = 0;
        return outcome;
}

/* How much is free on a disk that others use, too, is not compared. */
static char *without_free_bytes(char *text) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line; line++)
                if (g_str_has_prefix(*line, "bytes-free="))
                        **line = '\0';
        g_free(text);
        return g_strjoinv("\n", lines);
}

/* What came of it, the time aside; NULL: it failed. */
static char *text_of(Machine *machine, const Case *wanted, unsigned failing, int *ret_status) {
        _cleanup_(outcome_freep) Outcome *outcome = NULL;

        machine->now = 1700000000;
        outcome = run(machine, wanted, failing);
        *ret_status = outcome->status;
        if (outcome->status >= 0)
                return without_free_bytes(outcome_text(outcome));
        g_assert_true(outcome->failure.message || outcome->status == -ENOMEM);
        return NULL;
}

static void show_difference(const char *verb, unsigned allocation, const char *text, const char *expected) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1), expected_lines = g_strsplit(expected, "\n", -1);

        for (char **line = lines; *line; line++)
                if (!g_strv_contains((const char *const *)expected_lines, *line))
                        g_test_message("%s, allocation %u: %s", verb, allocation, *line);
        for (char **line = expected_lines; *line; line++)
                if (!g_strv_contains((const char *const *)lines, *line))
                        g_test_message("%s, allocation %u: missing: %s", verb, allocation, *line);
        g_test_fail();
}

/* A warning or a problem says why something is missing. */
static bool is_told(const char *text) {
        return strstr(text, "Cannot allocate memory") || strstr(text, "out of memory");
}

static void check(Machine *machine, const Case *wanted) {
        unsigned count, step, tolerated = 0;
        g_autofree char *expected = NULL;
        int status, r;

        expected = text_of(machine, wanted, 0, &status);
        g_assert_nonnull(expected);
        count = machine->allocations;
        step = g_getenv("LANZA_LONG") ? 1 : count / SAMPLES + 1;
        for (unsigned i = 1 + g_test_rand_int_range(0, step); i <= count; i += step) {
                g_autofree char *text = text_of(machine, wanted, i, &r);

                if (!text)
                        continue;
                tolerated++;
                if (is_told(text))
                        continue;
                if (r != status || strcmp(text, expected) != 0)
                        show_difference(wanted->verb, i, text, expected);
        }
        g_test_message("%s: %u allocations, every %u. tried, %u made no difference", wanted->verb, count, step,
                       tolerated);
}

static Machine *enforcing_machine(void) {
        Machine *machine = machine_new_typical(/* has_firmware= */ true);

        machine_add_generation(machine, &(MachineGeneration){.number = 3, .specialisation = "other"});
        machine_enforce(machine);
        return machine;
}

static void test_questions(void) {
        static const char *const verbs[] = {"status", "list", "list-enrolled-keys", "security"};
        _cleanup_(machine_freep) Machine *machine = enforcing_machine();
        g_autofree char *before = machine_snapshot(machine, "boot"), *after = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
                check(machine, &(Case){verbs[i]});
        after = machine_snapshot(machine, "boot");
        g_assert_cmpstr(before, ==, after);
}

static int remove_below(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        return ftw->level > 0 ? remove(path) : 0;
}

static void empty_esp(Machine *machine) {
        g_autofree char *boot = test_path(machine->root, "boot");

        g_assert_cmpint(nftw(boot, remove_below, /* nopenfd= */ 16, FTW_DEPTH | FTW_PHYS), ==, 0);
}

static void test_sync(void) {
        _cleanup_(machine_freep) Machine *machine = enforcing_machine();

        check(machine, &(Case){"sync", .prepare = empty_esp});
}

static void test_again(void) {
        _cleanup_(machine_freep) Machine *machine = enforcing_machine();

        check(machine, &(Case){"sync"});
        check(machine, &(Case){"gc"});
        check(machine, &(Case){"sync", "restub", "yes"});
}

/* Back to Setup Mode, with nothing in it. */
static void forget_firmware(Machine *machine) {
        variables_free(machine->variables);
        g_assert_cmpint(variables_new_memory(&machine->variables), ==, 0);
}

static void test_enrollment(void) {
        _cleanup_(machine_freep) Machine *machine = machine_new_typical(/* has_firmware= */ true);

        outcome_free(machine_run_status(machine, 0, "sync", NULL));
        check(machine, &(Case){"enroll-keys", "yes-this-might-brick-my-machine", "yes", forget_firmware});
        check(machine, &(Case){"enroll-keys", "microsoft", "all", forget_firmware});
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ops/scarce-memory/is-told-or-makes-no-difference-to-an-answer", test_questions);
        g_test_add_func("/ops/scarce-memory/sync-does-it-all-or-fails", test_sync);
        g_test_add_func("/ops/scarce-memory/sync-again-does-it-all-or-fails", test_again);
        g_test_add_func("/ops/scarce-memory/enrollment-does-it-all-or-fails", test_enrollment);
        return g_test_run();
}
