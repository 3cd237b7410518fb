/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Variables that only firmware and boot loaders may see: without the attribute of runtime access they are gone once the
 * operating system runs (UEFI specification, 8.2.1). Firmware that shows them nonetheless may give away secrets. */

#include "daemon/firmware/variables.h"

/* Returns 1 if one of firmware's own namespaces (EFI_GLOBAL_VARIABLE, EFI_IMAGE_SECURITY_DATABASE_GUID) shows such a
 * variable, and which; else 0. Variables that can't be read are passed over. RET_NAME: owned. */
int bootservice_variable_find(Variables *variables, const Guid **ret_vendor, char **ret_name);
