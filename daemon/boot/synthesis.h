/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bootspec document of a system that has none: systems older than NixOS 23.05, and those built without it. What it
 * says stands as files and links in the toplevel:
 *
 *     kernel, initrd           links to the files; without initrd the system has none
 *     init                     what is started as process 1
 *     kernel-params            the rest of the command line, separated by spaces
 *     nixos-version, system    text
 *     kernel-modules           its folder lib/modules holds one named after the kernel's release
 *     append-initrd-secrets    the program for initrd secrets; may be absent
 *     specialisation/NAME      links to other toplevels, which have the same form and no specialisations
 *
 * The document is what bootspec's own reference would make ("synthesize"), and is judged as every other one by
 * bootspec_parse(). */

#include <stddef.h>

#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"

/* Limits: a toplevel that exceeds one is refused. */
enum {
        SYNTHESIS_MAX_TEXT = 16 * 1024, /* bytes of a file */
        SYNTHESIS_MAX_RELEASES = 64,    /* names in lib/modules */
};

typedef struct SystemFacts SystemFacts;

/* What stands in a toplevel. Owned. Texts of files are without white space at their end. */
struct SystemFacts {
        char *name; /* of the specialisation; NULL for the system itself */
        char *toplevel;
        char *kernel, *init;
        char *initrd, *secrets; /* NULL: there is none */
        char *params, *version, *system;
        char *release; /* NULL: there are no kernel modules to tell it */
        SystemFacts *specialisations;
        size_t specialisation_count;
};

void system_facts_done(SystemFacts *facts);

/* Reads TOPLEVEL, a real path in the store inside ROOT (see daemon/util/root.h). CONDITION_BAD_BOOTSPEC, naming the
 * file and the cause, if one is missing, is of another type than expected, is larger than the limits, or if a link
 * leaves the store on its way. */
int system_facts_read(int root, const char *toplevel, SystemFacts *ret, Failure *failure);

/* The document, as JSON. Pure. -EINVAL for a text that JSON cannot hold, not being UTF-8 (system_facts_read() lets none
 * through), and where memory is short. */
int system_facts_format(const SystemFacts *facts, Buffer *ret);

/* Both. Its failures say that TOPLEVEL has no boot.json. */
int bootspec_synthesise(int root, const char *toplevel, Buffer *ret, Failure *failure);
