/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a system closure says about how it is booted: boot.json in its toplevel ("bootspec", NixOS RFC 125, version 1),
 * with the specialisations nested in it, or what stands for it in a system without one. */

#include <stddef.h>

#include "daemon/util/failure.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

/* Limits: a document that exceeds one is refused. Real ones have some kilobytes. */
enum {
        BOOTSPEC_MAX_BYTES = 2 * 1024 * 1024,
        BOOTSPEC_MAX_DEPTH = 8,             /* specialisations within specialisations */
        BOOTSPEC_MAX_SPECIALISATIONS = 256, /* all of a document, nested ones included */
        BOOTSPEC_MAX_TEXT = 1024,           /* bytes of a label, a sort key, a specialisation's name */
        BOOTSPEC_MAX_PARAMS = 4096,
};

typedef struct BootspecSpecialisation BootspecSpecialisation;

/* Paths are absolute and normalised (no empty component, "." or "..", no slash at the end) and, like all texts, UTF-8
 * without control characters; kernel parameters may hold tabs. Nothing here says that a path exists. */
typedef struct Bootspec {
        char *label;
        char *init; /* besides, without white space and quotes: it becomes a word of the command line */
        char *kernel;
        char *initrd;         /* NULL: none */
        char *initrd_secrets; /* program that appends secrets to an initrd; NULL: none */
        StringList kernel_params;
        char *system; /* "x86_64-linux" */
        char *toplevel;
        /* The first of these that is there: org.lanzaboote.lanzad .sortKey, org.nix-community.lanzaboote .sort_key,
         * org.nixos.systemd-boot .sortKey. NULL: none of them. */
        char *sort_key;
        char *stub;        /* org.lanzaboote.lanzad .stub: the generation's own stub; NULL: the configured one */
        char *device_tree; /* org.nixos.systemd-boot .devicetree; NULL: none */
        BootspecSpecialisation *specialisations; /* sorted by name */
        size_t specialisation_count;
} Bootspec;

struct BootspecSpecialisation {
        char *name; /* not empty, no slash, not "." or ".." */
        Bootspec bootspec;
};

void bootspec_done(Bootspec *bootspec);

/* Parses a document. WHERE names it in messages. Missing members, wrong types, duplicate members and bad values are
 * CONDITION_BAD_BOOTSPEC, naming WHERE, the line (of malformed JSON) or the member's path, and the cause. Unknown
 * extensions and members are ignored. The caller owns *ret. */
int bootspec_parse(Span json, const char *where, Bootspec *ret, Failure *failure);

/* Reads and parses TOPLEVEL/boot.json inside ROOT (see daemon/util/root.h). TOPLEVEL is a real path, and the document
 * must name it as its own toplevel. Where there is no boot.json it is made from what stands beside (synthesis.h). */
int bootspec_load(int root, const char *toplevel, Bootspec *ret, Failure *failure);

/* What one boot image is made from: the system itself or one of its specialisations, nested ones too. */
typedef struct BootVariant {
        char *specialisation;     /* NULL for the system itself; nested names are joined by "/" */
        const Bootspec *bootspec; /* borrowed */
} BootVariant;

typedef struct BootVariantList {
        BootVariant *items; /* the system itself first, then by name, parents before what is nested in them */
        size_t count;
} BootVariantList;

void boot_variant_list_done(BootVariantList *list);

/* Lists the variants of BOOTSPEC, which must outlive the list. -ENOMEM. */
int bootspec_variants(const Bootspec *bootspec, BootVariantList *ret);

/* The variant whose toplevel is TOPLEVEL; NULL if there is none. Borrowed from LIST. */
const BootVariant *boot_variant_list_find(const BootVariantList *list, const char *toplevel);
