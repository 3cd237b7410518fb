/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A temporary folder of a test's own, files in it, and the test keys of tests/lib/make-pki. Whatever fails ends the
 * test. PATH is relative to FOLDER; strings are owned by the caller (g_free, g_autofree). */

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* Makes a folder with mode 0700, to be removed with test_folder_remove(), which also frees the string. */
char *test_folder_make(void);
void test_folder_remove(char *folder);

/* For _cleanup_(). */
void test_folder_cleanup(char **folder);

char *test_path(const char *folder, const char *path);

/* Writes a file with exactly this mode, and the folders above it (0700). SIZE -1: TEXT is a string. */
void test_write(const char *folder, const char *path, const void *text, ssize_t size, mode_t mode);
void test_write_bytes(const char *folder, const char *path, GBytes *bytes, mode_t mode);
void test_make_folder(const char *folder, const char *path, mode_t mode);
GBytes *test_read(const char *folder, const char *path);
bool test_exists(const char *folder, const char *path);

/* All files and folders below FOLDER, sorted, one a line; folders end with a slash. */
char *test_listing(const char *folder);

/* A file of the test keys, such as "db.pem". */
GBytes *test_pki(const char *name);
char *test_pki_path(const char *name);
