/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which of our entries systemd-boot takes where several match: the first in the order of its menu. */

#include <stdbool.h>

/* Whether the image NAME comes before OTHER, with TOKEN (NULL: the default): one with tries left, or without counter,
 * before one whose tries are used up; then the newer generation, of whatever profile; then the system before its
 * specialisations. (Sort keys that differ from generation to generation, and what is not ours, are passed over: only
 * the images' sections tell them.) UAPI.1, "Sorting". */
bool entry_is_before(const char *name, const char *other, const char *token);
