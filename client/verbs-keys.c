/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* create-keys, enroll-keys, list-enrolled-keys. */

#include <stdio.h>
#include <string.h>

#include "client/operation.h"
#include "client/print.h"
#include "client/results.h"
#include "client/verb.h"

void print_created_keys(const Session *session, json_t *result) {
        const char *would = truth_of(result, "dry-run") ? "Would make the keys of " : "Made the keys of ";
        json_t *role;
        size_t i;

        fputs(would, stdout);
        json_array_foreach(json_object_get(result, "created"), i, role) {
                fputs(i > 0 ? ", " : "", stdout);
                print_text(json_is_string(role) ? json_string_value(role) : "");
        }
        putchar('\n');
        print_certificates(session, json_object_get(result, "certificates"));
}

void print_certificates(const Session *session, json_t *certificates) {
        static const char *const headings[] = {"ROLE", "SUBJECT", "EXPIRES", "SHA-256"};
        json_auto_t *rows = json_array();
        json_t *certificate;
        size_t i;

        if (json_array_size(certificates) == 0)
                return;
        json_array_foreach(certificates, i, certificate) {
                char date[DATE_TEXT_MAX];

                json_array_append_new(rows,
                                      json_pack("[ssss]", text_of(certificate, "role"), text_of(certificate, "subject"),
                                                date_text(number_of(certificate, "not-after"), date),
                                                text_of(certificate, "fingerprint")));
        }
        print_table(session, headings, 4, rows);
}

static void print_variable(json_t *variable, bool dry_run) {
        json_int_t added = number_of(variable, "entries-added"), kept = number_of(variable, "entries-kept");

        printf("%s %s: %" JSON_INTEGER_FORMAT " added, %" JSON_INTEGER_FORMAT " kept",
               dry_run                         ? "Would write"
               : truth_of(variable, "written") ? "Wrote"
                                               : "Left alone",
               text_of(variable, "variable"), added, kept);
        if (*text_of(variable, "signed-by"))
                printf(", signed by %s", text_of(variable, "signed-by"));
        putchar('\n');
        print_lines(variable, "certificates-added", "    ");
}

void print_enrolled_keys(const Session *session, json_t *result) {
        json_t *variable;
        size_t i;

        json_array_foreach(json_object_get(result, "variables"), i, variable)
                print_variable(variable, truth_of(result, "dry-run"));
        print_lines(result, "files", truth_of(result, "dry-run") ? "Would write " : "Wrote ");
}

/* setup says it in its own words. */
static void print_enrollment(const Session *session, json_t *result) {
        print_enrolled_keys(session, result);
        if (!truth_of(result, "reboot-needed") || truth_of(result, "dry-run"))
                return;
        print_colored(session, COLOR_BOLD, "Reboot: from then on the firmware runs only what these keys allow.");
        putchar('\n');
}

static void print_signatures(const Session *session, json_t *result) {
        static const char *const headings[] = {"VARIABLE", "TYPE", "ORIGIN", "SUBJECT OR DIGEST", "EXPIRES"};
        json_auto_t *rows = json_array();
        json_t *key;
        size_t i;

        json_array_foreach(json_object_get(result, "keys"), i, key) {
                const char *subject = text_of(key, "subject");
                char date[DATE_TEXT_MAX];

                json_array_append_new(rows, json_pack("[sssss]", text_of(key, "variable"), text_of(key, "type"),
                                                      text_of(key, "origin"),
                                                      *subject ? subject : text_of(key, "fingerprint"),
                                                      date_text(number_of(key, "not-after"), date)));
        }
        if (json_array_size(rows) == 0)
                puts("Nothing is enrolled.");
        print_table(session, headings, 5, rows);
}

static int create_keys(Session *session, json_t *options) {
        return run_and_print(session, "create-keys", options, print_created_keys);
}

static int enroll_keys(Session *session, json_t *options) {
        return run_and_print(session, "enroll-keys", options, print_enrollment);
}

static int list_enrolled_keys(Session *session, json_t *options) {
        return run_and_page(session, "list-enrolled-keys", options, print_signatures);
}

static const Option create_options[] = {
        WRITE_OPTIONS,
        {.name = "bits",
         .type = OPTION_UNSIGNED,
         .argument = "BITS",
         .help = "size of db's RSA key: 2048 (default) or 4096"},
        {},
};

static const Option enroll_options[] = {
        WRITE_OPTIONS,
        ENROLL_OPTIONS,
        {.name = "export",
         .type = OPTION_STRING,
         .argument = "FORMAT",
         .help = "write files (esl or auth) for a firmware's menu; touch no variable"},
        {.name = "output", .type = OPTION_STRING, .argument = "DIR", .help = "the folder for these files"},
        {},
};

static const Option list_options[] = {
        {.name = "variable", .type = OPTION_STRING, .argument = "NAME", .help = "only this one: PK, KEK, db or dbx"},
        {},
};

const Verb create_keys_verb = {
        .name = "create-keys",
        .help = "make the keys that are missing",
        .options = create_options,
        .run = create_keys,
};

const Verb enroll_keys_verb = {
        .name = "enroll-keys",
        .help = "write db, KEK and PK to the firmware, which must be in Setup Mode",
        .options = enroll_options,
        .run = enroll_keys,
};

const Verb list_enrolled_keys_verb = {
        .name = "list-enrolled-keys",
        .help = "show what PK, KEK, db and dbx hold",
        .options = list_options,
        .run = list_enrolled_keys,
};
