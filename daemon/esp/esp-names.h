/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The names that lanzad gives to files on the ESP, and the paths by which boot images refer to them.
 *
 *     image     = TOKEN "-" [PROFILE "-"] "generation-" N ["-specialisation-" NAME] "-" HASH [counter] ".efi"
 *     counter   = "+" LEFT ["-" DONE]                      ; systemd-boot's boot counting
 *     content   = ("kernel-" / "initrd-") VERSION "-" HASH ".efi"
 *     temporary = "LANZ" 4HEXDIG ".TMP"                    ; upper case
 *
 * TOKEN is the configured EntryToken=, "nixos" if there is none. HASH is a SHA-256 as 52 characters of lower-case
 * base32. PROFILE (absent for "system") and NAME consist of [A-Za-z0-9_.-]; other bytes become "_", and what goes
 * beyond 64 is cut: HASH keeps such names apart. VERSION: [A-Za-z0-9._-], 1 to 64.
 *
 * What may be deleted is decided by these forms: parsing is exact, upper and lower case included. Whether two names are
 * one file is another question: FAT knows no case, so compare with fat_name_equal().
 *
 * A temporary name is a plain 8.3 name: its folder entry has no long-name part that a power cut could tear off. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/crypto/digest.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

#define ESP_TOKEN_DEFAULT "nixos"
#define ESP_IMAGE_FOLDER "EFI/Linux"
#define ESP_CONTENT_FOLDER "EFI/nixos"

enum {
        ESP_NAME_MAX = 255, /* FAT: a long name's UTF-16 units */
        ESP_TOKEN_MAX = 16,
        ESP_NAME_PART_MAX = 48, /* PROFILE, NAME */
        ESP_VERSION_MAX = 64,
        ESP_HASH_LENGTH = 52,
        TEMPORARY_NAME_SIZE = sizeof("LANZ0000.TMP"),
        TEMPORARY_NUMBER_MAX = 0xffff,
};

/* A parsed image name. All spans point into the string that was parsed. */
typedef struct ImageName {
        Span base;           /* all but the counter and ".efi" */
        Span identity;       /* BASE without "-HASH": the profile, generation and specialisation that it is of */
        Span profile;        /* empty for "system" */
        uint64_t generation; /* N */
        Span specialisation; /* empty if it is of none */
        Span hash;
        Span counter; /* "+LEFT[-DONE]", or empty */
} ImageName;

/* Returns -EINVAL if NAME has not exactly the image form with TOKEN (NULL: the default). */
int image_name_parse(const char *name, const char *token, ImageName *ret);

/* Makes an image name without counter, at most ESP_NAME_MAX bytes with any counter. PROFILE may be NULL, "" or
 * "system": none of these is in the name. SPECIALISATION may be NULL. TOKEN (NULL: the default) is image_token_valid().
 * Owned. */
int image_name_format(const char *token, const char *profile, uint64_t generation, const char *specialisation,
                      const Sha256 *hash, char **ret);

/* Whether NAME, parsed with TOKEN, is what image_name_format() makes for this generation of PROFILE, whichever
 * specialisation and hash. */
bool image_name_is_of(const ImageName *name, const char *token, const char *profile, uint64_t generation);

/* Whether TOKEN can begin a name: [A-Za-z0-9_.], 1 to ESP_TOKEN_MAX characters. No dash: what follows one could be
 * taken for a profile of another install whose token is shorter. */
bool image_token_valid(const char *token);

/* NAME (any "….efi" or "….EFI", ours or not) without its boot counter, if it has one: what systemd-boot calls the
 * entry. Owned, NULL if memory is short. */
char *entry_name(const char *name);

/* NAME, which has none, with COUNTER ("+3", "+2-1" or "") before its ".efi". Owned, NULL if memory is short. */
char *entry_name_with_counter(const char *name, Span counter);

/* The counter part of any name, empty if there is none. Points into NAME. */
Span entry_name_counter(const char *name);

/* Whether NAME has a boot counter with no tries left: systemd-boot starts it only when it is chosen, or nothing else is
 * there. */
bool entry_name_exhausted(const char *name);

/* Whether both are the same boot loader entry: equal but for the counter and for case. */
bool entry_name_equal(const char *a, const char *b);

typedef enum ContentKind {
        CONTENT_KERNEL,
        CONTENT_INITRD,
} ContentKind;

typedef struct ContentName {
        ContentKind kind;
        Span version;
        Span hash;
} ContentName;

/* Returns -EINVAL if NAME has not exactly the content form. */
int content_name_parse(const char *name, ContentName *ret);

/* Makes a content name. VERSION NULL or "" becomes "unknown"; what does not fit is replaced and cut as above. Owned. */
int content_name_format(ContentKind kind, const char *version, const Sha256 *hash, char **ret);

/* Whether NAME is one of our temporary names, in any case (as some mount options show 8.3 names). */
bool temporary_name_valid(const char *name);
void temporary_name_format(unsigned number, char ret[static TEMPORARY_NAME_SIZE]);

/* Compares as FAT does, without regard to the case of ASCII letters (our paths have no others). */
bool fat_name_equal(const char *a, const char *b);
int fat_name_compare(const char *a, const char *b); /* for sorting: like strcmp() */
bool string_list_has_name(const StringList *list, const char *name);

/* An ESP path as boot images carry it ("\EFI\nixos\kernel-….efi", stubs/stub-abi.h, "ESP paths") as a path below the
 * volume's root with slashes ("EFI/nixos/kernel-….efi"). Returns -EINVAL for anything outside the grammar: no leading
 * backslash, empty or dot components, a slash, bytes that FAT does not allow, more than 255 bytes. Owned. */
int esp_path_parse(Span path, char **ret);

/* The reverse, with the same rules. Owned. */
int esp_path_format(const char *path, char **ret);
