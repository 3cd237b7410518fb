/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What stands on a volume: one pass over its folders, reading of each image no more than the reader asks for. Nothing
 * on the volume makes this fail but an I/O error in listing a folder: what cannot be read is recorded as such. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/esp/loader-entry.h"
#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

/* What lanzad must know of an image, of any origin, told by a callback (PE is not this folder's business). */
typedef struct ImageFacts {
        StringList references;  /* ESP paths as the image spells them ("\EFI\nixos\…"); none if it embeds all */
        char *toplevel;         /* what its command line's init= names, without "/init"; NULL if none. Owned */
        bool signed_by_us;      /* by a certificate that the key store holds or has held */
        bool signed_by_current; /* by the one that would sign now */
        bool has_other_stub;    /* than new images get */
} ImageFacts;

void image_facts_done(ImageFacts *facts);

/* Reads the facts of the file open as FD, headers only; *ret is all zero before. The certificate of the signature
 * counts: the signature itself need not be verified. Returns -ENOEXEC if it is no PE image at all (so it refers to
 * nothing), any other negative errno if it can't be read or is damaged (so it might refer to anything). */
typedef int (*ImageReader)(void *userdata, int fd, ImageFacts *ret);

typedef struct EspImage {
        char *name; /* in EFI/Linux */
        uint64_t size;
        bool regular;  /* false: a folder or the like stands under an image's name */
        bool our_form; /* the name has our form, with our token */
        bool old_form; /* or one that lanzaboote gave, which is not ours */
        int error;     /* 0; -ENOEXEC: no image; else why it can't be read. FACTS is empty then */
        ImageFacts facts;
        StringList paths; /* facts.references as paths below the root ("EFI/nixos/…") */
} EspImage;

typedef struct EspContent {
        char *name; /* in EFI/nixos */
        uint64_t size;
        bool regular;
        bool exact_form; /* ours, or lanzaboote's that is like it */
        bool store_form; /* that of nixpkgs' systemd-boot builder, and once of lanzaboote */
} EspContent;

/* Someone's boot loader entry: what it names stays. */
typedef struct EspEntry {
        char *name; /* in loader/entries */
        uint64_t size;
        int error;        /* why it can't be told what it names: it might name anything; 0 */
        StringList paths; /* below the root */
        bool builders;    /* it is as nixpkgs' systemd-boot builder names and writes it; only then: */
        char *profile;    /* "" for "system" */
        uint64_t generation;
        LoaderEntryOwner owner;
} EspEntry;

typedef enum LoaderPlace {
        LOADER_SYSTEMD,  /* EFI/systemd/systemd-bootARCH.efi */
        LOADER_FALLBACK, /* EFI/BOOT/BOOTARCH.EFI */
        LOADER_PLACES,
} LoaderPlace;

typedef struct EspLoader {
        char *path; /* from the root */
        bool exists, regular;
        uint64_t size;
        int error;     /* why it can't be read, or is damaged; 0 */
        char *version; /* of systemd-boot; NULL: it is none, or can't be read */
        bool signed_by_us, signed_by_current;
} EspLoader;

typedef struct EspLeftover {
        char *path; /* from the root */
        uint64_t size;
        char *twin; /* path of a file in the same folder with the same bytes; NULL if there is none (see twins.c) */
} EspLeftover;

typedef struct Inventory {
        EspImage *images; /* everything in EFI/Linux that ends in ".efi", sorted by name */
        size_t image_count;
        EspContent *contents; /* everything in EFI/nixos, sorted by name */
        size_t content_count;
        EspEntry *entries; /* files in loader/entries that end in ".conf", sorted by name */
        size_t entry_count;
        EspLoader loaders[LOADER_PLACES];
        bool has_loader_conf;     /* a file, and it could be read */
        bool loader_conf_blocked; /* something that is no file stands under its name */
        Buffer loader_conf;
        EspLeftover *leftovers; /* what an earlier run left under temporary names */
        size_t leftover_count;
} Inventory;

typedef struct InventoryParameters {
        ImageReader read_image;
        void *userdata;
        const char *token;        /* EntryToken=, NULL: the default */
        const char *architecture; /* as in file names of EFI: "x64", "aa64" */
} InventoryParameters;

/* Reads the volume whose root is open as FD. A folder that is missing is an empty one. Returns -ENOTDIR where a file
 * stands in place of one of the folders. */
int inventory_read(int fd, const InventoryParameters *parameters, Inventory *ret, Failure *failure);
void inventory_done(Inventory *inventory);

/* As file_read(), below the root open as FD. Where PATH is gone, but its entry stands beside it with another boot
 * counter, reads that: systemd-bless-boot renames what was booted at any time. */
int entry_file_read(int fd, const char *path, size_t maximum, Buffer *ret);
