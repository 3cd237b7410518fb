/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the planner share: plan.c, and one file for each kind of thing on the volume. */

#include "daemon/esp/name-index.h"
#include "daemon/esp/plan.h"

/* What becomes of an image that is there. */
typedef enum Fate {
        FATE_STAYS,
        FATE_KEPT,     /* it is a wanted one */
        FATE_REPLACED, /* a wanted one is written in its place */
        FATE_GOES,
} Fate;

typedef struct Planner {
        const Inventory *inventory;
        const Wanted *wanted;
        bool *evicted; /* for each wanted image: there is no room for it; NULL: for all of them */
        VolumeSpace space;
        NameIndex images;     /* of the inventory, by entry name */
        NameIndex contents;   /* of the inventory, by name */
        NameIndex references; /* paths that images refer to, which will be there */
        Fate *fates;          /* one for each image of the inventory */
        bool *early;          /* for each image of the inventory: it goes before anything is written */
        size_t *heirs;        /* for each image of the inventory that is kept or replaced: which wanted one that is */
        bool *leaving;        /* for each entry of the inventory: it goes */
        bool early_entries;   /* and they do before anything is written */
        bool has_succeeded;   /* an image of ours has booted: what nixpkgs' systemd-boot builder left is ours */
        bool *garbage;        /* for each content of the inventory: it goes */
        bool *early_contents; /* and that before anything is written */
        bool *satisfied;      /* for each wanted image: it is or will be there */
        bool *blocked;        /* for each wanted content: something that is no file is in its place */
        bool booted_entry_found;    /* the file that was booted is on this volume */
        bool keep_contents;         /* an image that can't be read stays */
        const char *loader_version; /* of the systemd-boot that will be there; NULL: not known */
        size_t bootable;            /* images of ours that will be there and could be booted */
        size_t steps_allocated;
        uint64_t missing; /* bytes for which there is no room, whatever goes first; 0: it fits */
        Plan plan;
} Planner;

void planner_done(Planner *planner);

/* Makes PLANNER's plan. It has only what describes the task; whether the plan fits says MISSING. */
int planner_run(Planner *planner, Failure *failure);

uint64_t planner_clusters(const Planner *planner, uint64_t bytes); /* in whole clusters */

/* Whether there is no room for the wanted image number N. */
bool planner_is_evicted(const Planner *planner, size_t n);

/* Appends a step, and takes its strings over in any case (a path of NULL counts as out of memory). Sizes are of files,
 * in bytes: of what is written and of what goes; 0 if there is none. */
int planner_add_step(Planner *planner, Step step, uint64_t new_size, uint64_t old_size);

/* Whether an earlier run left a temporary file that may be the same file as PATH: then PATH must not be touched. */
bool planner_is_twin(const Planner *planner, const char *path);

/* plan-images.c: which wanted images are written, what becomes of the others, and the steps that remove. */
int planner_write_images(Planner *planner, Failure *failure);
int planner_judge_images(Planner *planner);
int planner_remove_images(Planner *planner);
bool planner_removes_images(const Planner *planner);
bool planner_is_booted(const Planner *planner, const EspImage *image);

/* Whether a generation, the default token's, is one whose document could not be read. */
bool planner_is_shielded(const Planner *planner, const char *profile, uint64_t generation);

/* Whether TOPLEVEL is that of a wanted image which is not going to be there, though not for want of room. */
bool planner_is_last_resort(const Planner *planner, const char *toplevel);

/* plan-entries.c: what nixpkgs' systemd-boot builder left in loader/entries. After the images were judged. */
int planner_judge_entries(Planner *planner);
int planner_remove_entries(Planner *planner);

/* plan-contents.c. Examining comes before the images are planned, all else after. */
int planner_examine_contents(Planner *planner);
const char *planner_find_blocked_content(const Planner *planner, const WantedImage *image); /* NULL: none */
int planner_write_contents(Planner *planner);
int planner_judge_contents(Planner *planner);
int planner_remove_contents(Planner *planner);

/* plan-room.c. Making room, after everything was judged and before the steps that remove: what goes before anything is
 * written, and whether that is enough. Leaving out: replaces PLANNER, whose plan does not fit, by one that does. */
int planner_make_room(Planner *planner);
int planner_leave_out(Planner *planner, Failure *failure);

/* plan-loaders.c, plan-loader-conf.c: boot loaders, and then what they are told. */
int planner_write_loaders(Planner *planner);
int planner_write_loader_conf(Planner *planner);
