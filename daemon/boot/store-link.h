/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Links from one path of the store to another. Whoever owns a folder on the way decides where a link ends, so all of
 * the way must be in the store, not only its end. */

#include <sys/stat.h>

/* Where PATH (absolute, in the store inside ROOT; see daemon/util/root.h) leads to, without links: owned, with what
 * stands there in *ret_st. Returns -EXDEV where a link on the way, or PATH itself, leads out of the store, -ELOOP if
 * there are too many links, -ENAMETOOLONG, or another negative errno, as -ENOENT and -ENOTDIR. */
int store_link_follow(int root, const char *path, char **ret, struct stat *ret_st);
