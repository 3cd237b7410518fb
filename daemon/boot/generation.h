/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The generations of a system's profiles: links PROFILES/system-N-link, and PROFILES/system-profiles/NAME-N-link for
 * the other profiles, to toplevels in the store. Reading them is apart from choosing among them, which is a pure
 * function. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/boot/bootspec.h"
#include "daemon/util/failure.h"
#include "daemon/util/macro.h"
#include "daemon/util/string-list.h"

#define GENERATION_STORE "/nix/store"
#define GENERATION_BOOTED_SYSTEM "/run/booted-system"

enum {
        GENERATIONS_MAX = 16384,       /* links in all profiles */
        GENERATION_FOLDER_MAX = 65536, /* names in a profile folder */
        GENERATION_PROFILES_MAX = 256,
};

/* Its variants point into it: it is not to be copied or moved. */
typedef struct Generation {
        char *profile;            /* NULL for the profile "system" */
        uint64_t number;          /* from 1 */
        char *link;               /* path of the link inside the root */
        int64_t made;             /* the link's own mtime, seconds since 1970 */
        char *toplevel;           /* real path inside the root; NULL if the link leads nowhere good */
        bool current;             /* the profile's own link names this generation */
        Bootspec bootspec;        /* empty if there is a problem */
        BootVariantList variants; /* of bootspec; empty if there is a problem */
        Failure problem;          /* with a message: malformed, and why. Such a generation is skipped, and shields its
                                   * files from garbage collection */

        /* Set by generations_choose(). */
        bool chosen;     /* is to have its images on the ESP */
        bool is_default; /* holds the variant that is to be the default */
        bool is_booted;  /* holds the variant that runs now */

        bool is_confirmed; /* set by generations_choose_confirmed(): the newest of its profile that did boot */
} Generation;

typedef struct GenerationList {
        Generation *items; /* the profile "system" first, others by name; newest (highest number) first in each */
        size_t count;
} GenerationList;

void generation_list_done(GenerationList *list);

typedef enum GenerationLink {
        GENERATION_LINK_FOREIGN, /* has not the form */
        GENERATION_LINK_ODD,     /* has it, with a number that Nix never makes: zero, leading zeros, above 64 bits */
        GENERATION_LINK_GOOD,
} GenerationLink;

/* Splits a name of the form PROFILE-N-link. *RET_LENGTH is the length of PROFILE unless the name is foreign,
 * *RET_NUMBER only of a good one. */
GenerationLink generation_link_parse(const char *name, size_t *ret_length, uint64_t *ret_number);

/* Reads all generations of the profile folder PROFILES (absolute, inside ROOT; see daemon/util/root.h), with their
 * boot.json. What is wrong with a single generation is its PROBLEM: a link that belongs to neither root nor our own
 * user, dangles, loops or leads anywhere but directly into the store, or gets there by way of another link, a toplevel
 * that is no folder, a bad or missing boot.json. Names that only look like a generation's ("system-007-link", a number
 * above 64 bits) are told in WARNINGS (may be NULL). Fails, with a message, if PROFILES cannot be read, if it (or a
 * folder in it that holds links) belongs to neither root nor our own user or is writable by others, or if others decide
 * where the path leads (trusted-way.h), or if there are more than the limits above. PROFILES without system-profiles is
 * fine. */
int generation_list_read(int root, const char *profiles, StringList *warnings, GenerationList *ret, Failure *failure);

/* Moves the generations of MORE, which is empty then, behind those of LIST. What pointed into either list is invalid
 * afterwards. -ENOMEM: both are still to be ended, and good for nothing else. */
int generation_list_append(GenerationList *list, GenerationList *more);

/* Adds TOPLEVEL as the generation of "system" that its profile would get
 * next, for a caller who may have a system booted that is in no profile. Its LINK is TOPLEVEL.
 *
 * CONDITION_FOREIGN_TOPLEVEL unless it, and kernel, initrd and stub of each variant, lie in the store, belong to root
 * (or our own user) and nobody else can write them: a path that is still being built is not like that.
 * CONDITION_BAD_BOOTSPEC as bootspec_load(). What pointed into LIST is invalid afterwards. */
int generation_list_add_unlisted(int root, const char *toplevel, GenerationList *list, Failure *failure);

/* The real path inside ROOT of the toplevel that LINK (such as GENERATION_BOOTED_SYSTEM) leads to. Returns -ENOENT if
 * LINK is missing or dangles, -ELOOP, -EXDEV if it leads anywhere but directly into the store, -ENOTDIR
 * if what is there is no folder, -EINVAL if its name has control characters. Owned. */
int toplevel_resolve(int root, const char *link, char **ret);

/* The generation and variant whose toplevel is TOPLEVEL (a specialisation's too). With several, one that is current,
 * else the first in the list's order. Returns NULL if there is none; *ret_variant (may be NULL) is then left. Both are
 * borrowed from LIST. A malformed generation is found by the toplevel of its link, with a variant of NULL. */
Generation *generation_list_find(const GenerationList *list, const char *toplevel, const BootVariant **ret_variant);

typedef struct GenerationChoice {
        const char *default_toplevel; /* that activation named; NULL: the current generation of "system", else its
                                       * newest well-formed one, else any profile's newest well-formed one */
        const char *booted_toplevel;  /* NULL: unknown */
        unsigned limit;               /* newest generations of each profile; 0: all */
} GenerationChoice;

/* Marks what is to be on the ESP: of each profile the newest well-formed generations up to the limit, and over the
 * limit the default and every one that holds the booted toplevel (only the image knows its number). Pure.
 *
 * *ret_default is the generation that holds the default, *ret_variant which of its variants. Failures:
 * CONDITION_FOREIGN_TOPLEVEL if no generation holds the default toplevel that was named; CONDITION_BAD_BOOTSPEC if the
 * default is malformed (its own message); CONDITION_NOTHING_BOOTABLE if there is no well-formed generation. A booted
 * toplevel that no generation holds is no failure: whoever looks at the ESP protects its image by other means. */
int generations_choose(GenerationList *list, const GenerationChoice *choice, Generation **ret_default,
                       const BootVariant **ret_variant, Failure *failure);

/* Afterwards: chooses over the limit, too, of each profile the newest generation that DID_BOOT tells so of. */
void generations_choose_confirmed(GenerationList *list, bool (*did_boot)(void *userdata, const Generation *generation),
                                  void *userdata);
