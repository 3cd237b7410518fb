/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The configuration, /etc/lanza/lanzad.conf and the *.conf files of lanzad.conf.d. units/lanzad.conf describes each
 * key.
 *
 * Lines are [Section], Key=value, comments (first character # or ;) or empty; white space around key and value does not
 * count. Lists are separated by spaces. A later value replaces an earlier one, an empty value brings the default back.
 * Paths are absolute, without "." and ".." parts. An unknown section or key is a warning with file and line, a bad
 * value is BadConfiguration with file and line. */

#include "daemon/ops/settings.h"
#include "daemon/util/failure.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

#define CONFIG_FILE "/etc/lanza/lanzad.conf"

/* The defaults. -ENOMEM. */
int config_init(Settings *ret);
void config_done(Settings *settings);

/* Reads TEXT over what SETTINGS has; NAME stands for the file in messages. A pure function of its arguments. On failure
 * SETTINGS may have changed in part, and is still to be ended with config_done(). */
int config_parse(Settings *settings, Span text, const char *name, StringList *warnings, Failure *failure);

/* The defaults, and over them TEXT, which NAME stands for in messages. */
int config_load_text(Span text, const char *name, Settings *ret, StringList *warnings, Failure *failure);

/* The defaults, and over them FILE alone; or, if FILE is NULL, CONFIG_FILE and the files of its .d folder in the order
 * of their names, any of which may be missing. Absolute paths, and symlinks on the way, are resolved beneath ROOT
 * (NULL: "/"); a relative FILE is the caller's. The paths in *RET are as written. */
int config_load(const char *root, const char *file, Settings *ret, StringList *warnings, Failure *failure);
