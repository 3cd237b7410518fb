/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void complain(const char *format, ...) {
        va_list arguments;

        fflush(stdout);
        fputs("lanzactl: ", stderr);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
}

bool print_json(const Session *session, json_t *result) {
        if (session->format == FORMAT_TEXT)
                return false;
        /* Names in file systems have characters that terminals act on. */
        json_dumpf(result, stdout,
                   JSON_ENSURE_ASCII | (session->format == FORMAT_PRETTY ? JSON_INDENT(2) : JSON_COMPACT));
        putchar('\n');
        return true;
}

/* Every other control character, those of C1 in UTF-8 (C2 80 to C2 9F) too, becomes "?". */
static void put_text(FILE *stream, const char *text) {
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
                        fputc('?', stream);
                        p++;
                } else {
                        fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, stream);
                }
        }
}

void complain_about(const char *about, const char *what) {
        fflush(stdout);
        fputs("lanzactl: ", stderr);
        put_text(stderr, about);
        fprintf(stderr, ": %s\n", what);
}

void print_text(const char *text) {
        put_text(stdout, text);
}

bool terminal_is_dumb(void) {
        const char *terminal = getenv("TERM");

        return terminal && strcmp(terminal, "dumb") == 0;
}

void print_error(const Session *session, json_t *result, bool say) {
        json_t *error = json_object_get(result, "error");
        const char *message = text_of(error, "message"), *hint = text_of(error, "hint");

        fflush(stdout);
        if (say) {
                fputs("lanzactl: ", stderr);
                put_text(stderr, message);
                fputc('\n', stderr);
                put_text(stderr, hint);
                if (*hint)
                        fputc('\n', stderr);
        }
        print_json(session, result);
}

void print_colored(const Session *session, Color color, const char *text) {
        static const char *const codes[] = {
                [COLOR_PLAIN] = "", [COLOR_BOLD] = "1", [COLOR_GOOD] = "32", [COLOR_BAD] = "31", [COLOR_WEAK] = "2",
        };

        if (!session->color || color == COLOR_PLAIN) {
                print_text(text);
                return;
        }
        printf("\033[%sm", codes[color]);
        print_text(text);
        printf("\033[0m");
}

void print_label(const char *label) {
        printf("%14s: ", label);
}

void print_lines(json_t *result, const char *name, const char *prefix) {
        json_t *line;
        size_t i;

        json_array_foreach(json_object_get(result, name), i, line) {
                fputs(prefix, stdout);
                print_text(json_is_string(line) ? json_string_value(line) : "");
                putchar('\n');
        }
}

void print_warnings(json_t *result) {
        json_t *warning;
        size_t i;

        fflush(stdout);
        json_array_foreach(json_object_get(result, "warnings"), i, warning) {
                fputs("lanzactl: Warning: ", stderr);
                put_text(stderr, json_is_string(warning) ? json_string_value(warning) : "");
                fputc('\n', stderr);
        }
}

const char *size_text(json_int_t bytes, char text[SIZE_TEXT_MAX]) {
        static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
        double size = (double)bytes / 1024;
        size_t unit = 0;

        while (size >= 1024 && unit < 3) {
                size /= 1024;
                unit++;
        }
        if (bytes < 1024)
                snprintf(text, SIZE_TEXT_MAX, "%d bytes", (int)bytes);
        else
                snprintf(text, SIZE_TEXT_MAX, "%.1f %s", size, units[unit]);
        return text;
}

const char *date_text(json_int_t seconds, char text[DATE_TEXT_MAX]) {
        time_t moment = seconds;
        struct tm parts;

        text[0] = '\0';
        if (seconds > 0 && gmtime_r(&moment, &parts))
                strftime(text, DATE_TEXT_MAX, "%Y-%m-%d", &parts);
        return text;
}

const char *text_of(json_t *result, const char *name) {
        const char *text = json_string_value(json_object_get(result, name));

        return text ? text : "";
}

json_int_t number_of(json_t *result, const char *name) {
        return json_integer_value(json_object_get(result, name));
}

bool truth_of(json_t *result, const char *name) {
        return json_is_true(json_object_get(result, name));
}

/* Characters, not bytes: what continues one has the form 10xxxxxx. */
static size_t text_width(const char *text) {
        size_t width = 0;

        for (; *text; text++)
                width += ((unsigned char)*text & 0xc0) != 0x80;
        return width;
}

static const char *cell_text(json_t *row, size_t column) {
        const char *text = json_string_value(json_array_get(row, column));

        return text ? text : "";
}

enum { COLUMNS_MAX = 8 };

static void print_row(const Session *session, Color color, json_t *row, size_t columns, const size_t *widths) {
        size_t last = columns;

        while (last > 0 && !*cell_text(row, last - 1))
                last--;
        for (size_t column = 0; column < last; column++) {
                const char *text = cell_text(row, column);

                print_colored(session, color, text);
                if (column + 1 < last)
                        printf("%*s", (int)(widths[column] - text_width(text) + 2), "");
        }
        putchar('\n');
}

static bool column_is_empty(json_t *rows, size_t column) {
        json_t *row;
        size_t i;

        json_array_foreach(rows, i, row) if (*cell_text(row, column)) return false;
        return true;
}

void print_table(const Session *session, const char *const headings[], size_t columns, json_t *rows) {
        json_auto_t *heading = json_array();
        size_t widths[COLUMNS_MAX] = {};
        json_t *row;
        size_t i;

        if (json_array_size(rows) == 0)
                return;
        while (columns > 1 && column_is_empty(rows, columns - 1))
                columns--;
        for (size_t column = 0; column < columns; column++) {
                json_array_append_new(heading, json_string(headings[column]));
                widths[column] = text_width(headings[column]);
        }
        json_array_foreach(rows, i, row) for (size_t column = 0; column < columns;
                                              column++) if (widths[column] < text_width(cell_text(row, column)))
                widths[column] = text_width(cell_text(row, column));
        print_row(session, COLOR_BOLD, heading, columns, widths);
        json_array_foreach(rows, i, row) print_row(session, COLOR_PLAIN, row, columns, widths);
}
