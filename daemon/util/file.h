/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* File descriptors, and files below a folder descriptor.
 *
 * Functions that take DIR resolve PATH below it with openat2(2) and RESOLVE_BENEATH: a hostile ".." or absolute symlink
 * cannot leave DIR. DIR may be AT_FDCWD, for trusted paths only: then PATH is resolved as usual. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "daemon/util/buffer.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

/* For _cleanup_(): closes *FD if it is valid, keeps errno. */
void close_fd(int *fd);

/* For _cleanup_() on a char *: frees it. */
void free_pointer(char **pointer);

/* openat2(2) as described above, with O_CLOEXEC | O_NOCTTY | O_NONBLOCK added for reading (a FIFO must not hang us).
 * Returns a descriptor or a negative errno. */
int file_open(int dir, const char *path, int flags, mode_t mode);

/* Reads a whole regular file. Returns -EFBIG if it has more than MAXIMUM bytes, -EISDIR for a folder and -EINVAL for
 * anything else that is no regular file. *ret is only set on success; the caller owns it. */
int file_read(int dir, const char *path, size_t maximum, Buffer *ret);
int file_read_fd(int fd, size_t maximum, Buffer *ret);

/* What such an ERROR means, for a message: as strerror(3), but for "Invalid argument". */
const char *file_error_text(int error);

/* The size of a regular file, or the errors of file_read(). */
int file_size_fd(int fd, uint64_t *ret);

/* Reads exactly SIZE bytes at OFFSET into DATA. Returns -EBADMSG if the file ends before. */
int file_read_at(int fd, uint64_t offset, void *data, size_t size);

/* Whether a file belongs to root or to our own user: what others own they can change. */
bool file_owner_trusted(const struct stat *st);

/* Writes all BYTES, at the descriptor's position. */
int file_write_fd(int fd, Span bytes);

/* Creates PATH (O_EXCL) with MODE and these bytes, and fsyncs it; removes it again if that fails. -EEXIST if it exists.
 */
int file_create(int dir, const char *path, Span bytes, mode_t mode);

/* Writes BYTES as PATH by way of a temporary file beside it, both durable when this returns 0. */
int file_replace(int dir, const char *path, Span bytes, mode_t mode);

/* The same without waiting for the disk: for what whoever reads it checks, and can do without. */
int file_replace_some_time(int dir, const char *path, Span bytes, mode_t mode);

/* fsync(2) of the folder PATH below DIR. */
int folder_fsync(int dir, const char *path);

/* mkdir -p below DIR, each new folder with MODE; -ENOTDIR if something else stands there. */
int folder_make(int dir, const char *path, mode_t mode);

/* The names in a folder, without "." and "..", sorted by bytes. Returns -E2BIG if there are more than MAXIMUM. */
int folder_list(int dir, const char *path, size_t maximum, StringList *ret);

/* Joins two path parts with one slash. Owned; NULL if memory is short. */
char *path_join(const char *folder, const char *name);
