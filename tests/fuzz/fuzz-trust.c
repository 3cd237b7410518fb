/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: trust */

/* The input is two lengths (16 bits each), then db, dbx and an image. */

#include <stdlib.h>

#include "daemon/trust/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Span take(Span *rest, uint64_t length) {
        Span taken = *rest;

        if (span_slice(*rest, 0, length, &taken) >= 0)
                (void)span_slice(*rest, length, rest->size - length, rest);
        else
                *rest = (Span){};
        return taken;
}

static bool judge(Span image, const TrustLists *lists) {
        TrustVerdict verdict = {};
        bool allowed;

        if (trust_judge(image, lists, &verdict) < 0 || !verdict.reason)
                abort();
        allowed = verdict.allowed;
        trust_verdict_done(&verdict);
        return allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Span rest = {data, size};
        uint16_t db_size, dbx_size;
        TrustLists lists, without_dbx;

        if (span_u16(rest, 0, &db_size) < 0 || span_u16(rest, 2, &dbx_size) < 0)
                return 0;
        (void)take(&rest, 4);
        lists.db = take(&rest, db_size);
        lists.dbx = take(&rest, dbx_size);
        lists.dbt = lists.db;
        without_dbx = (TrustLists){.db = lists.db};

        /* dbx only ever takes away, and without db there is nothing to allow. */
        if (judge(rest, &lists) && !judge(rest, &without_dbx))
                abort();
        if (judge(rest, &(TrustLists){.dbx = lists.dbx}))
                abort();
        return 0;
}
