/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/util/failure.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

/* Every condition is complete: a D-Bus name, an exit status of the manual page, an errno of its own. */
static void test_table(void) {
        g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

        for (Condition condition = 0; condition < CONDITION_COUNT; condition++) {
                const char *name = condition_name(condition);
                int status = condition_exit_status(condition), error = condition_errno(condition);

                g_assert_nonnull(name);
                g_assert_true(g_regex_match_simple("^[A-Z][A-Za-z]+$", name, 0, 0));
                g_assert_true(g_hash_table_add(names, (char *)name));
                g_assert_true(status == 1 || status == 3);
                g_assert_cmpint(error, <, 0);
        }
}

/* A refusal that the caller can mend says how, and a sentence ends with a full stop or a command to type. */
static void test_hints(void) {
        for (Condition condition = 0; condition < CONDITION_COUNT; condition++) {
                _cleanup_(failure_done) Failure failure = {};
                const char *hint;

                failure_set(&failure, condition, "x");
                hint = failure_hint(&failure);
                if (!hint && condition_exit_status(condition) == 3 && condition != CONDITION_FIRMWARE_REFUSED)
                        g_error("%s has no hint", condition_name(condition));
                if (hint) {
                        g_assert_true(g_ascii_isupper(hint[0]));
                        g_assert_true(g_str_has_suffix(hint, ".") || strchr(hint, ':'));
                }
        }
}

static void test_set(void) {
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(failure_set(&failure, CONDITION_NO_KEYS, "no key in %s", "/x"), ==,
                        condition_errno(CONDITION_NO_KEYS));
        g_assert_cmpstr(failure.message, ==, "no key in /x");
        g_assert_nonnull(strstr(failure_hint(&failure), "create-keys"));

        /* the first one is nearest to the cause, and stays */
        g_assert_cmpint(failure_set(&failure, CONDITION_BUSY, "later"), ==, condition_errno(CONDITION_BUSY));
        g_assert_cmpint(failure_set_errno(&failure, -EIO, "later"), ==, -EIO);
        g_assert_cmpstr(failure.message, ==, "no key in /x");
        g_assert_cmpint(failure.condition, ==, CONDITION_NO_KEYS);

        failure_set_hint(&failure, "try %d", 1);
        failure_set_hint(&failure, "try %d", 2);
        g_assert_cmpstr(failure_hint(&failure), ==, "try 2");
        failure_done(&failure);
        g_assert_null(failure.message);
        failure_done(&failure);
}

static void test_errno(void) {
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(failure_set_errno(&failure, -ENOSPC, "Cannot write %s", "/x"), ==, -ENOSPC);
        g_assert_cmpint(failure.condition, ==, CONDITION_FAILED);
        g_assert_cmpstr(failure.message, ==, "Cannot write /x: No space left on device");
        g_assert_null(failure_hint(&failure));
}

static void test_nobody_listens(void) {
        _cleanup_(failure_done) Failure failure = {};

        g_assert_cmpint(failure_set(NULL, CONDITION_BUSY, "x"), ==, condition_errno(CONDITION_BUSY));
        g_assert_cmpint(failure_set_errno(NULL, -EIO, "x"), ==, -EIO);
        failure_set_hint(NULL, "x");
        failure_set_hint(&failure, "of nothing");
        g_assert_null(failure.hint);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/util/failure/every-condition-is-complete", test_table);
        g_test_add_func("/util/failure/refusals-say-what-mends-them", test_hints);
        g_test_add_func("/util/failure/the-first-one-stays", test_set);
        g_test_add_func("/util/failure/an-errno-becomes-text", test_errno);
        g_test_add_func("/util/failure/can-be-ignored", test_nobody_listens);
        return g_test_run();
}
