/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lanzactl: what an administrator types. It has no rights of its own and sees nothing of the daemon: it asks the
 * service, or, for root, runs lanzad. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/arguments.h"
#include "client/pager.h"
#include "client/print.h"

static bool wants_color(json_t *common) {
        const char *forbidden = getenv("NO_COLOR");

        return isatty(STDOUT_FILENO) && !truth_of(common, "no-color") && (!forbidden || !*forbidden) &&
               !terminal_is_dumb();
}

static void session_init(Session *session, json_t *common) {
        static const char *const own[] = {"root", "config", "keys", "variables"};
        const char *form = text_of(common, "json");

        *session = (Session){
                .format = strcmp(form, "pretty") == 0  ? FORMAT_PRETTY
                          : strcmp(form, "short") == 0 ? FORMAT_SHORT
                                                       : FORMAT_TEXT,
                .quiet = truth_of(common, "quiet"),
                .color = wants_color(common),
                .pages = pager_is_wanted(common),
                .ask = !truth_of(common, "no-ask-password"),
                .own = json_object(),
        };
        for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
                if (json_object_get(common, own[i]))
                        json_object_set(session->own, own[i], json_object_get(common, own[i]));
}

static int run(const Arguments *arguments) {
        Session session;
        int r;

        if (truth_of(arguments->common, "help")) {
                if (arguments->verb)
                        print_verb_help(arguments->verb);
                else
                        print_help();
                return STATUS_DONE;
        }
        if (truth_of(arguments->common, "version")) {
                puts("lanzactl " LANZA_VERSION);
                return STATUS_DONE;
        }
        if (!arguments->verb) {
                complain("A verb is missing\nTry 'lanzactl --help'.");
                return STATUS_USAGE;
        }
        session_init(&session, arguments->common);
        r = arguments->verb->run(&session, arguments->options);
        json_decref(session.own);
        return r;
}

/* The bus, or a program's result, must not get a number that was closed and is meant for people. What is opened for
 * reading alone takes no output: a result that nobody gets is a failure. */
static bool has_standard_descriptors(void) {
        int fd = STDIN_FILENO;

        while (fd <= STDERR_FILENO && (fcntl(fd, F_GETFD) >= 0 || open("/dev/null", O_RDONLY) == fd))
                fd++;
        return fd > STDERR_FILENO;
}

int main(int argc, char *argv[]) {
        Arguments arguments;
        int r;

        if (!has_standard_descriptors())
                return STATUS_FAILED;
        r = arguments_parse(argc - 1, argv + 1, &arguments);
        if (r == STATUS_DONE)
                r = run(&arguments);
        arguments_done(&arguments);
        /* Standard output is buffered: whether it arrived is known only now. */
        if (fflush(stdout) == 0 && !ferror(stdout))
                return r;
        complain("Cannot write to standard output: %s", strerror(errno));
        return r == STATUS_DONE ? STATUS_FAILED : r;
}
