/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/print.h"

extern char **environ;

enum { SOCKET_FD = 3 }; /* what the program finds its socket under */

typedef struct Words {
        char **items; /* owned, as they are; the last one is NULL */
        size_t count;
} Words;

static void words_done(Words *words) {
        for (size_t i = 0; i < words->count; i++)
                free(words->items[i]);
        free(words->items);
}

/* TEXT is owned from now on; NULL: memory is short. */
static bool add_word(Words *words, char *text) {
        char **items = text ? reallocarray(words->items, words->count + 2, sizeof(*items)) : NULL;

        if (!items) {
                free(text);
                return false;
        }
        items[words->count] = text;
        items[++words->count] = NULL;
        words->items = items;
        return true;
}

static bool add_option(Words *words, const char *name, json_t *value) {
        char *word = NULL;
        int r;

        if (json_is_true(value))
                r = asprintf(&word, "--%s", name);
        else if (json_is_integer(value))
                r = asprintf(&word, "--%s=%" JSON_INTEGER_FORMAT, name, json_integer_value(value));
        else
                r = asprintf(&word, "--%s=%s", name, json_string_value(value));
        return add_word(words, r < 0 ? NULL : word);
}

/* What lanzad takes without a name. */
static bool is_positional(const char *name) {
        return strcmp(name, "toplevel") == 0 || strcmp(name, "files") == 0;
}

static bool add_options(Words *words, json_t *options) {
        const char *name;
        json_t *value;
        bool good = true;

        json_object_foreach(options, name, value) if (!is_positional(name)) good =
                good && add_option(words, name, value);
        return good;
}

static bool add_positional(Words *words, json_t *options) {
        json_t *toplevel = json_object_get(options, "toplevel"), *files = json_object_get(options, "files"), *file;
        bool good = (!toplevel && !files) || add_word(words, strdup("--"));
        size_t i;

        if (toplevel)
                good = good && add_word(words, strdup(json_string_value(toplevel)));
        json_array_foreach(files, i, file) good = good && add_word(words, strdup(json_string_value(file)));
        return good;
}

static bool make_words(Words *words, const char *path, const Session *session, const char *verb, json_t *options) {
        return add_word(words, strdup(path)) && add_word(words, strdup("--oneshot")) && add_word(words, strdup(verb)) &&
               add_options(words, session->own) && add_options(words, options) && add_positional(words, options);
}

/* From its beginning. */
static json_t *read_result(int fd) {
        json_error_t error;
        json_t *result;

        if (lseek(fd, 0, SEEK_SET) < 0)
                return NULL;
        result = json_loadfd(fd, 0, &error);
        if (result && !json_is_object(result)) {
                json_decref(result);
                result = NULL;
        }
        return result;
}

/* SOCKET is -1 where none is needed. */
static int start(char *const words[], int output, int socket, pid_t *ret_child) {
        posix_spawn_file_actions_t actions;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (r == 0 && socket >= 0)
                r = posix_spawn_file_actions_adddup2(&actions, socket, SOCKET_FD);
        if (r == 0)
                r = posix_spawn(ret_child, words[0], &actions, /* attrp= */ NULL, words, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int wait_for(pid_t child, const char *path) {
        int status;

        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return STATUS_FAILED;
        if (WIFEXITED(status))
                return WEXITSTATUS(status);
        complain("%s was ended by signal %d (%s)", path, WTERMSIG(status), strsignal(WTERMSIG(status)));
        return STATUS_FAILED;
}

/* Who reads what the program sends while it runs; the descriptors are -1 where nobody does. */
typedef struct Channel {
        int ours, theirs;
        ProgramReader *read;
        void *userdata;
} Channel;

static void close_end(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static int cannot(const char *what, int error) {
        complain("Cannot %s: %s", what, strerror(-error));
        return STATUS_FAILED;
}

static int run_and_wait(char *const words[], Channel *channel, int output) {
        pid_t child;
        int r, heard = 0;

        r = start(words, output, channel->theirs, &child);
        close_end(&channel->theirs);
        if (r < 0) {
                complain("Cannot run %s: %s", words[0], strerror(-r));
                fputs("Install lanzad again: lanzactl and lanzad belong together.\n", stderr);
                return STATUS_FAILED;
        }
        if (channel->read)
                heard = channel->read(channel->userdata, channel->ours);
        close_end(&channel->ours);
        r = wait_for(child, words[0]);
        return heard < 0 && r == STATUS_DONE ? cannot("read what lanzad sends", heard) : r;
}

/* The result goes to a file in memory: however long it is, and whatever else is read meanwhile, nobody waits for the
 * other. */
static int run_words(char *const words[], Channel *channel, json_t **ret_result) {
        int output = memfd_create("result", MFD_CLOEXEC), r;

        if (output < 0)
                return cannot("make a file in memory", -errno);
        r = run_and_wait(words, channel, output);
        *ret_result = read_result(output);
        close(output);
        if (!*ret_result && r == STATUS_DONE) {
                complain("%s gave no result", words[0]);
                r = STATUS_FAILED;
        }
        return r;
}

static int call(const Session *session, const char *verb, json_t *options, Channel *channel, json_t **ret_result) {
        /* Tests name another program; secure_getenv() ignores that in a program with somebody else's rights. */
        const char *path = secure_getenv("LANZACTL_LANZAD");
        Words words = {};
        int r;

        *ret_result = NULL;
        fflush(stdout); /* both speak to one terminal */
        if (!make_words(&words, path ? path : LANZAD_PATH, session, verb, options)) {
                complain("out of memory");
                r = STATUS_FAILED;
        } else {
                r = run_words(words.items, channel, ret_result);
        }
        words_done(&words);
        return r;
}

int program_call(const Session *session, const char *verb, json_t *options, json_t **ret_result) {
        Channel channel = {.ours = -1, .theirs = -1};

        return call(session, verb, options, &channel, ret_result);
}

int program_call_reading(const Session *session, const char *verb, json_t *options, ProgramReader *reader,
                         void *userdata, json_t **ret_result) {
        json_auto_t *all = json_copy(options);
        int sockets[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return cannot("make a socket", -errno);
        Channel channel = {.ours = sockets[0], .theirs = sockets[1], .read = reader, .userdata = userdata};
        json_object_set_new(all, "socket", json_integer(SOCKET_FD));
        r = call(session, verb, all, &channel, ret_result);
        close_end(&channel.ours);
        close_end(&channel.theirs);
        return r;
}
