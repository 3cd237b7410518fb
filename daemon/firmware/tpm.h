/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The TPM as the kernel shows it: /sys/class/tpm/tpm0. */

#include <stdbool.h>

#include "daemon/util/span.h"

typedef struct Tpm {
        bool present;  /* a TPM 2.0 */
        bool pcr_told; /* the kernel tells the PCR (SHA-256 bank); Linux before 5.12 does not */
        bool pcr_zero; /* nothing was measured into it */
} Tpm;

/* Parses a PCR's file, 64 hexadecimal digits and a newline; *RET_ZERO: whether all are 0. -EBADMSG for anything else.
 */
int tpm_parse_pcr(Span text, bool *ret_zero);

/* Looks below the root folder ROOT. A PCR's file that is no such text tells nothing. -ENOENT: there is no sysfs to
 * look at. */
int tpm_read(int root, unsigned pcr, Tpm *ret);
