/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/neighbour-names.h"

#include <string.h>

#include "daemon/esp/esp-names.h"

enum { STORE_HASH_LENGTH = 32, HEX_LENGTH = 2 * SHA256_SIZE, NUMBER_DIGITS_MAX = 18 };

static bool take_prefix(Span *text, const char *prefix) {
        if (!span_starts_with(*text, span_from_string(prefix)))
                return false;
        *text = (Span){text->data + strlen(prefix), text->size - strlen(prefix)};
        return true;
}

/* Exactly as it was written, in this case too. */
static bool take_suffix(Span *text, const char *suffix) {
        size_t length = strlen(suffix);

        if (text->size < length || memcmp(text->data + text->size - length, suffix, length) != 0)
                return false;
        text->size -= length;
        return true;
}

/* A number without leading zeros; 0 if there is none. */
static uint64_t take_number(Span *text) {
        uint64_t number = 0;
        size_t digits = 0;

        while (digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9')
                digits++;
        if (digits == 0 || digits > NUMBER_DIGITS_MAX || text->data[0] == '0')
                return 0;
        for (size_t i = 0; i < digits; i++)
                number = 10 * number + (text->data[i] - '0');
        *text = (Span){text->data + digits, text->size - digits};
        return number;
}

/* Of the characters in CHARACTERS, and letters and digits where ALPHANUMERIC says so. */
static bool consists_of(Span text, bool alphanumeric, const char *characters) {
        for (size_t i = 0; i < text.size; i++) {
                uint8_t c = text.data[i];
                bool known = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

                if (!(alphanumeric && known) && (c == 0 || !strchr(characters, c)))
                        return false;
        }
        return true;
}

/* "generation-N[-specialisation-ANY]", all of it. */
static bool parse_generation(Span text, uint64_t *ret) {
        uint64_t number;

        if (!take_prefix(&text, "generation-"))
                return false;
        number = take_number(&text);
        if (number == 0 || (text.size > 0 && (!take_prefix(&text, "-specialisation-") || text.size == 0)))
                return false;
        *ret = number;
        return true;
}

bool lanzaboote_image_parse(const char *name, uint64_t *ret) {
        Span text = span_from_string(name), counter = entry_name_counter(name);

        if (text.size > ESP_NAME_MAX || !take_suffix(&text, ".efi"))
                return false;
        text.size -= counter.size;
        return take_prefix(&text, "nixos-") && parse_generation(text, ret);
}

static bool is_store_name(Span text) {
        return text.size > 0 && consists_of(text, true, "+-._?=");
}

bool lanzaboote_content_valid(const char *name) {
        Span text = span_from_string(name), hash;

        if (text.size > ESP_NAME_MAX || !take_suffix(&text, ".efi") ||
            (!take_prefix(&text, "kernel-") && !take_prefix(&text, "initrd-")) || text.size < ESP_HASH_LENGTH + 2)
                return false;
        hash = (Span){text.data + text.size - ESP_HASH_LENGTH, ESP_HASH_LENGTH};
        text.size -= ESP_HASH_LENGTH + 1;
        return hash.data[-1] == '-' && consists_of(hash, false, "abcdefghijklmnopqrstuvwxyz234567") &&
               is_store_name(text);
}

static bool is_hex(Span text) {
        return text.size == HEX_LENGTH && consists_of(text, false, "0123456789abcdef");
}

bool store_content_valid(const char *name) {
        Span text = span_from_string(name), hash = {text.data, STORE_HASH_LENGTH};

        if (text.size > ESP_NAME_MAX || !take_suffix(&text, ".efi"))
                return false;
        if (text.size == HEX_LENGTH + strlen("-initrd"))
                return take_suffix(&text, "-initrd") && is_hex(text);
        return text.size > STORE_HASH_LENGTH + 1 && text.data[STORE_HASH_LENGTH] == '-' &&
               consists_of(hash, false, "0123456789abcdfghijklmnpqrsvwxyz") &&
               is_store_name((Span){text.data + STORE_HASH_LENGTH + 1, text.size - STORE_HASH_LENGTH - 1});
}

/* The counter of an entry's name, as entry_name_counter() knows it of images. */
static void drop_counter(Span *text) {
        const uint8_t *plus = memrchr(text->data, '+', text->size);
        Span digits;

        if (!plus)
                return;
        digits = (Span){plus + 1, text->data + text->size - plus - 1};
        if (digits.size > 0 && consists_of(digits, false, "0123456789-"))
                text->size = plus - text->data;
}

static uint8_t hex_digit(uint8_t c) {
        return c <= '9' ? c - '0' : c - 'a' + 10;
}

static bool is_profile(Span profile) {
        return profile.size > 0 && !memchr(profile.data, '/', profile.size);
}

bool builder_entry_parse(const char *name, BuilderEntryName *ret) {
        Span text = span_from_string(name);
        BuilderEntryName parsed = {};

        if (text.size > ESP_NAME_MAX || !take_suffix(&text, ".conf") || !take_prefix(&text, "nixos-"))
                return false;
        drop_counter(&text);
        if (is_hex(text)) {
                for (size_t i = 0; i < SHA256_SIZE; i++)
                        parsed.hash.bytes[i] = hex_digit(text.data[2 * i]) << 4 | hex_digit(text.data[2 * i + 1]);
                *ret = parsed;
                return true;
        }
        for (size_t i = 0; i < text.size; i++) {
                if (i > 0 && (text.data[i - 1] != '-' || !is_profile((Span){text.data, i - 1})))
                        continue;
                if (!parse_generation((Span){text.data + i, text.size - i}, &parsed.generation))
                        continue;
                parsed.profile = (Span){text.data, i > 0 ? i - 1 : 0};
                *ret = parsed;
                return true;
        }
        return false;
}
