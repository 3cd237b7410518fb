/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/oneshot.h"

int main(int argc, char *argv[]) {
        /* What is made for others to read says so itself. */
        umask(077);

        if (argc >= 2 && strcmp(argv[1], "--oneshot") == 0)
                return oneshot_main(argc - 2, argv + 2);
        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                puts("lanzad " LANZA_VERSION);
                return EXIT_SUCCESS;
        }
        if (argc == 2 && strcmp(argv[1], "--help") == 0) {
                puts("lanzad --oneshot VERB   run one operation in the foreground; 'lanzad --oneshot --help' lists them\n"
                     "lanzad --version        print the version");
                return EXIT_SUCCESS;
        }
        fputs("lanzad: this version runs single operations only.\nTry 'lanzad --oneshot --help'.\n", stderr);
        return 2;
}
