/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* setup: the whole way from a stock machine to Secure Boot. What is done already is left out, what is to be done is
 * said, and one question is asked. Each step is a verb of its own: whoever is interrupted runs setup again. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/errors.h"
#include "client/operation.h"
#include "client/print.h"
#include "client/results.h"
#include "client/verb.h"
#include "dbus/lanza1-names.h"

typedef struct Way {
        const Session *session;
        json_t *options; /* for enroll-keys */
        json_t *results; /* of the steps, under their names */
        bool dry_run, yes;
        bool create, enroll, is_tree;
} Way;

/* No option accepts or excludes the risk that only Microsoft's certificates take away. */
static bool asks_for_microsoft(const Way *way) {
        return way->enroll && !json_object_get(way->options, "microsoft") &&
               !json_object_get(way->options, "yes-this-might-brick-my-machine");
}

/* "/boot", or "2 ESPs". Without one the first step that writes refuses, and says why. */
static void say_target(FILE *out, json_t *partitions) {
        const char *path = text_of(json_array_get(partitions, 0), "path");

        if (json_array_size(partitions) > 1)
                fprintf(out, "%zu ESPs", json_array_size(partitions));
        else
                fputs(*path ? path : "the ESP", out);
}

/* The service asks polkit, and polkit the person, once for each step that writes. */
static bool asks_for_passwords(const Way *way) {
        return geteuid() != 0 && json_object_size(way->session->own) == 0 && !way->dry_run;
}

static void say_plan(const Way *way, json_t *status) {
        FILE *out = way->session->format == FORMAT_TEXT ? stdout : stderr;
        size_t generations = json_array_size(json_object_get(status, "generations"));

        if (way->session->quiet && way->yes)
                return;
        fputs("This will\n", out);
        if (way->create)
                fputs("  - make the keys that are missing\n", out);
        fprintf(out, "  - write signed images of %zu generation%s, and a signed boot loader, to ", generations,
                generations == 1 ? "" : "s");
        say_target(out, json_object_get(status, "partitions"));
        fputs("\n  - check that this machine boots from them\n", out);
        if (way->enroll)
                fputs("  - enroll the keys in the firmware, which from the next start on runs only\n"
                      "    what they allow\n",
                      out);
        else if (way->is_tree)
                fputs("and leave the firmware alone, for this is a tree: run setup again on the\n"
                      "machine itself.\n",
                      out);
        else
                fputs("and leave the firmware alone, which has these keys already.\n", out);
        if (asks_for_passwords(way))
                fputs("Before each step that changes something, an administrator's password is asked\n"
                      "for.\n",
                      out);
}

/* One line without its end. Nothing but "no" comes of a closed terminal. */
static void read_answer(const char *question, char *answer, size_t size) {
        printf("%s ", question);
        fflush(stdout);
        if (!fgets(answer, (int)size, stdin)) {
                putchar('\n');
                snprintf(answer, size, "no");
        }
        if (!strchr(answer, '\n') && strlen(answer) == size - 1)
                for (int c = getchar(); c != EOF && c != '\n'; c = getchar())
                        ;
        answer[strcspn(answer, "\n")] = '\0';
}

static bool is_no(const char *answer) {
        return strcmp(answer, "no") == 0 || strcmp(answer, "n") == 0 || !*answer;
}

/* Whether to go on. What is no answer is asked again: nobody should have to begin anew for a slip. */
static bool ask_yes(void) {
        char answer[16];

        do {
                read_answer("\nGo on? [yes/no]", answer, sizeof(answer));
                if (strcmp(answer, "yes") == 0 || strcmp(answer, "y") == 0)
                        return true;
        } while (!is_no(answer));
        return false;
}

/* Whether to go on, and with whose certificates: what only Microsoft's certificates take away is named first, so that
 * whoever does without them has said so. */
static bool ask_microsoft(json_t *options) {
        char answer[16];

        puts("\nWhose certificates shall the firmware trust?\n"
             "  microsoft  this machine's and Microsoft's. Microsoft signed Windows, other\n"
             "             systems' boot loaders, and for their makers the firmware of\n"
             "             graphics cards and other devices.\n"
             "  own        this machine's alone. Devices whose firmware Microsoft signed stay\n"
             "             off: with such a graphics card the machine shows nothing any more,\n"
             "             not even the firmware's settings.\n"
             "  no         change nothing");
        do {
                read_answer("\nGo on? [microsoft/own/no]", answer, sizeof(answer));
                if (strcmp(answer, "microsoft") == 0)
                        return json_object_set_new(options, "microsoft", json_string("all")) == 0;
                if (strcmp(answer, "own") == 0)
                        return json_object_set_new(options, "yes-this-might-brick-my-machine", json_true()) == 0;
        } while (!is_no(answer));
        return false;
}

/* Returns 0 to go on, or an exit status. */
static int ask(Way *way) {
        if (way->yes || way->dry_run)
                return 0;
        if (!isatty(STDIN_FILENO)) {
                complain("Nobody can be asked here: standard input is no terminal\n"
                         "Add '--yes' if all of this is to be done.");
                return STATUS_USAGE;
        }
        if (asks_for_microsoft(way) ? ask_microsoft(way->options) : ask_yes())
                return 0;
        puts("Nothing was changed.");
        return STATUS_FAILED;
}

