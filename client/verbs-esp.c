/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sync, gc, list. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/operation.h"
#include "client/print.h"
#include "client/results.h"
#include "client/verb.h"

enum { MARKS_MAX = 128 };

static void print_partition(json_t *partition, bool dry_run) {
        static const struct {
                const char *name, *done, *planned;
        } lists[] = {
                {"images-written", "  wrote ", "  would write "},
                {"contents-written", "  wrote ", "  would write "},
                {"loaders-written", "  wrote ", "  would write "},
                {"images-removed", "  removed ", "  would remove "},
                {"entries-removed", "  removed ", "  would remove "},
                {"contents-removed", "  removed ", "  would remove "},
                {"left-out", "  no room for ", "  no room for "},
                {"left-alone", "  left alone, not provably lanzad's: ", "  would leave alone, not provably lanzad's: "},
        };
        char written[SIZE_TEXT_MAX], removed[SIZE_TEXT_MAX];

        print_text(*text_of(partition, "path") ? text_of(partition, "path") : "EFI system partition");
        if (*text_of(partition, "problem")) {
                printf(": not up to date: ");
                print_text(text_of(partition, "problem"));
                putchar('\n');
                return;
        }
        printf(": %zu images written, %" JSON_INTEGER_FORMAT " kept, %zu removed; %s written, %s removed\n",
               json_array_size(json_object_get(partition, "images-written")), number_of(partition, "images-kept"),
               json_array_size(json_object_get(partition, "images-removed")),
               size_text(number_of(partition, "bytes-written"), written),
               size_text(number_of(partition, "bytes-removed"), removed));
        for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
                print_lines(partition, lists[i].name, dry_run ? lists[i].planned : lists[i].done);
        if (*text_of(partition, "boot-entry")) {
                printf(dry_run ? "  would add to the boot order: " : "  added to the boot order: ");
                print_text(text_of(partition, "boot-entry"));
                putchar('\n');
        }
}

void print_synced(const Session *session, json_t *result) {
        json_t *partition;
        size_t i;

        if (truth_of(result, "dry-run"))
                print_colored(session, COLOR_BOLD, "A dry run: nothing was changed.");
        if (truth_of(result, "dry-run"))
                putchar('\n');
        json_array_foreach(json_object_get(result, "partitions"), i, partition)
                print_partition(partition, truth_of(result, "dry-run"));
}

/* Appends MARK to TEXT if TRUTH. */
static void add_mark(char text[MARKS_MAX], bool truth, const char *mark) {
        size_t length = strlen(text);

        if (truth)
                snprintf(text + length, MARKS_MAX - length, "%s%s", length > 0 ? ", " : "", mark);
}

static const char *number_text(json_int_t number, char text[SIZE_TEXT_MAX]) {
        snprintf(text, SIZE_TEXT_MAX, "%" JSON_INTEGER_FORMAT, number);
        return text;
}

void print_generations(const Session *session, json_t *generations) {
        static const char *const headings[] = {"PROFILE", "GENERATION", "LABEL", "MADE", "MARKS", "PROBLEM"};
        json_auto_t *rows = json_array();
        json_t *generation;
        size_t i;

        json_array_foreach(generations, i, generation) {
                char number[SIZE_TEXT_MAX], made[DATE_TEXT_MAX], marks[MARKS_MAX] = "";

                add_mark(marks, truth_of(generation, "booted"), "booted");
                add_mark(marks, truth_of(generation, "default"), "default");
                add_mark(marks, truth_of(generation, "current"), "current");
                json_array_append_new(rows, json_pack("[ssssss]", text_of(generation, "profile"),
                                                      number_text(number_of(generation, "number"), number),
                                                      text_of(generation, "label"),
                                                      date_text(number_of(generation, "made"), made), marks,
                                                      text_of(generation, "problem")));
        }
        print_table(session, headings, 6, rows);
}

/* Whether the default stands on a partition of which BOOTS (NULL: any) is true. */
static bool stands_on(json_t *result, const char *boots) {
        json_t *partition;
        size_t i;

        json_array_foreach(json_object_get(result, "partitions"), i, partition) {
                if (*text_of(partition, "default-entry") && (!boots || truth_of(partition, boots)))
                        return true;
        }
        return false;
}

/* Where NixOS is being installed, by nixos-install, the start came from some medium and the boot order is from before:
 * if neither leads to any of the partitions, the firmware comes to the boot loader by its usual name. */
static bool is_left_to_fallback(json_t *result) {
        const char *installs = getenv("NIXOS_INSTALL_BOOTLOADER");
        json_t *partition;
        size_t i;

        json_array_foreach(json_object_get(result, "partitions"), i, partition) {
                if (truth_of(partition, "boots"))
                        return false;
        }
        return installs && strcmp(installs, "1") == 0 && stands_on(result, NULL);
}

