/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A NixOS-like machine in a temporary folder: a store, generations with boot.json, stub, boot loader, key store and an
 * ESP, with a firmware in memory if wanted; and operations run on it, as the command line and the bus run them.
 * Whatever fails here ends the test. Strings are owned by the caller unless said. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/firmware/variables-memory.h"
#include "daemon/ops/operation.h"
#include "daemon/ops/settings.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"

#define MACHINE_STUB "/usr/lib/lanzad/lanzastubx64.efi"
#define MACHINE_LOADER "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
#define MACHINE_LOADER_VERSION "257.9-1"
#define MACHINE_SYSTEMD_BOOT "EFI/systemd/systemd-bootx64.efi"
#define MACHINE_FALLBACK "EFI/BOOT/BOOTX64.EFI"
#define MACHINE_ESP_UUID "0b3b1c2a-6b0f-4c35-9d77-5d7a2a5d5c11"
#define MACHINE_SECOND_UUID "0b3b1c2a-6b0f-4c35-9d77-5d7a2a5d5c22" /* of the partition that is listed next */

typedef struct Machine {
        char *root;
        Settings settings;    /* may be changed before an operation is run */
        Variables *variables; /* NULL: a tree, without firmware */
        bool is_live;         /* operations take it for the running system, though it is a tree */
        bool is_service;      /* operations run as in the service, which runs no programs */
        bool needs_mount;     /* they take no folder for an ESP that is none */
        int64_t now;
        bool has_small_esp;          /* machine_mount_esp() */
        unsigned failing_allocation; /* the one that fails, of those that the next operation makes; 0: none */
        unsigned allocations;        /* how many the last operation made */
        char *waited_for;            /* name of the last lock that an operation waited for */
} Machine;

/* A machine with stub and boot loader, an empty ESP and neither keys nor generations. */
Machine *machine_new(bool has_firmware);
void machine_free(Machine *machine);
DEFINE_POINTER_CLEANUP(Machine *, machine_free)

/* Gives it the keys of the test PKI, "PK", "KEK" and "db" behind PREFIX ("" or "foreign-"), in place of what it has. */
void machine_set_keys(Machine *machine, const char *prefix);

/* Lets the ESP be a file system of its own of so many KiB, in memory, that only this test sees. */
void machine_mount_esp(Machine *machine, unsigned size);

typedef struct MachineGeneration {
        unsigned number;
        const char *profile;        /* NULL: system */
        const char *kernel;         /* content; NULL: "kernel" */
        const char *initrd;         /* content; NULL: "initrd" */
        const char *specialisation; /* name of one, NULL: none */
        const char *parameter;      /* a word of the command line; NULL: "quiet" */
        const char *secrets;        /* a shell script that appends secrets to the initrd $1; NULL: none */
} MachineGeneration;

/* Adds a generation, whose toplevel is /nix/store/[PROFILE-]system-N, and its specialisation's that with "-NAME", and
 * makes it the current one of its profile. Kernel and initrd with the same content are the same store file. */
void machine_add_generation(Machine *machine, const MachineGeneration *generation);
void machine_set_current(Machine *machine, unsigned number);
void machine_remove_generation(Machine *machine, unsigned number);

/* Two generations of "system", 1 and 2, with different initrds and one kernel, and the keys of the test PKI. */
Machine *machine_new_typical(bool has_firmware);

/* Writes below the machine's root; PATH begins with a slash or not. */
void machine_write(Machine *machine, const char *path, const char *text);
char *machine_read(const Machine *machine, const char *path);
void machine_symlink(Machine *machine, const char *target, const char *path);

/* An EFI application with these bytes in a section of its own, unsigned. */
GBytes *machine_application(const char *mark);

/* What a folder below the root holds: a line for each file with name, mode, size, inode, change time and SHA-256. */
char *machine_snapshot(const Machine *machine, const char *folder);

/* Names in a folder of the ESP that begin with PREFIX, sorted, one a line; the same for the whole ESP without. */
char *machine_esp_files(const Machine *machine, const char *folder, const char *prefix);

unsigned machine_count_files(const Machine *machine, const char *folder, const char *prefix);
bool machine_has_file(const Machine *machine, const char *folder, const char *name);

/* The name in EFI/Linux of the image of a generation (specialisation NULL: the system itself); it must be the only one.
 */
char *machine_image_of(const Machine *machine, unsigned number, const char *specialisation);

/* Sets a variable of the Boot Loader Interface to a text. */
void machine_set_loader_variable(Machine *machine, const char *name, const char *text);

/* Lets the ESP be the partition MACHINE_ESP_UUID, and sets entry number 1 of the boot order to PATH on a partition. */
void machine_set_boot_entry(Machine *machine, const char *description, const char *partition_uuid, const char *path,
                            bool active);

/* Certificates of the test PKI in a variable, behind the firmware's back. */
void machine_set_certificate(Machine *machine, const char *variable, const char *pki_name);

/* Starts again with somebody else's keys in the firmware and Secure Boot switched off in its settings. */
void machine_switch_off(Machine *machine);

/* Syncs, enrolls and starts again: Secure Boot enforces by the machine's own keys. */
void machine_enforce(Machine *machine);

/* An operation's outcome. */
typedef struct Outcome {
        const Operation *operation;
        int status;          /* what it returned */
        uint64_t signatures; /* how often it signed on the ESP's behalf */
        Failure failure;
        void *result;
} Outcome;

/* Runs VERB with parameters: pairs of name and value up to a NULL ("yes" for a boolean, the text for memory,
 * "NAME=TEXT" for an item of a list of these). */
Outcome *machine_run(Machine *machine, const char *verb, ...) G_GNUC_NULL_TERMINATED;
void outcome_free(Outcome *outcome);
DEFINE_POINTER_CLEANUP(Outcome *, outcome_free)

/* The same, which must return STATUS, or fail with CONDITION. */
Outcome *machine_run_status(Machine *machine, int status, const char *verb, ...) G_GNUC_NULL_TERMINATED;
Outcome *machine_run_refused(Machine *machine, Condition condition, const char *verb, ...) G_GNUC_NULL_TERMINATED;

/* A value of the result by its path of names and indexes, "partitions.0.images-written": strings as they are ("-" if
 * absent), lists one a line, booleans "yes" and "no", numbers decimal, and of lists of records how many there are. */
char *outcome_get(const Outcome *outcome, const char *path);
void outcome_assert(const Outcome *outcome, const char *path, const char *expected);

/* That a rehearsal and the real run name the same images, contents and loaders; bytes are an estimate before. */
void outcome_assert_same_steps(const Outcome *rehearsed, const Outcome *real);

/* That the lines of the value at PATH are these, in any order. */
void outcome_assert_lines(const Outcome *outcome, const char *path, const char *expected);

/* That TEXT is in the value at PATH, or in the failure's message or hint. */
void outcome_assert_has(const Outcome *outcome, const char *path, const char *text);
void outcome_assert_message(const Outcome *outcome, const char *text);
void outcome_assert_hint(const Outcome *outcome, const char *text);

/* All of the result as text, to compare two. */
char *outcome_text(const Outcome *outcome);
