/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs share: how results are shown. */

#include "client/verb.h"

typedef void ResultPrinter(const Session *session, json_t *result);

/* Shows RESULT as JSON, or by PRINTER unless the session is quiet, if PAGES through a pager where it is longer than the
 * screen; warnings in any case. */
void show_result(const Session *session, json_t *result, ResultPrinter *printer, bool pages);

/* Runs VERB and shows its result: as JSON, or by PRINTER unless the session is quiet; warnings in any case. Returns the
 * exit status. */
int run_and_print(const Session *session, const char *verb, json_t *options, ResultPrinter *printer);
/* The same for what is there to be read: text that is longer than the screen goes through a pager. */
int run_and_page(const Session *session, const char *verb, json_t *options, ResultPrinter *printer);

/* The same, and *RET_RESULT is the result, owned by the caller; NULL where it failed. */
int run_and_keep(const Session *session, const char *verb, json_t *options, ResultPrinter *printer,
                 json_t **ret_result);

void print_created_keys(const Session *session, json_t *result);
void print_enrolled_keys(const Session *session, json_t *result);
void print_synced(const Session *session, json_t *result);
void print_status(const Session *session, json_t *result);

/* A table of certificates; nothing if there are none. */
void print_certificates(const Session *session, json_t *certificates);
/* A table of generations. */
void print_generations(const Session *session, json_t *generations);
/* "problems" of a status, each with what mends it. */
void print_problems(const Session *session, json_t *status);