/* Runs one step and keeps its result. Returns its exit status. */
static int run_step(Way *way, const char *verb, json_t *options, ResultPrinter *printer) {
        json_t *result = NULL;
        int r;

        r = operation_call(way->session, verb, options, &result);
        if (!result)
                return r;
        if (way->session->format == FORMAT_TEXT && !way->session->quiet && printer)
                printer(way->session, result);
        print_warnings(result);
        json_object_set_new(way->results, verb, result);
        return r;
}

/* The options that every verb that writes has. */
static json_t *write_options(const Way *way) {
        json_t *options = json_object(), *timeout = json_object_get(way->options, "timeout");

        if (way->dry_run)
                json_object_set_new(options, "dry-run", json_true());
        if (timeout)
                json_object_set(options, "timeout", timeout);
        return options;
}

static int check(Way *way) {
        json_auto_t *options = json_pack("{s:b}", "check", 1);
        int r;

        r = run_step(way, "status", options, /* printer= */ NULL);
        if (r != STATUS_WOULD_NOT_BOOT)
                return r;
        complain("This machine would not boot as it stands; the keys are not enrolled");
        if (way->session->format == FORMAT_TEXT)
                print_problems(way->session, json_object_get(way->results, "status"));
        return r;
}

/* A dry run ends where the next step would need what was not done. */
static int take_steps(Way *way) {
        json_auto_t *options = write_options(way);
        int r = 0, in_part = 0;

        if (way->create)
                r = run_step(way, "create-keys", options, print_created_keys);
        if (r == 0)
                r = run_step(way, "sync", options, print_synced);
        if (r == STATUS_IN_PART)
                in_part = r;
        if ((r == 0 || in_part) && !way->dry_run)
                r = check(way);
        else if (in_part)
                r = 0;
        if (r == 0 && way->enroll && !(way->dry_run && way->create))
                r = run_step(way, "enroll-keys", way->options, print_enrolled_keys);
        return r == 0 ? in_part : r;
}

static int refuse(const Way *way, const char *condition, const char *text) {
        char name[128];

        snprintf(name, sizeof(name), LANZA1_ERROR_PREFIX "%s", condition);
        json_auto_t *error = error_object(name, text);
        print_error(way->session, error, /* say= */ true);
        return STATUS_REFUSED;
}

/* What is to be done, and what cannot be: nothing is begun that could not be ended. */
static int find_way(Way *way, json_t *status) {
        const char *mode = text_of(status, "mode");

        way->create = !truth_of(status, "keys-present");
        way->is_tree = !*mode;
        way->enroll = !way->is_tree && !truth_of(status, "keys-enrolled");
        if (strcmp(mode, "unsupported") == 0)
                return refuse(way, "NotSupported",
                              "The firmware has no Secure Boot that could be set up; nothing was changed\n"
                              "Boot this system in UEFI mode, with efivarfs mounted on /sys/firmware/efi/efivars.");
        if (way->enroll && !truth_of(status, "setup-mode"))
                return refuse(
                        way, "NotInSetupMode",
                        "The firmware is not in Setup Mode and takes no keys; nothing was changed\n"
                        "Clear the platform key (PK) in the firmware's settings, often called 'Reset to Setup Mode' or "
                        "'Erase all Secure Boot keys', then run this again.");
        return 0;
}

static void say_end(const Way *way, json_t *status) {
        if (way->session->format != FORMAT_TEXT || way->session->quiet)
                return;
        if (way->dry_run)
                puts("A dry run: nothing was changed.");
        else if (way->is_tree)
                puts("The tree is ready.");
        else if (!way->enroll && truth_of(status, "secure-boot"))
                puts("Secure Boot is set up; nothing is left to do.");
        else
                puts("One thing is left: reboot, for example with 'systemctl reboot'.");
}

static int find_and_go(Way *way) {
        json_auto_t *none = json_object(), *status = NULL;
        int r;

        r = operation_call(way->session, "status", none, &status);
        if (!status)
                return r;
        r = find_way(way, status);
        if (r != 0)
                return r;
        say_plan(way, status);
        r = ask(way);
        if (r != 0)
                return r;
        r = take_steps(way);
        if (r == 0 || r == STATUS_IN_PART) {
                print_json(way->session, way->results);
                say_end(way, status);
        } else if (!way->dry_run && json_object_size(way->results) > 0) {
                complain("setup ended before all was done\n"
                         "What it did stays, and is whole. Run it again once this is mended: it goes on from there.");
        }
        return r;
}

static int setup(Session *session, json_t *options) {
        json_auto_t *results = json_object();
        Way way = {
                .session = session,
                .options = options,
                .results = results,
                .dry_run = truth_of(options, "dry-run"),
                .yes = truth_of(options, "yes"),
        };

        json_object_del(options, "yes");
        if (session->format != FORMAT_TEXT && !way.yes && !way.dry_run) {
                complain("A question does not go with JSON\nAdd '--yes' if all of this is to be done.");
                return STATUS_USAGE;
        }
        return find_and_go(&way);
}

static const Option options[] = {
        WRITE_OPTIONS,
        ENROLL_OPTIONS,
        {.name = "yes", .help = "do not ask"},
        {},
};

const Verb setup_verb = {
        .name = "setup",
        .help = "the whole way to Secure Boot: make keys, sync, check, enroll",
        .options = options,
        .run = setup,
};
