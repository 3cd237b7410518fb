/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a system has, as records: its generations, the EFI system partition, and the images on it. Headers and folders
 * are read, no whole file. For whoever lists, and for status, which judges what it sees. */

#include "daemon/boot/generation.h"
#include "daemon/ops/context.h"
#include "daemon/ops/partitions.h"
#include "daemon/ops/record.h"
#include "daemon/ops/stub-shelf.h"

typedef struct SurveyGeneration {
        char *profile;
        uint64_t number;
        char *toplevel, *label;
        uint64_t made;     /* seconds since 1970: when its link was */
        bool current;      /* of its profile */
        bool booted;       /* runs now, it or a specialisation of it */
        bool is_default;   /* one of its images is what the boot loader starts by itself */
        StringList images; /* file names, its specialisations' too */
        char *problem;     /* why it is left out; NULL: nothing */
} SurveyGeneration;

typedef struct SurveyImage {
        char *partition; /* where that is mounted */
        char *name;      /* in EFI/Linux */
        uint64_t size;
        char *profile;       /* from the name, as are the next two; NULL if it has not our form */
        uint64_t generation; /* 0: it has not our form */
        char *specialisation;
        char *toplevel;     /* that its command line names */
        bool ours;          /* what sync would take for its own */
        bool has_signature; /* by a certificate that the key store holds or has held */
        bool booted;        /* this start came from it */
        bool is_default;    /* as above */
        bool has_old_stub;  /* not the one that new images get */
        bool counted;       /* its boots are counted: */
        uint64_t tries_left, tries_done;
        StringList files; /* that it refers to, paths on the partition */
        char *problem;    /* why it cannot boot, as far as can be told without reading it all; NULL: nothing */
} SurveyImage;

typedef struct SurveyPartition {
        char *path;           /* where it is mounted */
        char *partition_uuid; /* absent in a tree */
        char *role;           /* "esp", "xbootldr" */
        bool boots;           /* the firmware starts the boot loader that leads here, as far as can be told */
        bool has_images;      /* images belong here */
        uint64_t bytes_total, bytes_free;
        bool read_only, private;
        const char *read_only_hint; /* static */
        uint64_t images, images_of_ours;
        char *loader_version;
} SurveyPartition;

extern const Record survey_generation_record, survey_image_record, survey_partition_record;

typedef struct Survey {
        RecordList generations, images, partitions;
        PartitionList places;  /* those that can be looked at are among the partitions */
        GenerationList list;   /* the same in the same order */
        char *booted_toplevel; /* NULL: not known */
        char *booted_entry;    /* LoaderEntrySelected; NULL: not known */
        bool has_secrets;      /* a generation adds secrets to its initrd */
        StubShelf *stubs;      /* if they were looked for; else NULL */
} Survey;

void survey_done(Survey *survey);

/* What runs now. -ENOMEM. */
int survey_booted(const Context *context, Survey *survey);

/* The generations, after survey_booted(). Fails as system_generations(). */
int survey_generations(const Context *context, Survey *survey, Failure *failure);

/* The stubs, before survey_partitions(): what images have is compared with them. Fails as stub_shelf_new(). */
int survey_stubs(const Context *context, Survey *survey, Failure *failure);

/* The partitions and their images, and which generation has which; after survey_generations(). PLACES then tells what
 * keeps one from being looked at: also that its folders cannot be listed, and then it is among the partitions. */
int survey_partitions(const Context *context, Survey *survey, Failure *failure);
