/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/errors.h"
#include "client/memory.h"
#include "client/print.h"
#include "client/program.h"
#include "dbus/lanza1-names.h"

enum { CONFIGURATION_MAX = 1024 * 1024 };

void handover_done(Handover *handover) {
        if (handover->configuration >= 0)
                close(handover->configuration);
        for (size_t i = 0; i < handover->secret_count; i++) {
                free(handover->secrets[i].toplevel);
                close(handover->secrets[i].fd);
        }
        *handover = HANDOVER_NONE;
}

bool handover_is_due(const char *verb) {
        return strcmp(verb, "sync") == 0 && geteuid() == 0;
}

/* --- The configuration ---------------------------------------------------------------------------------------- */

/* Whoever may write it decides what gets signed. Returns NULL if it is good. */
static const char *find_fault(const struct stat *st) {
        if (!S_ISREG(st->st_mode))
                return "it is no file";
        if (st->st_uid != 0)
                return "it is not root's";
        if (st->st_mode & 0022)
                return "others than root can write it";
        return st->st_size > CONFIGURATION_MAX ? "it is too large" : NULL;
}

/* Returns a descriptor, or a negative errno; *RET_FAULT says what is wrong with the file where that is the reason. */
static int take_file(const char *path, const char **ret_fault) {
        int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
        struct stat st;

        if (from < 0)
                return -errno;
        r = fstat(from, &st) < 0 ? -errno : 0;
        if (r >= 0) {
                *ret_fault = find_fault(&st);
                r = *ret_fault ? -EPERM : memory_take(from, "lanzad.conf", CONFIGURATION_MAX);
        }
        close(from);
        return r;
}

int handover_take_configuration(Handover *handover, const Session *session, json_t **ret_error) {
        const char *path = text_of(session->own, "config"), *fault = NULL;
        char text[2 * PATH_MAX];
        int fd;

        if (!*path)
                return 0;
        fd = take_file(path, &fault);
        if (fd >= 0) {
                handover->configuration = fd;
                return 0;
        }
        snprintf(text, sizeof(text), "Cannot take %s for the configuration: %s\n%s", path,
                 fault ? fault : strerror(-fd),
                 fault ? "Give the file to root alone (chown root, chmod 644)." : "Name a file that is there.");
        *ret_error = error_object(LANZA1_ERROR_PREFIX "BadConfiguration", text);
        return STATUS_REFUSED;
}

/* --- Secrets -------------------------------------------------------------------------------------------------- */

/* One message: a toplevel, and with it the one descriptor. Returns the length of the text, 0 at the end, or a negative
 * errno. */
static ssize_t receive(int socket, char *text, size_t size, int *ret_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec data = {text, size - 1};
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return n < 0 ? -errno : 0;
        text[n] = '\0';
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
                return -EBADMSG;
        memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
        if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || strlen(text) != (size_t)n) {
                close(*ret_fd);
                return -EBADMSG;
        }
        return n;
}

static bool has_secrets_of(const Handover *handover, const char *toplevel) {
        for (size_t i = 0; i < handover->secret_count; i++)
                if (strcmp(handover->secrets[i].toplevel, toplevel) == 0)
                        return true;
        return false;
}

/* Two generations may be one toplevel. FD is taken over. */
static int add_secrets(Handover *handover, const char *toplevel, int fd) {
        const bool known = has_secrets_of(handover, toplevel), fits = handover->secret_count < HANDOVER_SECRETS_MAX;
        char *name = !known && fits ? strdup(toplevel) : NULL;

        if (name)
                handover->secrets[handover->secret_count++] = (Secrets){name, fd};
        else
                close(fd);
        if (!known && !fits)
                handover->too_much = true;
        return known || !fits || name ? 0 : -ENOMEM;
}

static int read_secrets(void *userdata, int socket) {
        char text[PATH_MAX];
        ssize_t n;
        int fd, r = 0;

        while ((n = receive(socket, text, sizeof(text), &fd)) > 0 && r >= 0)
                r = add_secrets(userdata, text, fd);
        return n < 0 ? (int)n : r;
}

int handover_take_secrets(Handover *handover, const Session *session, json_t *options, json_t **ret_error) {
        static const char *const shared[] = {"toplevel", "allow-unlisted"};
        json_auto_t *asked = json_object(), *result = NULL;
        int r;

        for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
                if (json_object_get(options, shared[i]))
                        json_object_set(asked, shared[i], json_object_get(options, shared[i]));
        r = program_call_reading(session, "initrd-secrets", asked, read_secrets, handover, &result);
        if (r != STATUS_DONE && r != STATUS_IN_PART) {
                if (result)
                        *ret_error = json_incref(result);
                return r;
        }
        print_warnings(result);
        return STATUS_DONE;
}

/* --- The message ---------------------------------------------------------------------------------------------- */

static int append_secrets(const Handover *handover, sd_bus_message *message) {
        int r;

        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(message, "s", "initrd-secrets");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "a(sh)");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "(sh)");
        for (size_t i = 0; r >= 0 && i < handover->secret_count; i++)
                r = sd_bus_message_append(message, "(sh)", handover->secrets[i].toplevel, handover->secrets[i].fd);
        for (unsigned i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

int handover_append(const Handover *handover, sd_bus_message *message) {
        int r = 0;

        if (handover->configuration >= 0)
                r = sd_bus_message_append(message, "{sv}", "configuration", "h", handover->configuration);
        return r < 0 || handover->secret_count == 0 ? r : append_secrets(handover, message);
}
