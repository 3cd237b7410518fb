/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Stops a program at a chosen instant, to see what it leaves behind: FUNCTION runs in a child process that is traced
 * (ptrace(2)) and killed just before its N-th system call that changes files, or makes changes durable. Run for N = 0,
 * 1, … until it is not killed any more, that is a cut at every instant that can make a difference to the files. */

#include <glib.h>
#include <stdbool.h>

/* Returns 0 or a negative errno. */
typedef int (*CutFunction)(void *userdata);

enum { CUT_NEVER = -1 };

/* Returns true if the child was killed, false if FUNCTION ended before, with 0: anything else ends the test. LOG (may
 * be NULL) gets the changing calls, also those that failed, but not the one that was cut: "create PATH", "write PATH",
 * "sync PATH", "mkdir PATH", "rename FROM TO", "remove PATH", with full paths that have no space in them. */
bool cut_before(CutFunction function, void *userdata, int n, GPtrArray *log);

/* Checks by such a log that the calls were durable in their order: nothing was renamed before all of it was synced, and
 * in the end everything was synced. Returns NULL, or the first thing that was not (owned by the caller). */
char *cut_log_check_durable(GPtrArray *log);
