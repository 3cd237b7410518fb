/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/cpio.h"

enum {
        ALIGNMENT = 4,
        FIELD_DIGITS = 8,

        /* Numbers in a member's header, those that are not zero. */
        INODE = 0,
        MODE = 1,
        LINKS = 4,
        CONTENT_SIZE = 6,
        NAME_SIZE = 11,
        FIELDS = 13,

        MODE_FOLDER = 0040555,
        MODE_FILE = 0100444,
};

/* An archive that is written or, without a buffer, only measured. */
typedef struct Writer {
        uint8_t *buffer;
        size_t size;
        uint32_t members;
} Writer;

static void append(Writer *writer, Bytes bytes) {
        if (writer->buffer && bytes.size > 0)
                memcpy(writer->buffer + writer->size, bytes.data, bytes.size);
        writer->size += bytes.size;
}

static void append_text(Writer *writer, const char *text) {
        append(writer, bytes_from_string(text));
}

static void append_field(Writer *writer, uint32_t number) {
        uint8_t digits[FIELD_DIGITS];

        for (int i = 0; i < FIELD_DIGITS; i++)
                digits[i] = (uint8_t) "0123456789abcdef"[number >> (28 - 4 * i) & 15];
        append(writer, (Bytes){digits, sizeof digits});
}

static void pad(Writer *writer) {
        static const uint8_t zeros[ALIGNMENT];

        append(writer, (Bytes){zeros, (ALIGNMENT - writer->size % ALIGNMENT) % ALIGNMENT});
}

/* FOLDER may be NULL. */
static void append_member(Writer *writer, const char *folder, const char *name, uint32_t mode, Bytes content) {
        size_t folder_size = folder ? bytes_from_string(folder).size + 1 : 0;
        const uint32_t fields[FIELDS] = {
                [INODE] = ++writer->members,
                [MODE] = mode,
                [LINKS] = 1,
                [CONTENT_SIZE] = (uint32_t)content.size,
                [NAME_SIZE] = (uint32_t)(folder_size + bytes_from_string(name).size + 1), /* with its NUL */
        };

        append_text(writer, "070701");
        for (size_t i = 0; i < FIELDS; i++)
                append_field(writer, fields[i]);
        if (folder) {
                append_text(writer, folder);
                append_text(writer, "/");
        }
        append_text(writer, name);
        append(writer, (Bytes){(const uint8_t *)"", 1});
        pad(writer);
        append(writer, content);
        pad(writer);
}

static size_t make(const char *folder, const CpioFile *files, size_t count, uint8_t *buffer) {
        Writer writer = {.buffer = buffer};

        append_member(&writer, NULL, folder, MODE_FOLDER, (Bytes){});
        for (size_t i = 0; i < count; i++)
                append_member(&writer, folder, files[i].name, MODE_FILE, files[i].content);
        append_member(&writer, NULL, "TRAILER!!!", 0, (Bytes){});
        return writer.size;
}

size_t cpio_size(const char *folder, const CpioFile *files, size_t count) {
        return make(folder, files, count, /* buffer= */ NULL);
}

void cpio_write(const char *folder, const CpioFile *files, size_t count, uint8_t *buffer) {
        make(folder, files, count, buffer);
}
