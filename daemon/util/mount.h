/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "daemon/util/span.h"

/* Whether the file that FD is can be written to elsewhere, but not here: the mount it was reached by is read-only, and
 * the file system is not. So a sandbox looks from inside. False where it cannot be told. */
bool mount_hides_writable(int fd);

/* The same, of the mount with the number ID in TABLE, the text of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
bool mount_table_hides_writable(Span table, uint64_t id);
