/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/print.h"

enum {
        LINE_MAX_CHARACTERS = 79,
        COLUMNS_UNKNOWN = 80,
        BAR_MIN = 10, /* a shorter one tells nothing that the number behind it does not */
        BAR_MAX = 40,
};

Progress progress_new(const Session *session) {
        return (Progress){
                .shown = !session->quiet,
                .redraws = !terminal_is_dumb() && isatty(STDERR_FILENO),
        };
}

/* The last column stays free: some terminals begin a new line as soon as it is written. */
static size_t line_length(void) {
        struct winsize size;
        size_t columns = COLUMNS_UNKNOWN;

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0)
                columns = size.ws_col;
        return columns - 1 < LINE_MAX_CHARACTERS ? columns - 1 : LINE_MAX_CHARACTERS;
}

/* "NAME [#####.....]  50%", without the bar where it does not fit. */
static void draw(const char *name, uint64_t done, uint64_t total) {
        static const char full[] = "########################################",
                          empty[] = "........................................";
        size_t length = line_length(), taken = strlen(name) + strlen(" [] 100%"), bar, filled;
        char line[256];
        unsigned percent;

        percent = total == 0 || done >= total ? 100 : (unsigned)(100.0 * (double)done / (double)total);
        bar = length < taken ? 0 : length - taken > BAR_MAX ? BAR_MAX : length - taken;
        filled = bar * percent / 100;
        if (total == 0)
                snprintf(line, sizeof(line), "%s", name);
        else if (bar < BAR_MIN)
                snprintf(line, sizeof(line), "%3u%% %s", percent, name);
        else
                snprintf(line, sizeof(line), "%s [%.*s%.*s] %3u%%", name, (int)filled, full, (int)(bar - filled), empty,
                         percent);
        fprintf(stderr, "\r\033[K%.*s", (int)length, line);
}

/* "write-content" as words; whatever could steer a terminal is none. */
static void make_words(char *text) {
        for (; *text; text++)
                if (*text == '-')
                        *text = ' ';
                else if (*text < 0x20 || *text > 0x7e)
                        *text = '?';
}

void progress_show(Progress *progress, const char *operation, const char *phase, uint64_t done, uint64_t total) {
        bool is_new = strncmp(progress->phase, phase, sizeof(progress->phase) - 1) != 0;
        char name[128], words[sizeof(progress->phase)];

        snprintf(progress->phase, sizeof(progress->phase), "%s", phase);
        snprintf(words, sizeof(words), "%s", phase);
        make_words(words);
        snprintf(name, sizeof(name), "%.60s: %s", operation, words);
        if (progress->shown && progress->redraws) {
                draw(name, done, total);
                progress->drawn = true;
        } else if (progress->shown && is_new) {
                fprintf(stderr, "%s\n", name);
        }
}

void progress_clear(Progress *progress) {
        if (progress->drawn)
                fputs("\r\033[K", stderr);
        progress->drawn = false;
}
