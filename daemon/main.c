/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/crypto/crypto.h"
#include "daemon/oneshot.h"
#include "daemon/service.h"

/* Whoever starts us with standard descriptors closed must not find messages in the files that would get their numbers.
 * Standard output becomes one that cannot be written to: a result that nobody gets is a failure. One that is closed on
 * exec was not there when we began: a library took its number for a file of its own, before main(), as libefivar does.
 */
static void open_standard_descriptors(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                int flags = fcntl(fd, F_GETFD), null;

                if (flags >= 0 && !(flags & FD_CLOEXEC))
                        continue;
                null = open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
                if (null < 0 || (null != fd && (dup2(null, fd) < 0 || close(null) < 0)))
                        _exit(EXIT_FAILURE);
        }
}

/* Private keys pass through memory: no core dump, and no debugger of the same user. */
static void keep_memory_private(void) {
        const struct rlimit none = {};

        (void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its search for leaks is such a debugger */
        (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Standard output is buffered: whether it arrived is known only now. */
static int finish_output(int status) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        fprintf(stderr, "lanzad: Cannot write to standard output: %s\n", strerror(errno));
        return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

int main(int argc, char *argv[]) {
        open_standard_descriptors();
        keep_memory_private();
        /* What is made for others to read says so itself. */
        umask(077);
        crypto_set_up();

        if (argc >= 2 && strcmp(argv[1], "--oneshot") == 0)
                return finish_output(oneshot_main(argc - 2, argv + 2));
        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                puts("lanzad " LANZA_VERSION);
                return finish_output(EXIT_SUCCESS);
        }
        if (argc == 2 && strcmp(argv[1], "--help") == 0) {
                puts("lanzad                  serve the system bus\n"
                     "lanzad --oneshot VERB   run one operation in the foreground; 'lanzad --oneshot --help' lists them\n"
                     "lanzad --version        print the version\n\n"
                     "Options of the service:\n"
                     "  --root=DIR             work on the tree below DIR; firmware variables stay untouched\n"
                     "  --config=FILE          another configuration; an absolute path is below --root\n"
                     "  --keys=DIR             another key store than the configured one; not below --root\n"
                     "  --variables=FILE       a file that stands for the firmware's variables; not below --root\n"
                     "  --idle-timeout=SECONDS exit when nobody asked for so long (default 60)");
                return finish_output(EXIT_SUCCESS);
        }
        return service_main(argc - 1, argv + 1);
}
