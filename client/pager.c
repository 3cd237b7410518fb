/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text is first printed into memory: what fits on the screen is shown as it is, and so is everything where the
 * pager cannot be run.
 *
 * A pager can be made to run other programs, by what is typed into it and by its environment. For root it is always
 * less(1) in its secure mode, whatever the environment says: whoever may only run lanzactl as root gets no shell. */
#include "client/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/print.h"

extern char **environ;

/* What a shell says where there is no such command. */
enum { STATUS_CANNOT_RUN = 126 };

bool pager_is_wanted(json_t *common) {
        const char *pager = secure_getenv("PAGER");

        return isatty(STDOUT_FILENO) && !terminal_is_dumb() && !truth_of(common, "no-pager") &&
               (!pager || (*pager && strcmp(pager, "cat") != 0));
}

/* What starts no character that takes a place: a continuation of one, and what chooses colours ("ESC [ 31 m"). */
static bool takes_place(FILE *text, int character) {
        if (character != '\033')
                return (character & 0xc0) != 0x80;
        while (character != 'm' && character != EOF)
                character = fgetc(text);
        return false;
}

/* What is wider than the screen goes on in the next line. */
static bool fits(FILE *text) {
        struct winsize size;
        size_t lines = 0, column = 0;
        int character;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
                return true;
        while ((character = fgetc(text)) != EOF) {
                if (character == '\n') {
                        lines++;
                        column = 0;
                } else if (takes_place(text, character) && column++ == size.ws_col) {
                        lines++;
                        column = 1;
                }
        }
        /* One is the prompt's. */
        return lines < size.ws_row;
}

static void set_environment(void) {
        static const char *const for_root[][2] = {
                {"PATH", "/run/current-system/sw/bin:/usr/bin:/bin"},
                {"LESSSECURE", "1"},
                {"LESSHISTFILE", "-"},
        };
        const bool is_root = geteuid() == 0;

        /* R lets colours through, X leaves the text on the screen, K ends at Ctrl-C, M says how much there is. */
        (void)setenv("LESS", "FRXMK", /* overwrite= */ is_root);
        for (size_t i = 0; is_root && i < sizeof(for_root) / sizeof(*for_root); i++)
                (void)setenv(for_root[i][0], for_root[i][1], /* overwrite= */ true);
}

/* The pager reads TEXT from its beginning. */
static int start(FILE *text, pid_t *ret) {
        const char *pager = geteuid() == 0 ? NULL : secure_getenv("PAGER");
        const char *const less[] = {"less", NULL}, *const shell[] = {"sh", "-c", pager, NULL};
        const char *const *words = pager ? shell : less;
        posix_spawn_file_actions_t actions;
        int r;

        set_environment();
        if (lseek(fileno(text), 0, SEEK_SET) < 0)
                return -errno;
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_adddup2(&actions, fileno(text), STDIN_FILENO);
        if (r == 0)
                r = posix_spawnp(ret, words[0], &actions, /* attrp= */ NULL, (char *const *)words, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Returns whether there was a pager. */
static bool page(FILE *text) {
        pid_t pager, ended;
        int status = 0;

        if (start(text, &pager) < 0)
                return false;
        /* What is typed on the terminal is for the pager. */
        (void)signal(SIGINT, SIG_IGN);
        do
                ended = waitpid(pager, &status, 0);
        while (ended < 0 && errno == EINTR);
        (void)signal(SIGINT, SIG_DFL);
        return !WIFEXITED(status) || WEXITSTATUS(status) < STATUS_CANNOT_RUN;
}

static void show(FILE *text) {
        char buffer[4096];
        size_t size;

        rewind(text);
        if (!fits(text) && page(text))
                return;
        rewind(text);
        while ((size = fread(buffer, 1, sizeof(buffer), text)) > 0)
                fwrite(buffer, 1, size, stdout);
}

/* Standard output becomes TEXT while PRINTER runs. */
static void print_to(FILE *text, const Session *session, ResultPrinter *printer, json_t *result) {
        int screen;

        fflush(stdout);
        screen = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (screen < 0 || dup2(fileno(text), STDOUT_FILENO) < 0) {
                printer(session, result);
        } else {
                printer(session, result);
                fflush(stdout);
                (void)dup2(screen, STDOUT_FILENO);
        }
        if (screen >= 0)
                close(screen);
}

void pager_print(const Session *session, ResultPrinter *printer, json_t *result) {
        int memory = session->pages ? memfd_create("lanzactl", MFD_CLOEXEC) : -1;
        FILE *text = memory >= 0 ? fdopen(memory, "r") : NULL;

        if (text) {
                print_to(text, session, printer, result);
                show(text);
                fclose(text);
                return;
        }
        if (memory >= 0)
                close(memory);
        printer(session, result);
}
