/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A machine to which things happen, as a test of random histories tells them: generations, keys, the boot loader, and
 * neighbours. What it should have on its ESP the world knows by itself, with none of the daemon's code. */

#include <glib.h>
#include <stdbool.h>

#include "tests/ops/machine-fixture.h"

#define WORLD_MACHINE_ID "0123456789abcdef0123456789abcdef"
#define WORLD_OUR_IMAGE "^nixos-(work-)?generation-[0-9]+(-specialisation-x)?-[a-z2-7]{52}\\.efi$"
#define WORLD_OUR_CONTENT "^(kernel|initrd)-.*-[a-z2-7]{52}\\.efi$"

typedef enum Kind {
        ADD,
        REMOVE,
        RENUMBER,
        CURRENT,
        LIMIT,
        TRIES,
        FOREIGN,
        UNFOREIGN,
        LANZABOOTE,
        BUILDER,
        BOOT,
        BLESS,
        KEY,
        STUB,
        BREAK,
        MEND,
        LOSE,
        SYNC,
        SYNC_TOPLEVEL,
        RESTUB,
        DRY_RUN,
        GC,
        KINDS,
} Kind;

/* The numbers mean something in any state. */
typedef struct Event {
        Kind kind;
        unsigned a, b, c;
} Event;

typedef struct Generation {
        unsigned number, id;
        bool is_work, has_special, is_broken;
} Generation;

typedef struct World {
        Machine *machine;
        char *esp;
        GArray *generations; /* of Generation, in the order in which they came */
        unsigned current;    /* id, of "system" */
        unsigned next_id;
        bool is_small;
        unsigned key, stub, files;
        GHashTable *foreign; /* path -> hash */
        char *booted_entry;  /* file name without counter; NULL: not known */
        char *booted_toplevel;
        char *problem; /* the first thing that is wrong */
} World;

/* Without generations and keys; with an ESP of so many KiB (0: as large as need be). world_done() ends the machine. */
void world_init(World *world, unsigned esp_kib);
void world_done(World *world);

/* Lets EVENT happen, unless it is a run of lanzad. */
void world_change(World *world, const Event *event);

/* Keeps the first thing that is wrong. */
void world_complain(World *world, const char *format, ...) G_GNUC_PRINTF(2, 3);

Generation *world_generation(World *world, unsigned index);
char *generation_toplevel(const Generation *generation, bool special); /* owned */
char *generation_title_of(const Generation *generation);               /* as results name it; owned */
bool world_is_booted(const World *world, const Generation *generation);

/* Whether its images are to be there, if it were not for want of room. */
bool world_is_wanted(World *world, const Generation *generation, unsigned default_id);

char *world_hash(const World *world, const char *path); /* of a file on the ESP; owned */
unsigned image_number(const char *name);                /* of the generation in an image's name */
