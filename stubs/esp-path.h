/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths on the volume that the boot image came from, and lists of them. What a valid path is, and why, stands in
 * stub-abi.h, "ESP paths". A checked path is plain ASCII without control characters: it can be shown as it is. */

#include "stubs/bytes.h"
#include "stubs/stub-abi.h"

/* NULL if PATH is a valid ESP path; else what it does wrong, as a clause that goes on after "the path ...". */
const char *esp_path_check(Bytes path);

/* The form that firmware opens: UTF-16 with a NUL. PATH must be valid. */
void esp_path_to_utf16(Bytes path, uint16_t ret[static LANZA_ESP_PATH_MAX_BYTES + 1]);

/* Splits LIST into at most LANZA_INITRDS_MAX valid paths, which point into it. Returns NULL, or why LIST is not such a
 * list, as a clause that goes on after "the list ..."; then the outputs are left. */
const char *esp_path_list_parse(Bytes list, Bytes ret_paths[static LANZA_INITRDS_MAX], size_t *ret_count);
