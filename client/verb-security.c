/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "client/print.h"
#include "client/results.h"
#include "client/verb.h"

/* Numbers of dbus/org.lanzaboote.Lanza1.Security.xml. */
enum { FLAG_SUCCESS = 1, FLAG_MISSING_DATA = 4, FLAG_RUNTIME_ISSUE = 1024, LEVEL_MAX = 5 };

static const char *const outcomes[] = {
        [1] = "enabled",    [2] = "not enabled", [3] = "valid",         [4] = "not valid",      [5] = "locked",
        [6] = "not locked", [7] = "encrypted",   [8] = "not encrypted", [9] = "tainted",        [10] = "not tainted",
        [11] = "found",     [12] = "not found",  [13] = "supported",    [14] = "not supported",
};

typedef enum Judgement {
        HOLDS,
        FAILS,
        UNKNOWN,
} Judgement;

static Judgement judgement_of(json_t *attribute) {
        json_int_t flags = number_of(attribute, "Flags");

        if (flags & FLAG_SUCCESS)
                return HOLDS;
        return flags & FLAG_MISSING_DATA ? UNKNOWN : FAILS;
}

static const char *outcome_of(json_t *attribute) {
        json_int_t result = number_of(attribute, "HsiResult");

        return result > 0 && result < (json_int_t)(sizeof(outcomes) / sizeof(*outcomes)) ? outcomes[result]
                                                                                         : "not known";
}

static void print_note(json_t *attribute, const char *name) {
        const char *text = text_of(json_object_get(attribute, "Metadata"), name);

        if (!*text)
                return;
        fputs("      ", stdout);
        print_text(text);
        putchar('\n');
}

static void print_attribute(const Session *session, json_t *attribute) {
        static const struct {
                const char *mark;
                Color color;
        } marks[] = {[HOLDS] = {"✔", COLOR_GOOD}, [FAILS] = {"✘", COLOR_BAD}, [UNKNOWN] = {"?", COLOR_WEAK}};
        Judgement judgement = judgement_of(attribute);

        fputs("  ", stdout);
        print_colored(session, marks[judgement].color, marks[judgement].mark);
        putchar(' ');
        print_text(text_of(attribute, "Name"));
        fputs(": ", stdout);
        print_colored(session, marks[judgement].color, outcome_of(attribute));
        putchar('\n');
        if (judgement == HOLDS)
                return;
        print_note(attribute, "message");
        print_note(attribute, "hint");
}

/* As GNOME and fwupd group them: levels, then what is about the running system, then what counts for neither. */
enum { GROUP_RUNTIME = LEVEL_MAX + 1, GROUP_OTHER };

static json_int_t group_of(json_t *attribute) {
        json_int_t level = number_of(attribute, "HsiLevel");

        if (level > 0 && level <= LEVEL_MAX)
                return level;
        return number_of(attribute, "Flags") & FLAG_RUNTIME_ISSUE ? GROUP_RUNTIME : GROUP_OTHER;
}

static void print_heading(const Session *session, json_int_t group) {
        char text[32];

        snprintf(text, sizeof(text), "Level %d", (int)group);
        putchar('\n');
        print_colored(session, COLOR_BOLD,
                      group == GROUP_RUNTIME ? "The system that runs"
                      : group == GROUP_OTHER ? "Other"
                                             : text);
        putchar('\n');
}

static void print_group(const Session *session, json_t *attributes, json_int_t group) {
        bool is_first = true;
        json_t *attribute;
        size_t i;

        json_array_foreach(attributes, i, attribute) {
                if (group_of(attribute) != group)
                        continue;
                if (is_first)
                        print_heading(session, group);
                is_first = false;
                print_attribute(session, attribute);
        }
}

static void print_security(const Session *session, json_t *result) {
        fputs("Host security id: ", stdout);
        print_colored(session, COLOR_BOLD, text_of(result, "host-security-id"));
        putchar('\n');
        for (json_int_t group = 1; group <= GROUP_OTHER; group++)
                print_group(session, json_object_get(result, "attributes"), group);
}

static int security(Session *session, json_t *options) {
        return run_and_page(session, "security", options, print_security);
}

static const Option options[] = {
        {},
};

const Verb security_verb = {
        .name = "security",
        .help = "show how well this machine is protected, as fwupd and GNOME show it",
        .options = options,
        .run = security,
};
