/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* Brings the ESP to the state that generations and configuration ask for: contents, images, boot loader, loader.conf,
 * then removes what nothing needs any more. */
extern const Operation sync_operation;

/* Only removes. */
extern const Operation gc_operation;
