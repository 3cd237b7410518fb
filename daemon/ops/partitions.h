/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The volumes that a machine boots from, as its configuration has them.
 *
 *     Path=, XbootldrPath=     the first ESP, and, if there is one, the XBOOTLDR partition of the same disk. Then
 * images and contents stand on that, and boot loader and loader.conf on the ESP ExtraPaths=              further ESPs.
 * Each holds all of it: systemd-boot looks for an XBOOTLDR partition on the disk that it was started from, and on no
 * other
 *
 * An ESP and what belongs to it is called a home here: it boots as a whole or not at all. */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/esp/esp-volume.h"
#include "daemon/ops/context.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

typedef struct Partition {
        char *path; /* as configured, or as found; NULL: none is configured, and none was found */
        VolumeRole role;
        EspVolume volume; /* without a path if there is a problem */
        Failure problem;  /* why it can't be looked at */
        int error;        /* 0: it can; else the negative errno of PROBLEM */
        size_t home;      /* index of its ESP; of an ESP its own */
        bool has_images;  /* it is where the images of its home belong */
        bool boots;       /* the firmware starts the boot loader of its home, as far as can be told */
        bool booted;      /* this start came from an image on it, as the stub told */
} Partition;

typedef struct PartitionList {
        Partition *items; /* each ESP, and right behind it what belongs to it */
        size_t count;
        StringList warnings; /* sentences: of paths that lead to one and the same */
} PartitionList;

/* Opens them all. One that can't be opened stands in the list with its problem; only what keeps all from being looked
 * at is a failure of this function. In a tree any folder will do, /boot where none is configured. */
int partitions_open(const Context *context, PartitionList *ret, Failure *failure);
void partitions_done(PartitionList *list);

/* Whether this start may have come from an image on PARTITION. Not if it is known to have come from another one of its
 * home. Another home is a copy: what was booted there is kept here, too. */
bool partition_may_be_booted(const PartitionList *list, const Partition *partition);

/* Whether this start came from an image on PARTITION, where it is not known from which: perhaps. */
bool partition_was_booted(const PartitionList *list, const Partition *partition);

/* "esp", "xbootldr". Static. */
const char *partition_role_name(const Partition *partition);
