/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which systemd-boot a binary is, and whether another is newer. */

#include "daemon/util/span.h"

enum { LOADER_VERSION_MAX = 127 };

/* Finds "#### LoaderInfo: systemd-boot VERSION ####" in a boot loader binary, the mark by which bootctl knows it too.
 * VERSION is 1 to LOADER_VERSION_MAX printable ASCII characters without spaces. Returns -ENOENT if there is none (it is
 * no systemd-boot). Owned. */
int loader_version_find(Span binary, char **ret);

/* Negative if A is older than B, zero if they are equally new, positive if A is newer: "257.4" < "257.10", "258~rc1" <
 * "258". UAPI.10 Version Format Specification. */
int version_compare(const char *a, const char *b);
