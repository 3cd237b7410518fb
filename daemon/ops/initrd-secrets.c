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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/file.h"

#define FILE_NAME "initrd"

enum {
        EXIT_NOT_STARTED = 127, /* as a shell says it */
        ORPHAN_ROUNDS_MAX = 10000,
};

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

/* The signals that ask us to end wait until the secrets are put away; the program, which is a group of its own, does
 * not get those of the terminal. */
typedef struct Signals {
        sigset_t before;
        int fd; /* readable when one has come */
} Signals;

/* Puts their usual effect back: one that has come ends us. */
static void signals_done(Signals *signals) {
        close_fd(&signals->fd);
        (void)sigprocmask(SIG_SETMASK, &signals->before, /* oldset= */ NULL);
}

static int signals_init(Signals *signals) {
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        sigset_t ours;

        sigemptyset(&ours);
        for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
                struct sigaction action;

                if (sigaction(numbers[i], /* act= */ NULL, &action) >= 0 && action.sa_handler != SIG_IGN)
                        sigaddset(&ours, numbers[i]);
        }
        if (sigprocmask(SIG_BLOCK, &ours, &signals->before) < 0)
                return -errno;
        signals->fd = signalfd(-1, &ours, SFD_CLOEXEC);
        return signals->fd < 0 ? -errno : 0;
}

static void run_child(const Signals *signals, const char *program, const char *file) {
        const struct rlimit size = {INITRD_SECRETS_MAX_BYTES, INITRD_SECRETS_MAX_BYTES};
        char path[] = "PATH=/run/current-system/sw/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        char *const environment[] = {path, NULL};
        char *const arguments[] = {(char *)program, (char *)file, NULL};
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        /* What it prints is for the person who watches; standard output is ours. */
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                _exit(126);
        if (setpgid(0, 0) < 0 || setrlimit(RLIMIT_FSIZE, &size) < 0 ||
            sigprocmask(SIG_SETMASK, &signals->before, /* oldset= */ NULL) < 0)
                _exit(126);
        execve(program, arguments, environment);
        _exit(EXIT_NOT_STARTED);
}

/* The children of this process, as many as fit: those of the program whose parents have ended are among them. */
static size_t list_children(pid_t *ret, size_t maximum) {
        char path[sizeof("/proc/self/task/-2147483648/children")];
        size_t count = 0;
        FILE *file;
        int pid;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
        file = fopen(path, "re");
        while (file && count < maximum && fscanf(file, "%d", &pid) == 1)
                ret[count++] = pid;
        if (file)
                fclose(file);
        return count;
}

/* Ends what the program left behind in groups and sessions of its own. While it ends, more of them may come. */
static void end_orphans(void) {
        pid_t pids[64];
        size_t count;

        for (unsigned rounds = 0; rounds < ORPHAN_ROUNDS_MAX; rounds++) {
                count = list_children(pids, ARRAY_LENGTH(pids));
                for (size_t i = 0; i < count; i++)
                        kill(pids[i], SIGKILL);
                for (size_t i = 0; i < count; i++)
                        while (waitpid(pids[i], /* status= */ NULL, 0) < 0 && errno == EINTR)
                                ;
                if (count == 0)
                        return;
        }
}

/* Waits for PID; after the time is over, or when we are to end, ends it and its group. Returns its wait status, or a
 * negative errno. */
static int wait_child(const Signals *signals, pid_t pid, unsigned seconds) {
        _cleanup_(close_fd) int pidfd = syscall(SYS_pidfd_open, pid, 0);
        struct pollfd events[] = {{.fd = pidfd, .events = POLLIN}, {.fd = signals->fd, .events = POLLIN}};
        int status, ready = -1, error;

        if (pidfd >= 0)
                do
                        ready = poll(events, ARRAY_LENGTH(events), seconds * 1000);
                while (ready < 0 && errno == EINTR);
        error = ready < 0 ? -errno : ready > 0 ? -EINTR : -ETIMEDOUT;
        if (ready > 0 && !events[0].revents)
                ready = 0;
        /* Also what it left in the background must not write on: the whole group goes in any case. */
        kill(-pid, SIGKILL);
        if (ready <= 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return ready <= 0 ? error : status;
}

static int run_program(const Signals *signals, const char *program, const char *file, unsigned seconds,
                       Failure *failure) {
        pid_t pid;
        int status;

        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return failure_set_errno(failure, -errno, "Cannot watch over what %s starts", program);
        pid = fork();
        if (pid < 0)
                return failure_set_errno(failure, -errno, "Cannot start %s", program);
        if (pid == 0)
                run_child(signals, program, file);

        status = wait_child(signals, pid, seconds);
        end_orphans();
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
        _cleanup_(signals_done) Signals signals = {.fd = -EBADF};
        _cleanup_(workplace_done) Workplace workplace = {};
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        r = signals_init(&signals);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot hold back signals");
        r = workplace_init(&workplace);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot make a private file in /run for initrd secrets");
        r = run_program(&signals, program, workplace.file, seconds, failure);
        if (r < 0)
                return r;
        fd = file_open(AT_FDCWD, workplace.file, O_RDONLY | O_NOFOLLOW, 0);
        r = fd < 0 ? fd : file_read_fd(fd, INITRD_SECRETS_MAX_BYTES, ret);
        if (r < 0)
                return failure_set(failure, CONDITION_SECRETS_FAILED, "Cannot read what %s left: %s", program,
                                   fd == -ELOOP ? "It is a symbolic link" : file_error_text(r));
        return 0;
}
