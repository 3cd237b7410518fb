/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of loader/loader.conf, which tells systemd-boot what to boot. loader.conf(5). */

#include <stdbool.h>

#include "daemon/util/buffer.h"
#include "daemon/util/span.h"

/* Appends the administrator's LINES (LoaderConfig=) to TEXT. `default` and `preferred` are dropped (lanzad decides
 * these), all others stay as they are; an unfinished last line is finished. Lines with NUL or other control characters
 * but tab are refused with -EINVAL. */
int loader_conf_add_lines(Span lines, Buffer *text);

/* What stands behind `default`. */
typedef enum DefaultNaming {
        DEFAULT_ANY,     /* any entry of ours: the first that has tries left */
        DEFAULT_NAMED,   /* the default image's entry, which has no boot counter */
        DEFAULT_COUNTED, /* the same with any boot counter: systemd-boot before 257.10 takes it for a part of the name
                          */
} DefaultNaming;

typedef struct DefaultEntry {
        const char *token; /* EntryToken=, NULL: the default */
        const char *image; /* name of the default image without counter; NULL: none can be named */
        DefaultNaming naming;
        bool preferred; /* name the image in `preferred`, too, see loader_knows_preferred() */
} DefaultEntry;

/* Appends the lines that decide which entry systemd-boot starts. */
int loader_conf_add_default(const DefaultEntry *entry, Buffer *text);

/* Whether systemd-boot of that VERSION (NULL: not known) has `preferred`: an entry that is the default until its tries
 * are used up. It comes before `default`, also before the one that firmware variables name. */
bool loader_knows_preferred(const char *version);
