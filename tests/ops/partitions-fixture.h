/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A machine with more than one partition to boot from, for tests. */

#include <stdbool.h>

#include "tests/ops/machine-fixture.h"

/* Configures one more ESP, or the XBOOTLDR partition (NULL: none). */
void partitions_add_esp(Machine *machine, const char *path);
void partitions_set_xbootldr(Machine *machine, const char *path);

/* Two generations, and the ESPs /boot and /boot2. */
Machine *machine_with_two(bool has_firmware);

/* The same with an XBOOTLDR partition in place of the second. */
Machine *machine_with_xbootldr(bool has_firmware);

/* How many files of a folder have names that begin so. */
unsigned partitions_count_files(const Machine *machine, const char *folder, const char *prefix);

/* machine_snapshot() of all partitions that are there. To be freed. */
char *partitions_snapshot(const Machine *machine);

/* That a run has nothing left to do, and does nothing. */
void partitions_assert_settled(Machine *machine);
