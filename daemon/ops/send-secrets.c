/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/send-secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/ops/context.h"
#include "daemon/ops/image-source.h"
#include "daemon/ops/parameters.h"
#include "daemon/ops/secrets-supply.h"
#include "daemon/ops/system.h"
#include "daemon/util/file.h"

typedef struct SendParameters {
        char *toplevel;
        bool allow_unlisted;
        uint64_t socket;
} SendParameters;

static const Field parameter_fields[] = {
        {.name = "toplevel",
         .type = FIELD_STRING,
         .offset = offsetof(SendParameters, toplevel),
         .help = "the system that is to be the default entry",
         .argument = "PATH"},
        {.name = "allow-unlisted",
         .type = FIELD_BOOLEAN,
         .offset = offsetof(SendParameters, allow_unlisted),
         .help = "as for sync"},
        {.name = "socket",
         .type = FIELD_UNSIGNED,
         .offset = offsetof(SendParameters, socket),
         .help = "an open SOCK_SEQPACKET socket, to send each result on as sealed memory",
         .argument = "FD"},
};

static const Record send_parameters = RECORD(SendParameters, parameter_fields);

typedef struct SentSecrets {
        char *toplevel;
        uint64_t bytes;
} SentSecrets;

typedef struct SendResult {
        RecordList secrets;
        StringList warnings;
} SendResult;

static const Field sent_fields[] = {
        FIELD(SentSecrets, toplevel, FIELD_STRING, "toplevel"),
        FIELD(SentSecrets, bytes, FIELD_UNSIGNED, "bytes"),
};
static const Record sent_record = RECORD(SentSecrets, sent_fields);

static const Field result_fields[] = {
        FIELD_LIST(SendResult, secrets, sent_record, "secrets"),
        FIELD(SendResult, warnings, FIELD_STRINGS, "warnings"),
};
static const Record send_result = RECORD(SendResult, result_fields);

/* Checks the socket, and keeps it from the programs: what they wrote there would count as their results. */
static int take_socket(uint64_t number, int *ret, Failure *failure) {
        int domain = 0, type = 0, fd = number <= INT_MAX ? (int)number : -EBADF;
        socklen_t size = sizeof(int);

        if (number <= STDERR_FILENO)
                return parameter_refused(failure, "--socket=FD is missing, or names one of the standard descriptors");
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || domain != AF_UNIX || type != SOCK_SEQPACKET)
                return parameter_refused(
                        failure, "--socket=%" PRIu64 " is no open Unix socket of the type SOCK_SEQPACKET", number);
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return failure_set_errno(failure, -errno, "Cannot keep the socket from other programs");
        *ret = fd;
        return 0;
}

static int send_memory(int socket, const char *toplevel, const SealedMemory *memory, Failure *failure) {
        union {
                struct cmsghdr header; /* for its alignment */
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec text = {.iov_base = (void *)toplevel, .iov_len = strlen(toplevel)};
        struct msghdr message = {
                .msg_iov = &text,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        ssize_t n;

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &memory->fd, sizeof(int));
        do
                n = sendmsg(socket, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? failure_set_errno(failure, -errno, "Cannot hand over the initrd secrets of %s", toplevel) : 0;
}

static int add_sent(SendResult *result, const char *toplevel, uint64_t bytes) {
        SentSecrets *sent = record_list_add(&result->secrets, &sent_record);

        if (!sent)
                return -ENOMEM;
        sent->toplevel = strdup(toplevel);
        sent->bytes = bytes;
        return sent->toplevel ? 0 : -ENOMEM;
}

static int make_and_send(int socket, const Bootspec *bootspec, SendResult *result, Failure *failure) {
        _cleanup_(sealed_memory_freep) SealedMemory *memory = NULL;
        int r;

        r = secrets_make(bootspec->initrd_secrets, &memory, failure);
        if (r >= 0 && !memory)
                r = sealed_memory_make("initrd-secrets", (Span){}, &memory);
        if (r >= 0)
                r = send_memory(socket, bootspec->toplevel, memory, failure);
        return r < 0 ? r : add_sent(result, bootspec->toplevel, memory->size);
}

static int warn(SendResult *result, const Generation *generation, const BootVariant *variant, const char *why) {
        _cleanup_(free_pointer) char *title = generation_title(generation, variant);

        return title ? string_list_add_format(&result->warnings, "There are no new initrd secrets for %s: %s", title,
                                              why)
                     : -ENOMEM;
}

static bool is_sent(const SendResult *result, const char *toplevel) {
        const SentSecrets *sent = result->secrets.items;

        for (size_t i = 0; i < result->secrets.count; i++)
                if (strcmp(sent[i].toplevel, toplevel) == 0)
                        return true;
        return false;
}

static int send_variant(int socket, const SystemChoice *choice, const Generation *generation,
                        const BootVariant *variant, SendResult *result, Failure *failure) {
        _cleanup_(failure_done) Failure problem = {};
        int r;

        if (!variant->bootspec->initrd_secrets || is_sent(result, variant->bootspec->toplevel))
                return 0;
        r = make_and_send(socket, variant->bootspec, result, &problem);
        if (r >= 0)
                return 0;
        if (generation == choice->default_generation || problem.condition != CONDITION_SECRETS_FAILED)
                return failure_pass(failure, &problem, r);
        return warn(result, generation, variant, problem.message);
}

static int send_all(int socket, const SystemChoice *choice, SendResult *result, Failure *failure) {
        int r;

        for (size_t i = 0; i < choice->generations.count; i++) {
                const Generation *generation = &choice->generations.items[i];

                for (size_t j = 0; generation->chosen && j < generation->variants.count; j++) {
                        r = send_variant(socket, choice, generation, &generation->variants.items[j], result, failure);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int run_send(Context *context, const void *parameters, void *ret, Failure *failure) {
        const SendParameters *asked = parameters;
        const ToplevelRequest request = {asked->toplevel, asked->allow_unlisted};
        _cleanup_(system_choice_done) SystemChoice choice = {};
        SendResult *result = ret;
        int socket, r;

        if (geteuid() != 0)
                return failure_set_errno(failure, -EPERM, "Only root runs generations' programs for initrd secrets");
        if (!context->runs_programs || !context->live)
                return parameter_refused(failure,
                                         "Only the running system itself can run its programs for initrd secrets");
        r = take_socket(asked->socket, &socket, failure);
        if (r < 0)
                return r;
        r = system_choose(context, &request, &result->warnings, &choice, failure);
        return r < 0 ? r : send_all(socket, &choice, result, failure);
}

const Operation send_secrets_operation = {
        .verb = "initrd-secrets",
        .help = "run the generations' programs for initrd secrets, for whoever has the service write them",
        .parameters = &send_parameters,
        .result = &send_result,
        .positional = "toplevel",
        .run = run_send,
};
