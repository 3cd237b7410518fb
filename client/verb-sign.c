/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sign. */

#include <stdio.h>

#include "client/print.h"
#include "client/results.h"
#include "client/signing.h"
#include "client/verb.h"

static void print_signed(const Session *session, json_t *result) {
        const bool dry_run = truth_of(result, "dry-run");
        json_t *file;
        size_t i;

        json_array_foreach(json_object_get(result, "files"), i, file) {
                if (truth_of(file, "signed"))
                        fputs(dry_run ? "Would sign " : "Signed ", stdout);
                print_text(text_of(file, "path"));
                puts(truth_of(file, "signed") ? "" : ": was signed already");
        }
}

static int refuse(const char *what) {
        complain("%s\nTry 'lanzactl sign --help'.", what);
        return STATUS_USAGE;
}

static int sign(Session *session, json_t *options) {
        const size_t count = json_array_size(json_object_get(options, "files"));

        if (count == 0)
                return refuse("A file is missing, which is to be signed");
        if (count > 1 && json_object_get(options, "output"))
                return refuse("Several files cannot be written as one: --output is for a single one");
        if (count > SIGNING_FILES_MAX)
                return refuse("So many files cannot be signed in one run: 256 can");
        return run_and_print(session, "sign", options, print_signed);
}

static const Option sign_options[] = {
        WRITE_OPTIONS,
        {.name = "files", .type = OPTION_STRINGS, .argument = "FILE..."},
        {.name = "output",
         .type = OPTION_STRING,
         .argument = "FILE",
         .help = "write the one FILE there, and leave it as it is"},
        {},
};

const Verb sign_verb = {
        .name = "sign",
        .help = "sign EFI binaries with the key of db, beside the signatures that they have",
        .options = sign_options,
        .positional = "files",
        .run = sign,
};
