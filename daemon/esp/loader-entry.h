/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Boot loader entries of others: text files in loader/entries (UAPI.1, "Type #1 Boot Loader Specification Entries").
 * lanzad makes none, but what they name is not garbage. */

#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

#define LOADER_ENTRY_FOLDER "loader/entries"

enum { LOADER_ENTRY_MAX_BYTES = 64 * 1024 };

/* What nixpkgs' systemd-boot builder says in an entry of whose system it is. An entry that says it
 * twice, or with control characters, says nothing that could be anybody's: "". */
typedef struct LoaderEntryOwner {
        char *machine_id; /* owned, NULL if there is none */
        char *toplevel;   /* what init= of its options names, without "/init"; owned, NULL if there is none */
} LoaderEntryOwner;

void loader_entry_owner_done(LoaderEntryOwner *owner);

/* Reads it from an entry's text. -ENOMEM. */
int loader_entry_owner_parse(Span text, LoaderEntryOwner *ret);

/* The files that an entry names (linux, initrd, efi, uki, devicetree, devicetree-overlay), as paths below the volume's
 * root with slashes: "EFI/nixos/…". Appends to RET, which may have grown on failure. Returns -EBADMSG where a name
 * might mean another file than it says: "." and "..", spaces and dots at a name's edge, control characters; and for a
 * NUL in TEXT. */
int loader_entry_parse(Span text, StringList *ret);