/* A status other than 0 aborts the whole switch: it is for a system that could not be booted, and for nothing else. */
static int sync_as_hook(Session *session, json_t *options) {
        json_auto_t *result = NULL;
        int r;

        if (!*text_of(options, "toplevel")) {
                complain("The toplevel is missing, which is to be the default entry\nTry 'lanzactl sync --help'.");
                return STATUS_USAGE;
        }
        session->hook = true;
        r = run_and_keep(session, "sync", options, print_synced, &result);
        if (!result || (r != STATUS_DONE && r != STATUS_IN_PART))
                return r;
        if (is_left_to_fallback(result)) {
                complain("Warning: no boot entry leads to it, the firmware has to find EFI/BOOT/BOOTX64.EFI by itself");
        } else if (!stands_on(result, "boots")) {
                complain(stands_on(result, NULL)
                                 ? "%s can be booted from no EFI system partition that the firmware starts"
                                 : "%s can be booted from no EFI system partition",
                         text_of(options, "toplevel"));
                return STATUS_FAILED;
        }
        if (r == STATUS_IN_PART)
                complain("Warning: not everything could be done, but the new system can be booted");
        return STATUS_DONE;
}

static void print_images(const Session *session, json_t *images) {
        static const char *const headings[] = {"IMAGE", "SIZE", "MARKS", "PROBLEM"};
        json_auto_t *rows = json_array();
        json_t *image;
        size_t i;

        json_array_foreach(images, i, image) {
                char size[SIZE_TEXT_MAX], tries[SIZE_TEXT_MAX], marks[MARKS_MAX] = "";
                const bool ours = truth_of(image, "ours"), damaged = *text_of(image, "problem");

                snprintf(tries, sizeof(tries), "%" JSON_INTEGER_FORMAT " tries left", number_of(image, "tries-left"));
                add_mark(marks, truth_of(image, "booted"), "booted");
                add_mark(marks, truth_of(image, "default"), "default");
                add_mark(marks, damaged, "damaged");
                add_mark(marks, truth_of(image, "counted"), tries);
                add_mark(marks, ours && !truth_of(image, "signed"), "unsigned");
                add_mark(marks, truth_of(image, "old-stub"), "old stub");
                add_mark(marks, !ours && !damaged, "not lanzad's");
                json_array_append_new(rows, json_pack("[ssss]", text_of(image, "name"),
                                                      size_text(number_of(image, "size"), size), marks,
                                                      text_of(image, "problem")));
        }
        print_table(session, headings, 4, rows);
}

static void print_list(const Session *session, json_t *result) {
        print_generations(session, json_object_get(result, "generations"));
        if (json_array_size(json_object_get(result, "generations")) > 0 &&
            json_array_size(json_object_get(result, "images")) > 0)
                putchar('\n');
        print_images(session, json_object_get(result, "images"));
}

static int sync_esp(Session *session, json_t *options) {
        const bool hook = truth_of(options, "hook");

        /* Nobody else needs to know. */
        json_object_del(options, "hook");
        return hook ? sync_as_hook(session, options) : run_and_print(session, "sync", options, print_synced);
}

static int collect_garbage(Session *session, json_t *options) {
        return run_and_print(session, "gc", options, print_synced);
}

/* The service's lists come without warnings: it says in its status why one is empty. */
static int add_warnings(json_t *result, int r) {
        bool whole = json_array_size(json_object_get(result, "generations")) > 0 &&
                     json_array_size(json_object_get(result, "partitions")) > 0;

        if (json_object_get(result, "warnings"))
                return r;
        json_object_set_new(result, "warnings",
                            whole ? json_array()
                                  : json_pack("[s]", "Not everything can be listed: 'lanzactl status' says why"));
        return whole || r != STATUS_DONE ? r : STATUS_IN_PART;
}

static int list(Session *session, json_t *options) {
        json_auto_t *result = NULL;
        int r;

        r = operation_call(session, "list", options, &result);
        if (!result)
                return r;
        r = add_warnings(result, r);
        show_result(session, result, print_list, /* pages= */ true);
        return r;
}

static const Option write_options[] = {WRITE_OPTIONS, {}};

static const Option sync_options[] = {
        WRITE_OPTIONS,
        {.name = "toplevel", .type = OPTION_STRING, .argument = "[TOPLEVEL]"},
        {.name = "restub", .help = "give images that are there already the stub that new ones get"},
        {.name = "allow-unlisted", .help = "TOPLEVEL may be a system of the store that is in no profile"},
        {.name = "hook", .help = "for activation: fail only if TOPLEVEL could not be booted"},
        {},
};

const Verb sync_verb = {
        .name = "sync",
        .help = "bring the ESP to the state that the generations ask for",
        .options = sync_options,
        .positional = "toplevel",
        .run = sync_esp,
};

const Verb gc_verb = {
        .name = "gc",
        .help = "remove from the ESP what no generation needs any more",
        .options = write_options,
        .run = collect_garbage,
};

const Verb list_verb = {
        .name = "list",
        .help = "show generations, the images on the ESP, and the ESP",
        .run = list,
};
