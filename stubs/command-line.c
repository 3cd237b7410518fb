/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/command-line.h"

static bool is_control(uint32_t character) {
        return (character < 0x20 && character != '\t') || character == 0x7F;
}

static bool is_surrogate(uint32_t character) {
        return character >= 0xD800 && character <= 0xDFFF;
}

static bool is_white(uint32_t character) {
        return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

/* Decodes the character at *OFFSET and moves behind it. Returns false for what is not UTF-8 in its shortest form
 * (Unicode, table 3-7 "Well-Formed UTF-8 Byte Sequences"). */
static bool utf8_next(Bytes text, size_t *offset, uint32_t *ret) {
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        uint8_t first = text.data[*offset];
        unsigned more = first < 0x80 ? 0 : first >= 0xC2 && first < 0xE0 ? 1 : first >= 0xE0 && first < 0xF0 ? 2 : 3;
        Bytes rest;

        if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || !bytes_slice(text, *offset + 1, more, &rest))
                return false;
        uint32_t character = more == 0 ? first : first & (0x3Fu >> more);
        for (unsigned i = 0; i < more; i++) {
                if ((rest.data[i] & 0xC0) != 0x80)
                        return false;
                character = character << 6 | (rest.data[i] & 0x3F);
        }
        if (character < least[more] || character > 0x10FFFF || is_surrogate(character))
                return false;

        *offset += 1 + more;
        *ret = character;
        return true;
}

static void append(CommandLine *line, uint32_t character) {
        if (character >= 0x10000) {
                line->text[line->length++] = (uint16_t)(0xD800 + ((character - 0x10000) >> 10));
                line->text[line->length++] = (uint16_t)(0xDC00 + ((character - 0x10000) & 0x3FF));
        } else
                line->text[line->length++] = (uint16_t)character;
}

const char *command_line_from_section(Bytes content, CommandLine *ret) {
        uint32_t character;

        while (content.size > 0 && is_white(content.data[content.size - 1]))
                content.size--;
        if (content.size > LANZA_CMDLINE_MAX_BYTES)
                return "is longer than 16384 bytes";

        ret->length = 0;
        for (size_t offset = 0; offset < content.size;) {
                if (!utf8_next(content, &offset, &character))
                        return "is not valid UTF-8";
                if (is_control(character))
                        return "has a control character in it";
                append(ret, character); /* never more units than it had bytes */
        }
        ret->text[ret->length] = 0;
        return NULL;
}

/* A command line begins with the name of an option. Binary data mostly does not: most pairs of bytes are some
 * character, and so is all of the GUID that edk2's boot manager passes to entries that it made itself. */
static bool is_text(const CommandLine *line) {
        if (line->length == 0 || line->text[0] < 0x20 || line->text[0] >= 0x7F)
                return false;
        for (size_t i = 0; i < line->length; i++) {
                uint16_t unit = line->text[i];
                if (is_control(unit))
                        return false;
                if (!is_surrogate(unit))
                        continue;
                /* a high one, and then a low one */
                if (unit >= 0xDC00 || i + 1 == line->length || (line->text[i + 1] & 0xFC00) != 0xDC00)
                        return false;
                i++;
        }
        return true;
}

bool command_line_from_load_options(Bytes options, CommandLine *ret) {
        bool fits = true;

        ret->length = 0;
        for (size_t i = 0; i + 1 < options.size && read_u16(options.data + i) != 0; i += 2) {
                fits = ret->length < LANZA_CMDLINE_MAX_BYTES;
                if (!fits)
                        break;
                ret->text[ret->length++] = read_u16(options.data + i);
        }
        while (ret->length > 0 && is_white(ret->text[ret->length - 1]))
                ret->length--;

        bool usable = fits && options.size % 2 == 0 && is_text(ret);
        if (!usable)
                ret->length = 0;
        ret->text[ret->length] = 0;
        return usable;
}
