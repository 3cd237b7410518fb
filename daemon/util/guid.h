/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* GUIDs in the byte order of EFI structures (UEFI specification, appendix A): the first three fields little-endian. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/util/span.h"

enum { GUID_SIZE = 16, GUID_TEXT_SIZE = 37 };

typedef struct Guid {
        uint8_t bytes[GUID_SIZE];
} Guid;

/* Parses "77fa9abd-0359-4d32-bd60-28f4e78f784b", of either case, and nothing around it. -EINVAL for anything else. */
int guid_parse(Span text, Guid *ret);

/* The lower-case text, with NUL. */
void guid_format(const Guid *guid, char ret[static GUID_TEXT_SIZE]);

bool guid_equal(const Guid *a, const Guid *b);

/* A random GUID (RFC 4122, version 4) from the kernel's generator. */
int guid_random(Guid *ret);
