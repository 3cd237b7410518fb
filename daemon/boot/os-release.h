/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* os-release(5) text, of the section .osrel: what the boot loader shows of an image. */

#include "daemon/util/buffer.h"
#include "daemon/util/macro.h"
#include "daemon/util/span.h"

enum { OS_RELEASE_MAX_BYTES = 64 * 1024 };

/* The fields that a boot loader makes an entry of. */
typedef struct OsRelease {
        char *id;          /* ID: what entries are sorted by first. NULL: missing, as below */
        char *pretty_name; /* PRETTY_NAME: the title */
        char *version_id;  /* VERSION_ID: what entries with the same ID are sorted by, numbers in it as numbers */
} OsRelease;

void os_release_done(OsRelease *os_release);

/* Appends the fields that are there, a line each, every value in double quotes with `"`, `$`, backquote and backslash
 * escaped. Returns -EINVAL, with nothing appended, if a value is not UTF-8 or has a control character. */
int os_release_format(const OsRelease *os_release, Buffer *text);

/* Reads the fields from TEXT as a shell would without expanding anything: unquoted, single- and double-quoted values
 * and their escapes; the last assignment counts; comments, other variables and lines that are no assignment are
 * skipped. Returns -EFBIG above OS_RELEASE_MAX_BYTES and -EBADMSG if there is a NUL. A value that would not be accepted
 * by os_release_format() is skipped as well. The caller owns *ret. */
int os_release_parse(Span text, OsRelease *ret);
