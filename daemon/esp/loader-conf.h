/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of loader/loader.conf, which tells systemd-boot what to boot. loader.conf(5). */

#include <stdbool.h>

#include "daemon/util/buffer.h"
#include "daemon/util/span.h"

typedef struct LoaderConf {
        Span lines;                 /* the administrator's lines (LoaderConfig=), may be empty */
        const char *token;          /* EntryToken=, NULL: the default */
        const char *default_image;  /* name of the default image without counter; NULL: none is named */
        bool counting;              /* boot counting is on: a named default would defeat it */
        const char *loader_version; /* of the systemd-boot that will be there; NULL: not known */
} LoaderConf;

/* Writes the text. The administrator's `default` and `preferred` lines are dropped (lanzad decides these), all others
 * stay as they are; an unfinished last line is finished. Lines with NUL or other control characters but tab are refused
 * with -EINVAL. */
int loader_conf_format(const LoaderConf *conf, Buffer *ret);
