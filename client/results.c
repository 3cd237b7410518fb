/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/results.h"

#include "client/operation.h"
#include "client/print.h"

int run_and_print(const Session *session, const char *verb, json_t *options, ResultPrinter *printer) {
        json_auto_t *result = NULL;
        int r;

        r = operation_call(session, verb, options, &result);
        if (!result)
                return r;
        if (!print_json(session, result) && !session->quiet)
                printer(session, result);
        print_warnings(result);
        return r;
}
