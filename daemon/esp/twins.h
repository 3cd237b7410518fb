/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Left-over temporary files that may be the same file as another one. */

#include "daemon/esp/inventory.h"

/* Sets TWIN of each of COUNT leftovers, all in the folder at PATH that is open as FOLDER and has NAMES. Files that are
 * not as large as one of them are not read, others once. -ENOMEM. */
int twins_find(int folder, const char *path, const StringList *names, EspLeftover *leftovers, size_t count);
