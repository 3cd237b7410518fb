/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads an ESP by itself, with none of the daemon's code, and says what would start from it. */

#include <glib.h>

typedef struct JudgedImage {
        char *name;     /* in EFI/Linux */
        char *entry;    /* the same without boot counter */
        char *toplevel; /* of init=; NULL: none */
        char **paths;   /* of kernel and initrds, below the root; NULL-terminated */
        char *problem;  /* why it would not start; NULL: it would */
} JudgedImage;

/* All that ends in ".efi" in EFI/Linux; of JudgedImage. Owned. */
GPtrArray *judge_images(const char *esp);

/* The name without "+LEFT[-DONE]". Owned. */
char *judge_entry_name(const char *name);

/* Names of a folder, sorted; of a missing one none. Owned. */
char **judge_folder(const char *esp, const char *folder);
