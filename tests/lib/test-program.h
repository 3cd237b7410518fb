/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Other programs, as judges of what ours made. */

#include <glib.h>

/* Runs PROGRAM with the arguments that follow, up to a NULL, and returns its exit status. *RET_OUTPUT (may be NULL)
 * gets what it wrote to both standard output and standard error, owned by the caller. A program that is not there, or
 * that a signal ends, ends the test. */
int test_run(char **ret_output, const char *program, ...) G_GNUC_NULL_TERMINATED;

/* The same for a program that must succeed: where it does not, its output is shown and the test ends. Returns the
 * output. */
char *test_run_good(const char *program, ...) G_GNUC_NULL_TERMINATED;
