/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* EFI variables in memory, or in one text file, that behave as edk2's (AuthVariableLib over the variable driver, at
 * runtime): what writes it takes and refuses, with which status, what becomes of SetupMode at once and of SecureBoot
 * at the next start. tests/firmware/agreement.c holds it against OVMF.
 *
 * The file is written anew after every change. Its first line is "lanzad-variables 1"; then one line each:
 *
 *   variable VENDOR-GUID NAME ATTRIBUTES TIMESTAMP SIGNER DATA     (hexadecimal; an empty one is "-")
 *   read-only                                                     every write is refused as efivarfs mounted ro does
 *   capacity BYTES                                                room for all variables
 *   fail-write NUMBER ERRNO                                       the NUMBERth write from now (1 is the next) fails;
 *                                                                 it counts down
 *
 * TIMESTAMP is an EFI_TIME; SIGNER names who may change an authenticated variable other than PK, KEK, db and dbx. */

#include "daemon/firmware/variables.h"

/* EFI_STATUS values that SetVariable() returns, without the error bit. */
typedef enum EfiStatus {
        EFI_STATUS_SUCCESS = 0,
        EFI_STATUS_INVALID_PARAMETER = 2,
        EFI_STATUS_UNSUPPORTED = 3,
        EFI_STATUS_DEVICE_ERROR = 7,
        EFI_STATUS_WRITE_PROTECTED = 8,
        EFI_STATUS_OUT_OF_RESOURCES = 9,
        EFI_STATUS_NOT_FOUND = 14,
        EFI_STATUS_SECURITY_VIOLATION = 26,
} EfiStatus;

/* "EFI_SUCCESS", … */
const char *efi_status_name(EfiStatus status);

/* The negative errno that Linux's efivarfs makes of a status; 0 for success. */
int efi_status_errno(EfiStatus status);

/* A machine as it leaves the factory without keys: Setup Mode, Secure Boot off. */
int variables_new_memory(Variables **ret);

/* The same, kept in the file PATH; an absent or empty file is a new machine. Returns -EBADMSG for a file that is none,
 * or what file_read() returns. */
int variables_new_memory_file(const char *path, Variables **ret);

/* These take variables that the two functions above made, and nothing else. */

/* Starts the machine again: SetupMode and SecureBoot follow from PK and SecureBootEnable; volatile variables are gone.
 */
int variables_memory_reboot(Variables *variables);

/* Sets a variable behind the firmware's back (empty DATA: deletes): a factory's content, a mode that edk2 lacks. */
int variables_memory_set(Variables *variables, const Guid *vendor, const char *name, uint32_t attributes, Span data);

/* What SetVariable() answered to the last write. */
EfiStatus variables_memory_last_status(Variables *variables);

/* How many writes there were, refused ones too. */
size_t variables_memory_write_count(Variables *variables);

/* The NUMBERth write from now (1 is the next) fails with the negative errno ERROR and changes nothing; 0: none does. */
int variables_memory_fail_write(Variables *variables, unsigned number, int error);
int variables_memory_set_read_only(Variables *variables, bool read_only);
int variables_memory_set_capacity(Variables *variables, uint64_t bytes);
