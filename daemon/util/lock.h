/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exclusive locks on folders, by flock(2): no lock file, so that FAT and read-only media can be locked too. Whoever
 * takes several takes them in one fixed order everywhere: the key store's folder first, then each ESP's root. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/util/failure.h"

/* Who is told while folder_lock() waits for a lock that another holds, and may end that: called again and again with
 * LOCKED false, and, unless waiting ends in another way, once with LOCKED true when the lock is there. Returns whether
 * to go on. NAME is what folder_lock() was given. */
typedef bool (*LockWaiting)(void *userdata, const char *name, bool locked);

/* Locks the folder that FD is open on, for messages called NAME. The lock belongs to FD's open file description: it
 * ends when that is closed, and two descriptors made by two open(2) exclude each other, within one process too. Waits
 * at most TIMEOUT_MS milliseconds (0: not at all). Returns -EBUSY (CONDITION_BUSY) if another still holds it then,
 * -ECANCELED (CONDITION_CANCELED), without the lock, if WAITING said so. WAITING may be NULL. */
int folder_lock(int fd, const char *name, uint64_t timeout_ms, LockWaiting waiting, void *userdata, Failure *failure);
