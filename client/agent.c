/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
        NOTIFY_FD = 3,              /* as in the command line below */
        READY_MILLISECONDS = 30000, /* polkitd may have to be started first */
};

static int spawn(int notify_fd, pid_t *ret) {
        static const char *const words[] = {"pkttyagent", "--notify-fd", "3", "--fallback", NULL};
        posix_spawn_file_actions_t actions;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_adddup2(&actions, notify_fd, NOTIFY_FD);
        if (r == 0)
                r = posix_spawnp(ret, words[0], &actions, /* attrp= */ NULL, (char *const *)words, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

pid_t agent_start(const Session *session) {
        struct pollfd ready;
        int pipe_fds[2], r;
        pid_t agent = 0;

        if (!session->ask || geteuid() == 0 || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return 0;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return 0;
        r = spawn(pipe_fds[1], &agent);
        close(pipe_fds[1]);
        /* The agent closes its end when polkit knows it. One that is not ready in time, or not installed, is done
         * without: the service then refuses, and says why. */
        ready = (struct pollfd){.fd = pipe_fds[0]};
        if (r >= 0)
                (void)poll(&ready, 1, READY_MILLISECONDS);
        close(pipe_fds[0]);
        return r < 0 ? 0 : agent;
}

void agent_stop(pid_t agent) {
        if (agent <= 0)
                return;
        (void)kill(agent, SIGTERM);
        (void)kill(agent, SIGCONT); /* it might have been stopped by the terminal */
        while (waitpid(agent, /* wstatus= */ NULL, 0) < 0 && errno == EINTR)
                ;
}
