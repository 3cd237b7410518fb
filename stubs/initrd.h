/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The initrd, offered the way Linux asks for it since 5.8: the LoadFile2 protocol on a device path that consists of one
 * vendor node, LINUX_EFI_INITRD_MEDIA_GUID (Linux, Documentation/admin-guide/efi-stub.rst). */

#include "stubs/efi.h"
#include "stubs/initrd-list.h"

/* Offers CONTENT, whose parts must live until initrd_withdraw(). Nothing is offered if it is empty. If somebody else
 * offers an initrd already, Linux might take that one: this is refused, unless CONTENT is empty and Secure Boot is off.
 */
EFI_STATUS initrd_offer(const InitrdList *content, bool secure_boot, EFI_HANDLE *ret, Text *why);

/* Takes back what initrd_offer() returned; a NULL handle is fine. */
void initrd_withdraw(EFI_HANDLE *handle);
