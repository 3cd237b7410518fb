/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* lanzad --oneshot VERB: one operation in the foreground, without a bus. */

/* ARGUMENTS are those behind --oneshot, the verb first. Prints the result as JSON to standard output and messages for a
 * person to standard error; returns the exit status. */
int oneshot_main(int count, char *arguments[]);
