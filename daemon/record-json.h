/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "daemon/ops/record.h"
#include "daemon/util/failure.h"

/* STRUCTURE as a JSON object: each field under its name, strings that are absent left out. Bytes that are no UTF-8 are
 * replaced by U+FFFD: names on an ESP may be anything. A new reference, or NULL if memory is short. */
json_t *record_to_json(const Record *record, const void *structure);

/* {"error": {"name": …, "message": …, "hint": …}} with the D-Bus error's name. */
json_t *failure_to_json(const Failure *failure);
