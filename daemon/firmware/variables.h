/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* EFI variables, from wherever they are kept: the running firmware (variables-efivar.c) or memory, which behaves as
 * edk2 does (variables-memory.h).
 *
 * A write is what SetVariable() takes (UEFI specification, 8.2.3): for a time-based authenticated variable, the
 * authentication header stands before the data; with EFI_VARIABLE_APPEND_WRITE the data are appended, else they
 * replace; an empty write deletes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/buffer.h"
#include "daemon/util/failure.h"
#include "daemon/util/guid.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

enum {
        VARIABLE_NON_VOLATILE = 0x01,
        VARIABLE_BOOTSERVICE_ACCESS = 0x02,
        VARIABLE_RUNTIME_ACCESS = 0x04,
        VARIABLE_TIME_BASED_AUTHENTICATED = 0x20,
        VARIABLE_APPEND_WRITE = 0x40,

        /* What PK, KEK, db and dbx always have, and what an append to them is written with. */
        VARIABLE_ATTRIBUTES_SECURE = 0x27,
        VARIABLE_ATTRIBUTES_SECURE_APPEND = 0x67,
};

/* A variable's content is read up to this size; a larger one is -EFBIG. */
enum { VARIABLE_SIZE_MAX = 1024 * 1024 };

extern const Guid efi_global_variable_guid;         /* PK, KEK, SetupMode, BootOrder, … */
extern const Guid efi_image_security_database_guid; /* db, dbx, dbt */

typedef struct Variables Variables;

/* What a backend does; all get its own pointer. Names are ASCII. Returns are negative errnos, and for writes those
 * that Linux's efivarfs gives for what firmware said: EACCES for a security violation, EINVAL, ENOSPC, EROFS, ENOENT,
 * EIO. */
typedef struct VariablesOps {
        int (*read)(void *backend, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret);
        int (*write)(void *backend, const Guid *vendor, const char *name, uint32_t attributes, Span data);
        int (*list)(void *backend, const Guid *vendor, StringList *ret);
        int (*query_space)(void *backend, uint64_t *ret_available);
        int (*check_writable)(void *backend);
        void (*free)(void *backend);
        const char *(*path)(void *backend); /* see variables_path(); may be NULL */
        const char *place;                  /* for messages: where these variables are */
} VariablesOps;

/* Takes BACKEND over, if it succeeds. */
int variables_new(const VariablesOps *ops, void *backend, Variables **ret);
Variables *variables_free(Variables *variables);
DEFINE_POINTER_CLEANUP(Variables *, variables_free)

/* The running firmware's, by way of libefivar. Fails with CONDITION_NOT_SUPPORTED where there are none: not booted by
 * UEFI, or efivarfs is not mounted. libefivar looks for efivarfs when the program starts. */
int variables_new_efivar(Variables **ret, Failure *failure);

/* The backend, if OPS is what it works by; else NULL. */
void *variables_backend(Variables *variables, const VariablesOps *ops);

/* Reads a variable. Returns -ENOENT if it does not exist, -EFBIG above VARIABLE_SIZE_MAX. RET_ATTRIBUTES may be NULL.
 * The caller owns *RET. */
int variables_read(Variables *variables, const Guid *vendor, const char *name, uint32_t *ret_attributes, Buffer *ret);

/* The names of VENDOR's variables, sorted by bytes. The caller owns *RET. -E2BIG if there are absurdly many. */
int variables_list(Variables *variables, const Guid *vendor, StringList *ret);

/* Reads a variable of one byte, 0 or 1. An absent one is DEFAULT. Returns -EBADMSG for any other content. */
int variables_read_flag(Variables *variables, const Guid *vendor, const char *name, bool default_value, bool *ret);

/* Writes a variable. Fails with CONDITION_FIRMWARE_REFUSED (its signature or timestamp, or the form of the data),
 * CONDITION_VARIABLES_READ_ONLY, CONDITION_VARIABLE_STORE_FULL, or CONDITION_FAILED. Nothing changed then. */
int variables_write(Variables *variables, const Guid *vendor, const char *name, uint32_t attributes, Span data,
                    Failure *failure);

/* Fails with CONDITION_VARIABLES_READ_ONLY if no write can succeed here, without trying one. */
int variables_check_writable(Variables *variables, Failure *failure);

/* Bytes left for new variables. Returns -EOPNOTSUPP where kernel or firmware don't tell. */
int variables_query_space(Variables *variables, uint64_t *ret_available);

/* The folder or file in which other processes' writes show, NULL if there is none. Borrowed. */
const char *variables_path(const Variables *variables);

/* Where these variables are, for messages. */
const char *variables_place(const Variables *variables);
