/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "stubs/text.h"

/* One line (see text_append) that needs no attention. */
void console_note(const char *format, ...);

/* A sentence that does: it stays until a key is pressed, or for some seconds. */
void console_explain(const Text *sentence);
