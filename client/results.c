/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/results.h"

#include "client/operation.h"
#include "client/pager.h"
#include "client/print.h"

void show_result(const Session *session, json_t *result, ResultPrinter *printer, bool pages) {
        if (!print_json(session, result) && !session->quiet) {
                if (pages)
                        pager_print(session, printer, result);
                else
                        printer(session, result);
        }
        print_warnings(result);
}

static int run_and_show(const Session *session, const char *verb, json_t *options, ResultPrinter *printer, bool pages,
                        json_t **ret_result) {
        int r;

        *ret_result = NULL;
        r = operation_call(session, verb, options, ret_result);
        if (*ret_result)
                show_result(session, *ret_result, printer, pages);
        return r;
}

int run_and_print(const Session *session, const char *verb, json_t *options, ResultPrinter *printer) {
        json_auto_t *result = NULL;

        return run_and_show(session, verb, options, printer, /* pages= */ false, &result);
}

int run_and_page(const Session *session, const char *verb, json_t *options, ResultPrinter *printer) {
        json_auto_t *result = NULL;

        return run_and_show(session, verb, options, printer, /* pages= */ true, &result);
}

int run_and_keep(const Session *session, const char *verb, json_t *options, ResultPrinter *printer,
                 json_t **ret_result) {
        return run_and_show(session, verb, options, printer, /* pages= */ false, ret_result);
}
