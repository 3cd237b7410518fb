/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/results.h"

#include "client/operation.h"
#include "client/pager.h"
#include "client/print.h"

static int run_and_show(const Session *session, const char *verb, json_t *options, ResultPrinter *printer, bool pages,
                        json_t **ret_result) {
        json_t *result = NULL;
        int r;

        r = operation_call(session, verb, options, &result);
        *ret_result = result;
        if (!result)
                return r;
        if (!print_json(session, result) && !session->quiet) {
                if (pages)
                        pager_print(session, printer, result);
                else
                        printer(session, result);
        }
        print_warnings(result);
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
