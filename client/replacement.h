/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A file of the caller's that gets new contents as a whole: they are written beside it and made durable, and take its
 * name by one rename. Until then nothing is changed. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { REPLACEMENT_NAME_BYTES = 32 };

typedef struct Replacement {
        int source; /* the file that was named, open for reading */
        struct stat st;
        int folder; /* where the new one goes, and the name that it gets; owned */
        char *name;
        int replaced; /* vfat gives the clusters of a file away when its name goes, unless it is held open; -1: none */
        char temporary[REPLACEMENT_NAME_BYTES];
        bool is_written; /* and has no name yet */
} Replacement;

#define REPLACEMENT_NONE ((Replacement){.source = -1, .folder = -1, .replaced = -1})

/* Opens the file PATH for reading. Returns 0, -EINVAL if it is no regular file, or another negative errno. To be ended
 * in any case. */
int replacement_open(Replacement *replacement, const char *path);

/* The new contents go to OTHER, which is a regular file or none, or, if it is NULL, to the place of PATH, the file that
 * was opened: where a link leads there, of what it leads to. If WRITES, new files must be possible there. Returns 0,
 * -EINVAL if OTHER is something else, -ESTALE if PATH leads to another file by now, or another negative errno. */
int replacement_place(Replacement *replacement, const char *path, const char *other, bool writes);

/* Writes what MEMORY holds beside the place, with the owner and mode of the file that was named. */
int replacement_write(Replacement *replacement, int memory);

/* Gives it its name, if it was written. */
int replacement_finish(Replacement *replacement);

/* Removes what has no name. */
void replacement_done(Replacement *replacement);

/* From now on a signal that ends the program removes first what COUNT FILES have written without a name; with 0 of them
 * nothing any more. */
void replacement_guard(const Replacement *files, size_t count);
