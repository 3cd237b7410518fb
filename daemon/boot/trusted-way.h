/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether nobody but root (or our own user) decides where a path leads. */

#include <sys/stat.h>

#include "daemon/util/failure.h"

/* Looks at each folder and link on the way from ROOT (daemon/util/root.h) to the folder at PATH:
 * CONDITION_BAD_CONFIGURATION names the first that others own or may rename things in. Another negative errno if one
 * cannot be looked at. */
int trusted_way_check(int root, const char *path, Failure *failure);

/* What is said of one: WHAT is "The folder" or so. */
int trusted_way_refuse(const char *what, const char *path, const struct stat *st, Failure *failure);
