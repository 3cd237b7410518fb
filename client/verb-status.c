/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "client/print.h"
#include "client/results.h"
#include "client/verb.h"

static void print_fact(const Session *session, const char *label, Color color, const char *text) {
        if (!*text)
                return;
        print_label(label);
        print_colored(session, color, text);
        putchar('\n');
}

static void print_secure_boot(const Session *session, json_t *status) {
        const char *mode = text_of(status, "mode");

        if (!*mode)
                print_fact(session, "Secure Boot", COLOR_PLAIN, "not known: this is a tree, not the running system");
        else if (strcmp(mode, "unsupported") == 0)
                print_fact(session, "Secure Boot", COLOR_BAD, "not supported");
        else if (truth_of(status, "secure-boot") && truth_of(status, "keys-enrolled"))
                print_fact(session, "Secure Boot", COLOR_GOOD, "enforced, by these keys");
        else if (truth_of(status, "secure-boot"))
                print_fact(session, "Secure Boot", COLOR_BAD, "enforced, by other keys");
        else if (truth_of(status, "setup-mode"))
                print_fact(session, "Secure Boot", COLOR_BAD, "off: Setup Mode");
        else
                print_fact(session, "Secure Boot", COLOR_BAD,
                           truth_of(status, "keys-enrolled") ? "off, but these keys are enrolled" : "off");
}

static void print_booted(const Session *session, json_t *status) {
        print_fact(session, "Booted", COLOR_PLAIN, text_of(status, "booted-entry"));
        print_fact(session, "System", COLOR_PLAIN, text_of(status, "booted-toplevel"));
        print_fact(session, "Stub", COLOR_PLAIN, text_of(status, "booted-stub"));
        print_fact(session, "Boot loader", COLOR_PLAIN, text_of(status, "booted-loader"));
}

static void print_partition(json_t *partition) {
        char total[SIZE_TEXT_MAX], left[SIZE_TEXT_MAX];
        const char *loader = text_of(partition, "loader-version");
        const json_int_t images = number_of(partition, "images"),
                         foreign = images - number_of(partition, "images-of-ours");

        print_label("ESP");
        print_text(text_of(partition, "path"));
        printf("%s; %s of %s free; %" JSON_INTEGER_FORMAT " image%s",
               truth_of(partition, "read-only") ? ", read-only" : "",
               size_text(number_of(partition, "bytes-free"), left),
               size_text(number_of(partition, "bytes-total"), total), images, images == 1 ? "" : "s");
        if (foreign > 0)
                printf(", %" JSON_INTEGER_FORMAT " of them not lanzad's", foreign);
        if (*loader)
                fputs("; systemd-boot ", stdout);
        print_text(loader);
        putchar('\n');
}

static void print_findings(const Session *session, Color color, json_t *findings) {
        json_t *finding;
        size_t i;

        json_array_foreach(findings, i, finding) {
                fputs("  ", stdout);
                print_colored(session, color, text_of(finding, "message"));
                putchar('\n');
                if (!*text_of(finding, "hint"))
                        continue;
                fputs("    ", stdout);
                print_text(text_of(finding, "hint"));
                putchar('\n');
        }
}

void print_problems(const Session *session, json_t *status) {
        print_findings(session, COLOR_BAD, json_object_get(status, "problems"));
}

static void print_heading(const Session *session, const char *text) {
        putchar('\n');
        print_colored(session, COLOR_BOLD, text);
        putchar('\n');
}

void print_status(const Session *session, json_t *status) {
        json_t *certificates = json_object_get(status, "certificates"), *partition;
        size_t i;

        print_secure_boot(session, status);
        print_fact(session, "Keys", truth_of(status, "keys-present") ? COLOR_GOOD : COLOR_BAD,
                   truth_of(status, "keys-present")     ? "all there"
                   : json_array_size(certificates) == 0 ? "none"
                                                        : "not all there");
        print_booted(session, status);
        json_array_foreach(json_object_get(status, "partitions"), i, partition) print_partition(partition);
        if (json_array_size(json_object_get(status, "problems")) > 0)
                print_heading(session, "Problems:");
        else
                print_fact(session, "Problems", COLOR_GOOD, "none");
        print_problems(session, status);
        if (json_array_size(json_object_get(status, "notes")) > 0)
                print_heading(session, "Notes:");
        print_findings(session, COLOR_PLAIN, json_object_get(status, "notes"));
        if (json_array_size(certificates) > 0)
                putchar('\n');
        print_certificates(session, certificates);
        if (json_array_size(json_object_get(status, "generations")) > 0)
                putchar('\n');
        print_generations(session, json_object_get(status, "generations"));
}

static int status(Session *session, json_t *options) {
        return run_and_page(session, "status", options, print_status);
}

static const Option options[] = {
        {.name = "check", .help = "exit with status 6 unless the machine would boot as it stands"},
        {},
};

const Verb status_verb = {
        .name = "status",
        .help = "show where this machine stands, and what to do next",
        .options = options,
        .run = status,
};
