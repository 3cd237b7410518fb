/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What has to be done to bring one volume from what is there (Inventory) to what is wanted (Wanted): a pure function,
 * whose result is the dry run's answer and apply's only instruction. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/crypto/digest.h"
#include "daemon/esp/inventory.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

typedef struct Plan Plan;

/* A kernel or initrd. */
typedef struct WantedContent {
        char *name; /* content_name_format(); stands in EFI/nixos */
        uint64_t size;
        Sha256 hash;
        void *source; /* the caller's: how to get at the bytes (apply.h) */
} WantedContent;

/* A boot image. */
typedef struct WantedImage {
        char *name;          /* image_name_format(), without counter; stands in EFI/Linux */
        char *title;         /* for messages: "generation 7", "generation 7, specialisation x" */
        char *toplevel;      /* its own (a specialisation's is not its parent's) */
        StringList contents; /* names of the contents that it refers to; each is in Wanted */
        uint64_t size;       /* bytes once signed; an upper estimate is fine */
        unsigned tries;      /* boot counter of a new entry; 0: none */
        bool is_default;
        size_t group;      /* the same for a generation and its specialisations: they go together */
        bool is_protected; /* never goes to make room; the default never does either */
        bool is_confirmed; /* its generation was confirmed good, by an image without boot counter: such a file stays
                            * until what takes its place has none either */
        int64_t made;      /* when its generation was, seconds since 1970: the oldest go first */
        void *source;      /* the caller's: how to build it (apply.h) */
} WantedImage;

/* The generations that must not be judged: their document can't be read, so their images stay. */
typedef struct ShieldedGeneration {
        char *profile; /* "" for "system" */
        uint64_t generation;
} ShieldedGeneration;

typedef struct Wanted {
        WantedImage *images; /* newest first; owned, with everything in them but SOURCE */
        size_t image_count;
        WantedContent *contents;
        size_t content_count;

        char *token;          /* EntryToken=, NULL: the default */
        StringList toplevels; /* of all generations of our profiles and their specialisations, chosen or not */
        ShieldedGeneration *shielded;
        size_t shielded_count;

        char *machine_id; /* NULL: not known */

        char *booted_entry;    /* LoaderEntrySelected (type 2: a file name), NULL if not known */
        char *booted_toplevel; /* target of /run/booted-system, NULL if not known */

        bool has_signer; /* what is written is signed: a file not signed by the current certificate is not up to date */

        char *loader_version; /* of the boot loader that can be installed; NULL: leave boot loaders alone */
        uint64_t loader_size; /* bytes once signed; an upper estimate is fine */
        bool allow_downgrade; /* install it in place of a newer one too */

        bool has_loader_conf; /* false: leave loader.conf alone */
        Buffer loader_lines;  /* of its text, loader_conf_add_lines() */
        bool counting;        /* new entries have tries: a named default would defeat that */

        const Inventory *images_formerly; /* of the volume where they stood before: boot counters are handed down from
                                           * there, too. NULL: none */
        const Plan *images_elsewhere;     /* of the volume where the images and contents stand: none is written here,
                                           * and what is here goes once it is there. NULL: they stand here */

        bool renew_stubs;  /* an image with another stub than new ones get is not up to date */
        bool garbage_only; /* remove, and write nothing (gc) */
} Wanted;

void wanted_done(Wanted *wanted);

/* Append an element, all zero, to be filled by the caller; *ret is valid until the next call. wanted_add_content()
 * sets the name, and returns the element that has this name already, if one has: then its size is not zero. */
int wanted_add_image(Wanted *wanted, WantedImage **ret);
int wanted_add_content(Wanted *wanted, const char *name, WantedContent **ret);
int wanted_add_shielded(Wanted *wanted, const char *profile, uint64_t generation);

/* Steps, in the order in which they are taken. Between two kinds stands a barrier: what comes later is not begun before
 * what came earlier is durable. Where room must be made, removing steps stand ahead of the writing ones, in this order
 * too (Step.early). */
typedef enum StepKind {
        STEP_REMOVE_TEMPORARY,
        STEP_WRITE_CONTENT,
        STEP_WRITE_IMAGE,
        STEP_WRITE_LOADER,   /* EFI/systemd */
        STEP_WRITE_FALLBACK, /* EFI/BOOT */
        STEP_WRITE_LOADER_CONF,
        STEP_REMOVE_IMAGE,
        STEP_REMOVE_ENTRY, /* of nixpkgs' systemd-boot builder */
        STEP_REMOVE_CONTENT,
        STEP_KINDS,
} StepKind;

const char *step_kind_name(StepKind kind); /* "write-image": for results and dry runs */

typedef struct Step {
        StepKind kind;
        char *path; /* from the volume's root, under its final name */
        /* STEP_WRITE_IMAGE: name of the image of the same entry or generation that hands down its boot counter; looked
         * at again when the new one gets its name, since systemd-bless-boot may rename it meanwhile. NULL if none. */
        char *counter_from;
        const WantedContent *content; /* STEP_WRITE_CONTENT; borrowed from Wanted */
        const WantedImage *image;     /* STEP_WRITE_IMAGE; borrowed from Wanted */
        bool early;                   /* removes before anything is written */
        uint64_t takes, frees;        /* bytes, in whole clusters */
} Step;

struct Plan {
        Step *steps;
        size_t step_count;
        uint64_t takes, frees;
        size_t images_kept, contents_kept; /* wanted ones that are there already */
        bool *satisfied;                   /* for each wanted image: it is or will be there */
        const WantedImage *default_image;  /* the default one, if it is or will be there; borrowed from Wanted */
        bool has_succeeded;                /* this start came from a wanted image of ours that stays */
        StringList image_files;            /* names of all images that will be there, others' too */
        const char *default_file;          /* the default one's; borrowed from here or Inventory */
        const char *kept_default;          /* the name of its file if that stays as it is; borrowed from Inventory */
        Buffer loader_conf;                /* STEP_WRITE_LOADER_CONF: its text */
        StringList left_out;               /* titles of the generations for which there is no room */
        bool blocked;                      /* something that is no file stands where one is wanted; see warnings */
        StringList warnings;               /* what could not be judged or replaced, as sentences */
        StringList left_alone;             /* paths of images of our form whose key and generation are both unknown */
};

typedef struct VolumeSpace {
        uint64_t free_bytes;
        uint32_t cluster_bytes; /* 0 counts as 512 */
} VolumeSpace;

/* Makes the plan. WANTED must outlive it, unchanged. An empty plan (no steps) means: nothing to write.
 *
 * CONDITION_NOTHING_BOOTABLE: no boot image would stand on the volume afterwards.
 * Where not all that is wanted fits, garbage goes first, then the oldest generations, as many as needed (plan-room.c).
 *
 * CONDITION_ESP_FULL: not even what is protected fits; the message says how many bytes are missing, the hint what would
 * free them.
 * CONDITION_FAILED: something that is no file stands under the name of the default image or of what it refers to. */
int plan_make(const Inventory *inventory, const Wanted *wanted, VolumeSpace space, Plan *ret, Failure *failure);
void plan_done(Plan *plan);
