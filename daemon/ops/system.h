/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a system has, found by its configuration: its generations, what it booted from. */

#include "daemon/boot/generation.h"
#include "daemon/ops/context.h"
#include "daemon/util/failure.h"
#include "daemon/util/string-list.h"

/* The generations of all configured profile folders. */
int system_generations(const Context *context, StringList *warnings, GenerationList *ret, Failure *failure);

/* Which of them are to be on the ESP, and which is the default. */
typedef struct SystemChoice {
        GenerationList generations;
        Generation *default_generation; /* one of them */
        const BootVariant *default_variant;
} SystemChoice;

void system_choice_done(SystemChoice *choice);

typedef struct ToplevelRequest {
        const char *path;    /* of the default, or a link to it; NULL: nobody named one */
        bool allow_unlisted; /* it need be in no profile: generation_list_add_unlisted() */
} ToplevelRequest;

/* Reads the generations and chooses as generations_choose(). */
int system_choose(const Context *context, const ToplevelRequest *request, StringList *warnings, SystemChoice *ret,
                  Failure *failure);

/* The toplevel that runs now, NULL if that is not known. Owned. -ENOMEM. */
int system_booted_toplevel(const Context *context, char **ret);

/* A text variable of the Boot Loader Interface ("LoaderEntrySelected"), NULL if it is not set, unreadable or no text:
 * the boot loader writes what it likes. Owned. -ENOMEM. */
int system_loader_variable(const Context *context, const char *name, char **ret);
