/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the stub wants to know of device paths (UEFI specification, "Protocols - Device Path Protocol"). They come from
 * firmware and have no total size: the walk ends at the end node, at a malformed node, or after 64 nodes. */

#include "stubs/text.h"

/* Appends the partition GUID of the last GPT partition on the path, as lower-case text. Returns false if there is none.
 */
bool device_path_append_partition(const void *path, Text *text);

/* Appends the file path nodes, joined by backslashes: "\EFI\Linux\name.efi". Returns false if there are none. */
bool device_path_append_file(const void *path, Text *text);

/* The size of all nodes before the end node. */
size_t device_path_size(const void *path);
