/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exclusive locks on folders, by flock(2): no lock file, so that FAT and read-only media can be locked too. Whoever
 * takes several takes them in one fixed order everywhere: the key store's folder first, then each ESP's root. */

#include <stdint.h>

#include "daemon/util/failure.h"

/* Called once, when the lock is held by another and waiting begins. NAME is what folder_lock() was given. */
typedef void (*LockWaiting)(void *userdata, const char *name);

/* Locks the folder that FD is open on, for messages called NAME. The lock belongs to FD's open file description: it
 * ends when that is closed, and two descriptors made by two open(2) exclude each other, within one process too. Waits
 * at most TIMEOUT_MS milliseconds (0: not at all). Returns -EBUSY (CONDITION_BUSY) if another still holds it then.
 * WAITING may be NULL. */
int folder_lock(int fd, const char *name, uint64_t timeout_ms, LockWaiting waiting, void *userdata, Failure *failure);
