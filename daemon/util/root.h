/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths of a system, seen from outside it. ROOT is a descriptor of that system's root folder: of "/" for the running
 * system, of a tree for an image that is being built. Every path and every symlink, absolute ones too, is resolved
 * inside it (openat2(2), RESOLVE_IN_ROOT): nothing leads out of ROOT, and "/nix/store/…" means the tree's store. */

#include <sys/types.h>

/* Opens PATH inside ROOT, with O_CLOEXEC | O_NOCTTY, and O_NONBLOCK for reading (a FIFO must not hang us). Returns a
 * descriptor or a negative errno. */
int root_open(int root, const char *path, int flags);

/* The path that FD, which root_open() returned, has inside ROOT: absolute, without symlinks. Owned by the caller.
 * Returns -EXDEV if FD is not (or no longer) inside ROOT or its file was removed, -ENOSYS if /proc is not mounted. */
int root_path_of(int root, int fd, char **ret);

/* Opens the folder PATH (absolute) inside ROOT; makes what is missing of it, durably: the last folder with MODE, those
 * above it with 0755, whatever the umask. Returns a descriptor, -ENOTDIR if something else stands there, or another
 * negative errno. */
int root_make_folder(int root, const char *path, mode_t mode);
