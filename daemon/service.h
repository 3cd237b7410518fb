/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* lanzad without a verb: serves the bus until nobody has asked for a while. */

/* ARGUMENTS are those behind the program's name: --root=DIR, --config=FILE, --keys=DIR and --variables=FILE as of
 * --oneshot, and --idle-timeout=SECONDS. Returns the exit status. */
int service_main(int count, char *arguments[]);
