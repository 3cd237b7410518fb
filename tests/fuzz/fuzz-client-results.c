/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: client */

/* What a child or the service answered, as a person is shown it. Names come from file systems: whatever they hold,
 * nothing that steers a terminal is printed. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/print.h"
#include "client/results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printed(const unsigned char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f ||
                    (text[i] == 0xc2 && i + 1 < size && text[i + 1] >= 0x80 && text[i + 1] < 0xa0))
                        abort();
}

/* Standard output and error go to memory meanwhile. */
static void show(const Session *session, json_t *result, ResultPrinter *printer) {
        FILE *before = stdout, *errors = stderr, *memory;
        char *text = NULL;
        size_t size = 0;

        memory = open_memstream(&text, &size);
        if (!memory)
                abort();
        stdout = stderr = memory;
        printer(session, result);
        print_warnings(result);
        stdout = before;
        stderr = errors;
        fclose(memory);
        check_printed((unsigned char *)text, size);
        free(text);
}

static void show_certificates(const Session *session, json_t *result) {
        print_certificates(session, json_object_get(result, "certificates"));
        print_generations(session, json_object_get(result, "generations"));
}

static void show_problems(const Session *session, json_t *result) {
        print_problems(session, result);
}

static void show_error(const Session *session, json_t *result) {
        print_error(session, result, /* say= */ true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static ResultPrinter *const printers[] = {print_created_keys, print_enrolled_keys, print_synced, print_status,
                                                  show_problems,      show_certificates,   show_error};
        const Session session = {.format = FORMAT_TEXT};
        json_auto_t *result = json_loadb((const char *)data, size, 0, /* error= */ NULL);

        if (!json_is_object(result))
                return 0;
        for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++)
                show(&session, result, printers[i]);
        return 0;
}
