/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names that the programs gave to files which lanzad's take over from, beside those that are exactly ours.
 *
 *     image   = "nixos-generation-" N ["-specialisation-" ANY] [counter] ".efi"       lanzaboote
 *     content = ("kernel-" / "initrd-") VERSION "-" HASH ".efi"                        lanzaboote
 *             / STOREHASH "-" STORENAME ".efi"                                         both
 *             / HEX "-initrd.efi"                                                      nixpkgs, with initrd secrets
 *     entry   = "nixos-" [PROFILE "-"] "generation-" N ["-specialisation-" ANY] [counter] ".conf"    nixpkgs
 *             / "nixos-" HEX [counter] ".conf"                                         nixpkgs since 2025
 *
 * lanzaboote's image has our HASH at the end since August 2023, and then it is ours in most cases; a specialisation's
 * name stands there as it is, of any length. Its VERSION is all that may stand behind the last dash of a store name.
 * STOREHASH: 32 characters of Nix' base32; STORENAME: what a store path and a file in it may be called. HEX: 64
 * lower-case hexadecimal digits; of an entry it is the SHA-256 of its text. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/crypto/digest.h"
#include "daemon/util/span.h"

/* Whether NAME is an image of lanzaboote's, of the profile "system". Its generation goes to *RET. */
bool lanzaboote_image_parse(const char *name, uint64_t *ret);
bool lanzaboote_content_valid(const char *name);

/* A kernel or initrd named after its place in the store. */
bool store_content_valid(const char *name);

typedef struct BuilderEntryName {
        Span profile;        /* empty for "system"; points into the name */
        uint64_t generation; /* 0: the name has HEX instead */
        Sha256 hash;         /* if so */
} BuilderEntryName;

bool builder_entry_parse(const char *name, BuilderEntryName *ret);
