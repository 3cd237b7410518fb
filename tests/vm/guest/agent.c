// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs what the test on the host asks for. A request is a line "SECONDS SCRIPT-BYTES INPUT-BYTES", the script, its
// standard input; the answer a line "STATUS OUTPUT-BYTES ERROR-BYTES", standard output, standard error.
//
// A program and no script, and one without libraries: in emulation each program that starts costs 50 ms, and a test has
// a hundred requests.
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "/run/agent"
#define TIMED_OUT 124
#define KILL_AFTER_SECONDS 5

static FILE *port_open(void) {
        glob_t found;
        char name[32];

        if (glob("/sys/class/virtio-ports/*/name", 0, NULL, &found) != 0)
                errx(EXIT_FAILURE, "no virtio port");
        for (size_t i = 0; i < found.gl_pathc; i++) {
                FILE *file = fopen(found.gl_pathv[i], "re");

                if (file && fgets(name, sizeof name, file) && strcmp(name, "agent\n") == 0) {
                        char path[64];

                        *strrchr(found.gl_pathv[i], '/') = '\0';
                        snprintf(path, sizeof path, "/dev/%s", strrchr(found.gl_pathv[i], '/') + 1);
                        int fd = open(path, O_RDWR | O_CLOEXEC);
                        FILE *port = fd < 0 ? NULL : fdopen(fd, "r");

                        if (!port)
                                err(EXIT_FAILURE, "%s", path);
                        return port;
                }
                if (file)
                        fclose(file);
        }
        errx(EXIT_FAILURE, "no virtio port is the agent's");
}

static int file_open(const char *path, int flags) {
        int fd = open(path, flags | O_CLOEXEC, 0644);

        if (fd < 0)
                err(EXIT_FAILURE, "%s", path);
        return fd;
}

static void write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0)
                        err(EXIT_FAILURE, "write");
                data += n;
                size -= (size_t)n;
        }
}

// Writes the next SIZE bytes of the request to the file PATH.
static void receive(FILE *port, const char *path, size_t size) {
        char chunk[65536];
        int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC);

        while (size > 0) {
                size_t n = fread(chunk, 1, size < sizeof chunk ? size : sizeof chunk, port);

                if (n == 0)
                        errx(EXIT_FAILURE, "the request ends early");
                write_all(fd, chunk, n);
                size -= n;
        }
        close(fd);
}

// Sends SIZE bytes of FD: what a process in the background adds meanwhile is not in the answer.
static void answer(int port, int fd, off_t size) {
        char chunk[65536];

        for (off_t sent = 0; sent < size;) {
                size_t left = (size_t)(size - sent);
                ssize_t n = pread(fd, chunk, left < sizeof chunk ? left : sizeof chunk, sent);

                if (n <= 0)
                        err(EXIT_FAILURE, "an output got shorter");
                write_all(port, chunk, (size_t)n);
                sent += n;
        }
}

static pid_t script_start(int output, int error) {
        pid_t pid = fork();

        if (pid < 0)
                err(EXIT_FAILURE, "fork");
        if (pid == 0) {
                sigset_t none;

                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                setpgid(0, 0);
                dup2(file_open(FOLDER "/input", O_RDONLY), STDIN_FILENO);
                dup2(output, STDOUT_FILENO);
                dup2(error, STDERR_FILENO);
                if (chdir("/") == 0)
                        execl("/bin/bash", "bash", FOLDER "/script", (char *)NULL);
                _exit(127);
        }
        setpgid(pid, pid);
        return pid;
}

// Waits for PID until DEADLINE; whether it ended. SIGCHLD is blocked, so none is missed; one may stand for several.
static bool script_ended(pid_t pid, time_t deadline, int *ret_status) {
        sigset_t child;
        struct timespec now;

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        for (;;) {
                if (waitpid(pid, ret_status, WNOHANG) == pid)
                        return true;
                clock_gettime(CLOCK_MONOTONIC, &now);
                if (now.tv_sec >= deadline)
                        return false;
                sigtimedwait(&child, NULL, &(struct timespec){.tv_sec = deadline - now.tv_sec});
        }
}

// As timeout(1) does it: the whole group of processes is told to end, and made to.
static int script_wait(pid_t pid, unsigned seconds) {
        int status = 0;
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (script_ended(pid, now.tv_sec + (time_t)seconds, &status))
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        kill(-pid, SIGTERM);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (!script_ended(pid, now.tv_sec + KILL_AFTER_SECONDS, &status)) {
                kill(-pid, SIGKILL);
                waitpid(pid, &status, 0);
        }
        return TIMED_OUT;
}

int main(void) {
        FILE *port = port_open();
        char line[128];
        unsigned seconds;
        size_t script_bytes, input_bytes;
        sigset_t child;

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, NULL);
        setenv("HOME", "/root", 1);
        if (mkdir(FOLDER, 0755) < 0)
                err(EXIT_FAILURE, FOLDER);
        write_all(fileno(port), "ready\n", 6);
        while (fgets(line, sizeof line, port) &&
               sscanf(line, "%u %zu %zu", &seconds, &script_bytes, &input_bytes) == 3) {
                struct stat out, bad;

                receive(port, FOLDER "/script", script_bytes);
                receive(port, FOLDER "/input", input_bytes);
                int output = file_open(FOLDER "/output", O_RDWR | O_CREAT | O_TRUNC);
                int error = file_open(FOLDER "/error", O_RDWR | O_CREAT | O_TRUNC);
                int status = script_wait(script_start(output, error), seconds);

                if (fstat(output, &out) < 0 || fstat(error, &bad) < 0)
                        err(EXIT_FAILURE, "fstat");
                snprintf(line, sizeof line, "%d %jd %jd\n", status, (intmax_t)out.st_size, (intmax_t)bad.st_size);
                write_all(fileno(port), line, strlen(line));
                answer(fileno(port), output, out.st_size);
                answer(fileno(port), error, bad.st_size);
                close(output);
                close(error);
        }
        return EXIT_SUCCESS;
}
