/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bytes of vendor/NAME.der, from NAME_start up to NAME_end. */

#include <stdint.h>

#define VENDOR_DATA(name)                                                                                              \
        __attribute__((visibility("hidden"))) extern const uint8_t vendor_##name##_start[], vendor_##name##_end[]

VENDOR_DATA(kek_2011);
VENDOR_DATA(kek_2023);
VENDOR_DATA(windows_2011);
VENDOR_DATA(windows_2023);
VENDOR_DATA(third_party_2011);
VENDOR_DATA(third_party_2023);
VENDOR_DATA(option_rom_2023);

#undef VENDOR_DATA
