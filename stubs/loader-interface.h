/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE, systemd-stub(7)): volatile variables that tell the
 * operating system how it was booted. Text is UTF-16 with a NUL; feature flags are 64 bits. */

#include "stubs/efi.h"

/* Sets StubInfo, StubFeatures, StubDevicePartUUID, StubImageIdentifier, and those of LoaderDevicePartUUID,
 * LoaderImageIdentifier, LoaderFirmwareInfo and LoaderFirmwareType that the boot loader left to us. What cannot be set
 * is said on the console; it never stops a boot. */
void loader_interface_publish(const EFI_LOADED_IMAGE *loaded_image);
