/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "stubs/text.h"

/* One line (see text_append) that needs no attention. */
void console_note(const char *format, ...);

/* A sentence that does: it stays until a key is pressed, or for some seconds. Returns whether a person asks for the
 * menu of whoever started us. */
bool console_explain(const Text *sentence);
