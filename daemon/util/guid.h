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

/* A constant Guid, written in the order of its text: GUID_INIT(0x77fa9abd, 0x0359, 0x4d32, 0xbd, 0x60, 0x28, …). */
#define GUID_INIT(a, b, c, ...)                                                                                        \
        {                                                                                                              \
                {                                                                                                      \
                        (a) & 0xff, (a) >> 8 & 0xff, (a) >> 16 & 0xff, (a) >> 24 & 0xff, (b)&0xff, (b) >> 8 & 0xff,    \
                                (c)&0xff, (c) >> 8 & 0xff, __VA_ARGS__                                                 \
                }                                                                                                      \
        }

/* Parses "77fa9abd-0359-4d32-bd60-28f4e78f784b", of either case, and nothing around it. -EINVAL for anything else. */
int guid_parse(Span text, Guid *ret);

/* The lower-case text, with NUL. */
void guid_format(const Guid *guid, char ret[static GUID_TEXT_SIZE]);

bool guid_equal(const Guid *a, const Guid *b);

/* A random GUID (RFC 4122, version 4) from the kernel's generator. */
int guid_random(Guid *ret);
