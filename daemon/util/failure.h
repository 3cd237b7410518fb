/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What went wrong, in a form that a person and a program can act on.
 *
 * A function that can meet such a condition takes a Failure (NULL if the caller does not care), fills it and returns a
 * negative errno. The message names what failed, on which object, and why; the hint says what to do next. Each
 * condition has one name (of its D-Bus error), one exit status, one errno and one usual hint: the table in failure.c
 * is the only place where these meet. The first failure that is set stays: it is nearest to the cause. */

#include "daemon/util/macro.h"

typedef enum Condition {
        CONDITION_FAILED, /* anything without a name of its own: I/O, memory, a defect */
        CONDITION_NO_KEYS,
        CONDITION_KEYS_EXIST,
        CONDITION_BAD_KEYS,
        CONDITION_NOT_IN_SETUP_MODE,
        CONDITION_FIRMWARE_REFUSED,
        CONDITION_TIMESTAMP_NOT_NEWER,
        CONDITION_VARIABLES_READ_ONLY,
        CONDITION_VARIABLE_STORE_FULL,
        CONDITION_NOT_SUPPORTED,
        CONDITION_OPTION_ROM_RISK,
        CONDITION_WOULD_NOT_BOOT,
        CONDITION_ESP_NOT_FOUND,
        CONDITION_ESP_FULL,
        CONDITION_ESP_READ_ONLY,
        CONDITION_ESP_NOT_PRIVATE,
        CONDITION_BAD_BOOTSPEC,
        CONDITION_BAD_IMAGE,
        CONDITION_BAD_CONFIGURATION,
        CONDITION_SECRETS_FAILED,
        CONDITION_NOTHING_BOOTABLE,
        CONDITION_FOREIGN_TOPLEVEL,
        CONDITION_BUSY,
        CONDITION_CANCELED,
        CONDITION_LIMITS_EXCEEDED,
        CONDITION_COUNT,
} Condition;

typedef struct Failure {
        Condition condition;
        char *message; /* owned; NULL as long as nothing failed */
        char *hint;    /* owned; NULL: condition_hint() */
} Failure;

void failure_done(Failure *failure);

/* Records CONDITION with a message. Returns the condition's negative errno. */
int failure_set(Failure *failure, Condition condition, const char *format, ...) _printf_(3, 4);

/* Records ERROR (a negative errno) as CONDITION_FAILED, its text behind the message; -EROFS, -ENOSPC and the like get
 * their text only: whoever knows that it was the ESP uses failure_set(). Returns ERROR. */
int failure_set_errno(Failure *failure, int error, const char *format, ...) _printf_(3, 4);

/* Hands FROM's content on to FAILURE, and R with it: for whoever looked at a failure first and then passes it on. */
int failure_pass(Failure *failure, Failure *from, int r);

/* Replaces the usual hint of the failure that is set. */
void failure_set_hint(Failure *failure, const char *format, ...) _printf_(2, 3);

/* The hint to show: the failure's own, else its condition's; NULL if there is none. Borrowed. */
const char *failure_hint(const Failure *failure);

const char *condition_name(Condition condition); /* "NoKeys", last part of the D-Bus error name */
int condition_exit_status(Condition condition);  /* as in the manual page's table */
int condition_errno(Condition condition);        /* negative */
