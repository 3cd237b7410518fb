/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* sign, by the service: it opens and writes no files of its callers. What they hold goes there as sealed memory, comes
 * back signed, and takes the place of what was there; none does before all are signed. */

#include <systemd/sd-bus.h>

#include "client/verb.h"

enum {
        SIGNING_FILES_MAX = 256,              /* in one run */
        SIGNING_BYTES_MAX = 64 * 1024 * 1024, /* that the service takes in one image */
};

/* Whether a program of ours signs what OPTIONS name: root has files that are too large for the service, or there is a
 * timeout, which a call does not have. */
bool signing_needs_program(json_t *options);

/* As bus_call(). */
int signing_call(sd_bus *bus, const Session *session, json_t *options, json_t **ret_result);
