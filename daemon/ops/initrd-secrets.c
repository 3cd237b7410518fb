/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/initrd-secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/file.h"

#define FILE_NAME "initrd"

enum { EXIT_NOT_STARTED = 127 }; /* as a shell says it */

/* The private folder with the file in it; removed when the scope ends, with whatever the program put there. */
typedef struct Workplace {
        char folder[32];
        char file[48];
} Workplace;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        (void)remove(path);
        return 0;
}

static void workplace_done(Workplace *workplace) {
        if (workplace->folder[0])
                nftw(workplace->folder, remove_one, /* nopenfd= */ 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int workplace_init(Workplace *workplace) {
        int fd;

        strcpy(workplace->folder, "/run/lanzad-XXXXXX");
        if (!mkdtemp(workplace->folder)) {
                workplace->folder[0] = 0;
                return -errno;
        }
        snprintf(workplace->file, sizeof(workplace->file), "%s/" FILE_NAME, workplace->folder);
        fd = open(workplace->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

static void run_child(const char *program, const char *file) {
        const struct rlimit size = {INITRD_SECRETS_MAX_BYTES, INITRD_SECRETS_MAX_BYTES};
        char path[] = "PATH=/run/current-system/sw/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        char *const environment[] = {path, NULL};
        char *const arguments[] = {(char *)program, (char *)file, NULL};
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        /* What it prints is for the person who watches; standard output is ours. */
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                _exit(126);
        if (setpgid(0, 0) < 0 || setrlimit(RLIMIT_FSIZE, &size) < 0)
                _exit(126);
        execve(program, arguments, environment);
        _exit(EXIT_NOT_STARTED);
}

/* Waits for PID; after the time is over ends it and its group. Returns its wait status, or a negative errno. */
static int wait_child(pid_t pid, unsigned seconds) {
        _cleanup_(close_fd) int pidfd = syscall(SYS_pidfd_open, pid, 0);
        struct pollfd event = {.fd = pidfd, .events = POLLIN};
        int status, ready = -1, error;

        if (pidfd >= 0)
                do
                        ready = poll(&event, 1, seconds * 1000);
                while (ready < 0 && errno == EINTR);
        error = ready < 0 ? -errno : -ETIMEDOUT;
        /* Also what it left in the background must not write on: the whole group goes in any case. */
        kill(-pid, SIGKILL);
        if (ready <= 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return ready <= 0 ? error : status;
}

static int run_program(const char *program, const char *file, unsigned seconds, Failure *failure) {
        pid_t pid = fork();
        int status;

        if (pid < 0)
                return failure_set_errno(failure, -errno, "Cannot start %s", program);
        if (pid == 0)
                run_child(program, file);

        status = wait_child(pid, seconds);
        if (status == -ETIMEDOUT)
                return failure_set(failure, CONDITION_SECRETS_FAILED, "%s did not end within %u seconds", program,
                                   seconds);
        if (status < 0)
                return failure_set_errno(failure, status, "Cannot wait for %s", program);
        if (WIFSIGNALED(status))
                return failure_set(failure, CONDITION_SECRETS_FAILED, "%s was ended by signal %d%s", program,
                                   WTERMSIG(status), WTERMSIG(status) == SIGXFSZ ? ": it wrote too much" : "");
        if (WEXITSTATUS(status) == EXIT_NOT_STARTED)
                return failure_set(failure, CONDITION_SECRETS_FAILED,
                                   "%s, or a program that it calls, cannot be started", program);
        if (WEXITSTATUS(status) != 0)
                return failure_set(failure, CONDITION_SECRETS_FAILED, "%s failed with exit status %d", program,
                                   WEXITSTATUS(status));
        return 0;
}

int initrd_secrets_run(const char *program, unsigned seconds, Buffer *ret, Failure *failure) {
        _cleanup_(workplace_done) Workplace workplace = {};
        int r;

        r = workplace_init(&workplace);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot make a private file in /run for initrd secrets");
        r = run_program(program, workplace.file, seconds, failure);
        if (r < 0)
                return r;
        r = file_read(AT_FDCWD, workplace.file, INITRD_SECRETS_MAX_BYTES, ret);
        if (r < 0)
                return failure_set(failure, CONDITION_SECRETS_FAILED, "Cannot read what %s left: %s", program,
                                   strerror(-r));
        return 0;
}
