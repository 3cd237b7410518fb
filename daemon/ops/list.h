/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/ops/operation.h"

/* The generations, the images and the partitions that they stand on. */
extern const Operation list_operation;
