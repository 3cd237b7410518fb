/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stubs/text.h"

static void append_unit(Text *text, uint16_t unit) {
        if (text->length == TEXT_MAX)
                return;
        text->data[text->length++] = unit;
        text->data[text->length] = 0;
}

static void append_ascii(Text *text, Bytes bytes) {
        for (size_t i = 0; i < bytes.size; i++)
                append_unit(text, bytes.data[i] >= 0x20 && bytes.data[i] <= 0x7E ? bytes.data[i] : '?');
}

/* Bytes that others chose leave room for what is said of them. */
static void append_bytes(Text *text, Bytes bytes) {
        Bytes shown = {bytes.data, bytes.size < TEXT_BYTES_MAX ? bytes.size : TEXT_BYTES_MAX};

        append_ascii(text, shown);
        if (shown.size < bytes.size)
                append_ascii(text, bytes_from_string("..."));
}

static void append_utf16(Text *text, const uint16_t *units) {
        for (; *units != 0; units++)
                append_unit(text, *units < 0x20 || *units == 0x7F ? '?' : *units);
}

static void append_hexadecimal(Text *text, Bytes bytes) {
        for (size_t i = 0; i < bytes.size; i++) {
                append_unit(text, (uint16_t) "0123456789abcdef"[bytes.data[i] >> 4]);
                append_unit(text, (uint16_t) "0123456789abcdef"[bytes.data[i] & 15]);
        }
}

static void append_decimal(Text *text, uint64_t number, int digits_min) {
        uint8_t digits[20];
        int count = 0;

        do {
                digits[count++] = (uint8_t)('0' + number % 10);
                number /= 10;
        } while (number > 0 || count < digits_min);
        while (count > 0)
                append_unit(text, digits[--count]);
}

void text_clear(Text *text) {
        text->length = 0;
        text->data[0] = 0;
}

void text_append_list(Text *text, const char *format, __builtin_va_list arguments) {
        for (; *format != '\0'; format++) {
                if (*format != '%') {
                        append_unit(text, (uint8_t)*format);
                        continue;
                }
                switch (*++format) {
                case 's':
                        append_ascii(text, bytes_from_string(__builtin_va_arg(arguments, const char *)));
                        break;
                case 'b':
                        append_bytes(text, __builtin_va_arg(arguments, Bytes));
                        break;
                case 'w':
                        append_utf16(text, __builtin_va_arg(arguments, const uint16_t *));
                        break;
                case 'x':
                        append_hexadecimal(text, __builtin_va_arg(arguments, Bytes));
                        break;
                case 'u':
                        append_decimal(text, __builtin_va_arg(arguments, uint64_t), 1);
                        break;
                case '0':
                        format++;
                        append_decimal(text, __builtin_va_arg(arguments, uint64_t), 2);
                        break;
                case '%':
                        append_unit(text, '%');
                        break;
                default:
                        __builtin_trap(); /* a format that this file does not know is a mistake in the caller's line */
                }
        }
}

void text_append(Text *text, const char *format, ...) {
        __builtin_va_list arguments;

        __builtin_va_start(arguments, format);
        text_append_list(text, format, arguments);
        __builtin_va_end(arguments);
}

size_t text_line(const uint16_t *text, size_t columns) {
        size_t end = 0;

        for (size_t i = 0;; i++) {
                if (text[i] != ' ' && text[i] != 0)
                        continue;
                if (i > columns && end > 0)
                        return end;
                end = i;
                if (i > columns || text[i] == 0)
                        return end;
        }
}
