/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few operations by which apply changes a volume, behind an ops struct: real system calls, or a test's model of
 * vfat that loses and reorders what no barrier has made durable. Paths are relative to the volume's root, with slashes.
 * All return 0 or a negative errno. */

#include <stdint.h>

#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

typedef struct EspFile EspFile; /* an open file; what it is only the implementation knows */

typedef struct EspIo EspIo;
struct EspIo {
        int (*make_folders)(EspIo *io, const char *folder);          /* mkdir -p; may be there */
        int (*list)(EspIo *io, const char *folder, StringList *ret); /* sorted names; none if it is missing */
        int (*create)(EspIo *io, const char *path,
                      EspFile **ret);                            /* for writing; -EEXIST; -ENOENT without its folder */
        int (*write)(EspIo *io, EspFile *file, Span bytes);      /* all of them, at the end */
        int (*hold)(EspIo *io, const char *path, EspFile **ret); /* keeps its clusters; -ENOENT */
        int (*close)(EspIo *io, EspFile *file);                  /* frees FILE also when it fails */
        int (*rename)(EspIo *io, const char *from, const char *to); /* within one folder; replaces */
        int (*remove)(EspIo *io, const char *path);                 /* a file; -ENOENT */
        int (*barrier)(EspIo *io);                                  /* all that came before is durable */
        int (*free_bytes)(EspIo *io, uint64_t *ret);
};

/* Real system calls below the folder open as ROOT_FD (which stays the caller's and must outlive it). Symbolic links are
 * not followed out of it. */
typedef struct EspSystemIo {
        EspIo io;
        int root_fd;
} EspSystemIo;

void esp_system_io_init(EspSystemIo *system, int root_fd);
