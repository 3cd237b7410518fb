/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's lockdown, which keeps root from changing the kernel that runs: /sys/kernel/security/lockdown,
 * kernel_lockdown(7). */

#include "daemon/util/span.h"

typedef enum KernelLockdown {
        KERNEL_LOCKDOWN_NONE,
        KERNEL_LOCKDOWN_INTEGRITY,
        KERNEL_LOCKDOWN_CONFIDENTIALITY,
        KERNEL_LOCKDOWN_COUNT,
} KernelLockdown;

/* "none", "integrity", "confidentiality" */
const char *kernel_lockdown_name(KernelLockdown lockdown);

/* Parses the file's content: words, of which the one in brackets is in force. -EBADMSG if there is not exactly one in
 * brackets, or it is none of these. */
int kernel_lockdown_parse(Span text, KernelLockdown *ret);

/* Reads it below the root folder ROOT. -ENOENT: the kernel has no lockdown, or securityfs is not mounted. */
int kernel_lockdown_read(int root, KernelLockdown *ret);
