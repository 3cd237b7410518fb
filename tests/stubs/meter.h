/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the driver in meter.c offers to whom it is loaded before: a protocol of this GUID. */

#include <efi.h>

#define METER_GUID                                                                                                     \
        {                                                                                                              \
                0x6c616e7a, 0x616d, 0x4574, {                                                                          \
                        0x91, 0x65, 0x72, 0x2d, 0x70, 0x61, 0x67, 0x65                                                 \
                }                                                                                                      \
        }

typedef struct Meter {
        UINTN pages; /* that loaders and kernels have allocated since the last image was loaded from a volume, and hold
                      */
        UINTN peak;  /* the most that they held at a time */
} Meter;
