/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* EFI_TIME as authenticated variables use it: UTC in whole seconds, every other field zero (UEFI specification, 8.3.1
 * and 8.2.2). Callers have seconds since 1970; firmware compares year, month, day, hour, minute, second. */

#include <stdbool.h>
#include <stdint.h>

enum { EFI_TIME_SIZE = 16 };

typedef struct EfiTime {
        uint8_t bytes[EFI_TIME_SIZE];
} EfiTime;

/* Returns -ERANGE outside the years 1900 to 9999, which EFI_TIME knows. */
int efi_time_from_seconds(int64_t seconds, EfiTime *ret);

/* Returns -EBADMSG for a date that there is not, or if a field that must be zero is not. */
int efi_time_to_seconds(const EfiTime *time, int64_t *ret);

/* Less than 0, 0 or greater than 0, as edk2 compares: field by field, whatever they hold. */
int efi_time_compare(const EfiTime *a, const EfiTime *b);

/* Whether the fields that must be zero are (the date may be none). */
bool efi_time_is_plain(const EfiTime *time);
