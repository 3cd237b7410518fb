/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/os-release.h"

/* Two kinds of readers meet this text. A shell and systemd in user space take the escapes back. systemd-boot does not:
 * it splits the text at line ends, takes off one pair of quotes around a value and shows the rest as it stands. So a
 * value that needs no escape reads the same for both, one that does keeps its backslashes in the menu, and in neither
 * can a value end its line: that is what text_problem() is asked for. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/boot/text.h"

void os_release_done(OsRelease *os_release) {
        free(os_release->id);
        free(os_release->pretty_name);
        free(os_release->version_id);
        *os_release = (OsRelease){};
}

static int append_field(Buffer *text, const char *name, const char *value) {
        int r;

        if (!value)
                return 0;
        if (text_problem(value, /* tab_allowed= */ false))
                return -EINVAL;
        r = buffer_append_format(text, "%s=\"", name);
        for (; *value && r >= 0; value++) {
                if (strchr("\"$`\\", *value))
                        r = buffer_append_u8(text, '\\');
                if (r >= 0)
                        r = buffer_append_u8(text, *value);
        }
        if (r < 0)
                return r;
        return buffer_append_string(text, "\"\n");
}

int os_release_format(const OsRelease *os_release, Buffer *text) {
        size_t before = text->size;
        int r;

        r = append_field(text, "ID", os_release->id);
        if (r >= 0)
                r = append_field(text, "PRETTY_NAME", os_release->pretty_name);
        if (r >= 0)
                r = append_field(text, "VERSION_ID", os_release->version_id);
        if (r < 0)
                text->size = before;
        return r;
}

/* What is left to read. */
typedef struct Reader {
        const char *next, *end;
} Reader;

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

static bool at_end_of_line(const Reader *reader) {
        return reader->next == reader->end || *reader->next == '\n' || *reader->next == '\r';
}

static void skip_blanks(Reader *reader) {
        while (reader->next < reader->end && is_blank(*reader->next))
                reader->next++;
}

static void skip_line(Reader *reader) {
        while (!at_end_of_line(reader))
                reader->next++;
        if (reader->next < reader->end)
                reader->next++;
}

/* Reads what follows an opening quote, up to the closing one. */
static int read_quoted(Reader *reader, char quote, Buffer *value) {
        while (reader->next < reader->end) {
                char c = *reader->next++;

                if (c == quote)
                        return 0;
                if (c == '\\' && quote == '"' && reader->next < reader->end) {
                        if (*reader->next == '\n') {
                                reader->next++;
                                continue;
                        }
                        if (strchr("\"$`\\", *reader->next))
                                c = *reader->next++;
                }
                int r = buffer_append_u8(value, c);
                if (r < 0)
                        return r;
        }
        return -EBADMSG;
}

/* Reads one word: quoted and unquoted parts without white space between them. Returns -EBADMSG if a quote is not closed
 * or something other than a comment follows on the line. */
static int read_word(Reader *reader, Buffer *value) {
        int r;

        while (!at_end_of_line(reader) && !is_blank(*reader->next)) {
                char c = *reader->next++;

                if (c == '"' || c == '\'') {
                        r = read_quoted(reader, c, value);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (c == '\\') {
                        if (reader->next == reader->end)
                                return -EBADMSG;
                        c = *reader->next++;
                        if (c == '\n')
                                continue;
                }
                r = buffer_append_u8(value, c);
                if (r < 0)
                        return r;
        }
        skip_blanks(reader);
        return at_end_of_line(reader) || *reader->next == '#' ? 0 : -EBADMSG;
}

/* The field that NAME= at the reader's position assigns to, and skips over that; NULL if it is none of ours. */
static char **read_name(Reader *reader, OsRelease *os_release) {
        const struct {
                const char *name;
                char **field;
        } fields[] = {
                {"ID=", &os_release->id},
                {"PRETTY_NAME=", &os_release->pretty_name},
                {"VERSION_ID=", &os_release->version_id},
        };

        for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
                size_t length = strlen(fields[i].name);

                if ((size_t)(reader->end - reader->next) < length || memcmp(reader->next, fields[i].name, length) != 0)
                        continue;
                reader->next += length;
                return fields[i].field;
        }
        return NULL;
}

/* Skips over the name of any variable and its "=". */
static bool skip_name(Reader *reader) {
        const char *start = reader->next;

        while (reader->next < reader->end && *reader->next &&
               strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789", *reader->next))
                reader->next++;
        if (reader->next == start || reader->next == reader->end || *reader->next != '=')
                return false;
        reader->next++;
        return true;
}

/* Reads a line, or several where quotes span them. */
static int read_assignment(Reader *reader, OsRelease *os_release) {
        _cleanup_(buffer_done) Buffer value = {};
        Reader start = *reader;
        char **field, *copy;
        int r;

        skip_blanks(reader);
        field = read_name(reader, os_release);
        if (!field && !skip_name(reader)) {
                skip_line(reader);
                return 0;
        }
        r = read_word(reader, &value);
        if (r == -EBADMSG) {
                /* Nothing of a malformed assignment counts, but the lines after its first one are read. */
                *reader = start;
                skip_line(reader);
                return 0;
        }
        if (r < 0)
                return r;
        skip_line(reader);
        if (!field)
                return 0;

        r = buffer_append_u8(&value, 0);
        if (r < 0)
                return r;
        if (text_problem((const char *)value.data, /* tab_allowed= */ false))
                return 0;
        copy = strdup((const char *)value.data);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

int os_release_parse(Span text, OsRelease *ret) {
        _cleanup_(os_release_done) OsRelease os_release = {};
        const char *start = text.size > 0 ? (const char *)text.data : "";
        Reader reader = {start, start + text.size};
        int r;

        if (text.size > OS_RELEASE_MAX_BYTES)
                return -EFBIG;
        if (memchr(start, 0, text.size))
                return -EBADMSG;
        while (reader.next < reader.end) {
                r = read_assignment(&reader, &os_release);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_STRUCT(os_release);
        return 0;
}
