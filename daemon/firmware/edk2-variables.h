/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SetVariable() as edk2 answers it to an operating system. */

#include "daemon/firmware/memory-store.h"
#include "daemon/firmware/variables-memory.h"

/* Decides and, with EFI_STATUS_SUCCESS alone, changes STORE. Returns -ENOMEM or the like where this process fails, not
 * the firmware. */
int edk2_set_variable(MemoryStore *store, const Guid *vendor, const char *name, uint32_t attributes, Span data,
                      EfiStatus *ret);

/* What the firmware does when it starts: volatile variables are made anew. */
int edk2_start(MemoryStore *store);
