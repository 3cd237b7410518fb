/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define SD_JOURNAL_SUPPRESS_LOCATION /* where in our code says nothing to who reads the journal */
#include "daemon/bus/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

void journal_call(const char *operation, uid_t uid, uint64_t id, const char *result, const char *message) {
        const char *colon = message ? ": " : "", *text = message ? message : "";

        /* Started from a shell: for whoever looks at it. */
        if (!getenv("JOURNAL_STREAM")) {
                fprintf(stderr, "lanzad: %s for uid %u: %s%s%s\n", operation, (unsigned)uid, result, colon, text);
                return;
        }
        (void)sd_journal_send("MESSAGE=%s for uid %u: %s%s%s", operation, (unsigned)uid, result, colon, text,
                              "PRIORITY=%i", strcmp(result, "done") == 0 ? LOG_INFO : LOG_WARNING, "LANZA_OPERATION=%s",
                              operation, "LANZA_CALLER_UID=%u", (unsigned)uid, "LANZA_RESULT=%s", result,
                              "LANZA_ID=%" PRIu64, id, NULL);
}
