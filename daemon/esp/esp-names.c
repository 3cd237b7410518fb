/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/esp-names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/util/encode.h"
#include "daemon/util/file.h"
#include "stubs/stub-abi.h"

enum { GENERATION_DIGITS_MAX = 18, COUNTER_DIGITS_MAX = 10 };

/* ctype.h asks the locale, and names are ASCII whatever that is. */
static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_name_character(char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
}

static char fold(char c) {
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool fat_name_equal(const char *a, const char *b) {
        return fat_name_compare(a, b) == 0;
}

int fat_name_compare(const char *a, const char *b) {
        while (*a && fold(*a) == fold(*b)) {
                a++;
                b++;
        }
        return (int)(unsigned char)fold(*a) - (int)(unsigned char)fold(*b);
}

bool string_list_has_name(const StringList *list, const char *name) {
        for (size_t i = 0; i < list->count; i++)
                if (fat_name_equal(list->items[i], name))
                        return true;
        return false;
}

static bool is_name_part(Span part, size_t maximum) {
        if (part.size == 0 || part.size > maximum)
                return false;
        for (size_t i = 0; i < part.size; i++)
                if (!is_name_character(part.data[i]))
                        return false;
        return true;
}

/* A SHA-256 in base32: 256 bits are 51 characters and one bit, so the last one is "a" or "q". */
static bool is_hash(Span text) {
        if (text.size != ESP_HASH_LENGTH)
                return false;
        for (size_t i = 0; i < text.size; i++)
                if (!(text.data[i] >= 'a' && text.data[i] <= 'z') && !(text.data[i] >= '2' && text.data[i] <= '7'))
                        return false;
        return text.data[ESP_HASH_LENGTH - 1] == 'a' || text.data[ESP_HASH_LENGTH - 1] == 'q';
}

static size_t count_digits(Span text, size_t from) {
        size_t count = 0;

        while (from + count < text.size && is_digit(text.data[from + count]))
                count++;
        return count;
}

/* "+LEFT[-DONE]", all of it. */
static bool is_counter(Span text) {
        size_t left, done;

        if (text.size < 2 || text.data[0] != '+')
                return false;
        left = count_digits(text, 1);
        if (left == 0 || left > COUNTER_DIGITS_MAX)
                return false;
        if (1 + left == text.size)
                return true;
        done = count_digits(text, left + 2);
        return text.data[1 + left] == '-' && done > 0 && done <= COUNTER_DIGITS_MAX && left + 2 + done == text.size;
}

/* Takes "-" and what follows off the end of *TEXT, if what follows is a hash. */
static bool take_hash(Span *text, Span *ret) {
        Span hash;

        if (text->size <= ESP_HASH_LENGTH + 1)
                return false;
        hash = (Span){text->data + text->size - ESP_HASH_LENGTH, ESP_HASH_LENGTH};
        if (!is_hash(hash) || hash.data[-1] != '-')
                return false;
        text->size -= ESP_HASH_LENGTH + 1;
        *ret = hash;
        return true;
}

static bool take_prefix(Span *text, const char *prefix) {
        size_t length = strlen(prefix);

        if (!span_starts_with(*text, span_from_string(prefix)))
                return false;
        text->data += length;
        text->size -= length;
        return true;
}

/* "generation-N[-specialisation-NAME]", all of it. */
static bool parse_generation(Span text, ImageName *name) {
        uint64_t number = 0;
        size_t digits;

        if (!take_prefix(&text, "generation-"))
                return false;
        digits = count_digits(text, 0);
        if (digits == 0 || digits > GENERATION_DIGITS_MAX || text.data[0] == '0')
                return false;
        for (size_t i = 0; i < digits; i++)
                number = 10 * number + (text.data[i] - '0');
        text = (Span){text.data + digits, text.size - digits};

        name->specialisation = (Span){};
        if (text.size > 0) {
                if (!take_prefix(&text, "-specialisation-") || !is_name_part(text, ESP_NAME_PART_MAX))
                        return false;
                name->specialisation = text;
        }
        name->generation = number;
        return true;
}

/* "[PROFILE-]generation-…". A profile may itself contain "generation-": the shortest that fits is taken. */
static bool parse_profile_and_generation(Span text, ImageName *name) {
        for (size_t i = 0; i < text.size && i <= ESP_NAME_PART_MAX + 1; i++) {
                Span profile = {text.data, i > 0 ? i - 1 : 0};

                if (i > 0 && (text.data[i - 1] != '-' || !is_name_part(profile, ESP_NAME_PART_MAX) ||
                              span_equal(profile, span_from_string("system"))))
                        continue;
                if (!parse_generation((Span){text.data + i, text.size - i}, name))
                        continue;
                name->profile = profile;
                return true;
        }
        return false;
}

int image_name_parse(const char *name, const char *token, ImageName *ret) {
        ImageName parsed = {};
        Span text = span_from_string(name), rest;
        const char *plus;

        if (text.size > ESP_NAME_MAX || text.size < 4 || strcmp(name + text.size - 4, ".efi") != 0)
                return -EINVAL;
        text.size -= 4;
        plus = memchr(text.data, '+', text.size);
        if (plus) {
                size_t offset = plus - name;

                parsed.counter = (Span){text.data + offset, text.size - offset};
                text.size = offset;
                if (!is_counter(parsed.counter))
                        return -EINVAL;
        }
        parsed.base = text;
        if (!take_hash(&text, &parsed.hash))
                return -EINVAL;
        parsed.identity = text;

        rest = text;
        if (!take_prefix(&rest, token ?: ESP_TOKEN_DEFAULT) || !take_prefix(&rest, "-") ||
            !parse_profile_and_generation(rest, &parsed))
                return -EINVAL;
        *ret = parsed;
        return 0;
}

bool image_token_valid(const char *token) {
        return is_name_part(span_from_string(token), ESP_TOKEN_MAX) && !strchr(token, '-');
}

/* A copy of TEXT that is_name_part(). */
static char *clean_part(const char *text, size_t maximum) {
        char *part = strndup(text, maximum);

        for (char *c = part; c && *c; c++)
                if (!is_name_character(*c))
                        *c = '_';
        return part;
}

/* The default profile is in no name. */
static bool is_named_profile(const char *profile) {
        return profile && *profile && strcmp(profile, "system") != 0;
}

int image_name_format(const char *token, const char *profile, uint64_t generation, const char *specialisation,
                      const Sha256 *hash, char **ret) {
        _cleanup_(free_pointer) char *profile_part = NULL, *specialisation_part = NULL, *text = NULL;
        bool has_profile = is_named_profile(profile);
        char *name;

        if (generation == 0)
                return -EINVAL;
        profile_part = clean_part(has_profile ? profile : "", ESP_NAME_PART_MAX);
        specialisation_part = clean_part(specialisation ?: "", ESP_NAME_PART_MAX);
        text = base32_encode((Span){hash->bytes, sizeof(hash->bytes)});
        if (!profile_part || !specialisation_part || !text)
                return -ENOMEM;

        if (asprintf(&name, "%s-%s%sgeneration-%llu%s%s-%s.efi", token ?: ESP_TOKEN_DEFAULT, profile_part,
                     has_profile ? "-" : "", (unsigned long long)generation,
                     *specialisation_part ? "-specialisation-" : "", specialisation_part, text) < 0)
                return -ENOMEM;
        *ret = name;
        return 0;
}

/* Takes PROFILE with its dash off the front of *TEXT, as clean_part() writes it. */
static bool take_profile(Span *text, const char *profile) {
        size_t length = strnlen(profile, ESP_NAME_PART_MAX);

        if (text->size < length)
                return false;
        for (size_t i = 0; i < length; i++)
                if (text->data[i] != (is_name_character(profile[i]) ? profile[i] : '_'))
                        return false;
        *text = (Span){text->data + length, text->size - length};
        return take_prefix(text, "-");
}

bool image_name_is_of(const ImageName *name, const char *token, const char *profile, uint64_t generation) {
        char number[sizeof("generation-18446744073709551615")];
        Span text = name->identity;

        snprintf(number, sizeof(number), "generation-%" PRIu64, generation);
        return take_prefix(&text, token ?: ESP_TOKEN_DEFAULT) && take_prefix(&text, "-") &&
               (!is_named_profile(profile) || take_profile(&text, profile)) && take_prefix(&text, number) &&
               (text.size == 0 || span_starts_with(text, span_from_string("-specialisation-")));
}

/* The offset of ".efi" in any case at the end of NAME, or its length if it does not end so. */
static size_t suffix_offset(const char *name) {
        size_t length = strlen(name);

        return length >= 4 && fat_name_equal(name + length - 4, ".efi") ? length - 4 : length;
}

Span entry_name_counter(const char *name) {
        size_t end = suffix_offset(name);
        const char *plus = memrchr(name, '+', end);
        Span counter;

        if (!plus)
                return (Span){};
        counter = (Span){(const uint8_t *)plus, name + end - plus};
        return is_counter(counter) ? counter : (Span){};
}

bool entry_name_exhausted(const char *name) {
        Span counter = entry_name_counter(name);

        return counter.size > 0 && strtoull((const char *)counter.data + 1, NULL, 10) == 0;
}

char *entry_name(const char *name) {
        Span counter = entry_name_counter(name);
        size_t end = suffix_offset(name);
        char *text;

        return asprintf(&text, "%.*s%s", (int)(end - counter.size), name, name + end) < 0 ? NULL : text;
}

char *entry_name_with_counter(const char *name, Span counter) {
        size_t end = suffix_offset(name);
        char *text;

        if (asprintf(&text, "%.*s%.*s%s", (int)end, name, (int)counter.size, counter.size ? (char *)counter.data : "",
                     name + end) < 0)
                return NULL;
        return text;
}

bool entry_name_equal(const char *a, const char *b) {
        size_t a_end = suffix_offset(a), b_end = suffix_offset(b);
        size_t a_length = a_end - entry_name_counter(a).size, b_length = b_end - entry_name_counter(b).size;

        if (a_length != b_length || !fat_name_equal(a + a_end, b + b_end))
                return false;
        for (size_t i = 0; i < a_length; i++)
                if (fold(a[i]) != fold(b[i]))
                        return false;
        return true;
}

int content_name_parse(const char *name, ContentName *ret) {
        Span text = span_from_string(name);
        ContentName parsed = {};

        if (text.size > ESP_NAME_MAX || text.size < 4 || strcmp(name + text.size - 4, ".efi") != 0)
                return -EINVAL;
        text.size -= 4;
        if (!take_hash(&text, &parsed.hash))
                return -EINVAL;
        if (take_prefix(&text, "kernel-"))
                parsed.kind = CONTENT_KERNEL;
        else if (take_prefix(&text, "initrd-"))
                parsed.kind = CONTENT_INITRD;
        else
                return -EINVAL;
        if (!is_name_part(text, ESP_VERSION_MAX))
                return -EINVAL;
        parsed.version = text;
        *ret = parsed;
        return 0;
}

int content_name_format(ContentKind kind, const char *version, const Sha256 *hash, char **ret) {
        _cleanup_(free_pointer) char *part = clean_part(version && *version ? version : "unknown", ESP_VERSION_MAX);
        _cleanup_(free_pointer) char *text = base32_encode((Span){hash->bytes, sizeof(hash->bytes)});
        char *name;

        if (!part || !text ||
            asprintf(&name, "%s-%s-%s.efi", kind == CONTENT_KERNEL ? "kernel" : "initrd", part, text) < 0)
                return -ENOMEM;
        *ret = name;
        return 0;
}

bool temporary_name_valid(const char *name) {
        if (strlen(name) != TEMPORARY_NAME_SIZE - 1 || strncasecmp(name, "LANZ", 4) != 0 ||
            !fat_name_equal(name + 8, ".TMP"))
                return false;
        for (size_t i = 4; i < 8; i++)
                if (!is_digit(name[i]) && !(fold(name[i]) >= 'a' && fold(name[i]) <= 'f'))
                        return false;
        return true;
}

void temporary_name_format(unsigned number, char ret[static TEMPORARY_NAME_SIZE]) {
        snprintf(ret, TEMPORARY_NAME_SIZE, "LANZ%04X.TMP", number & TEMPORARY_NUMBER_MAX);
}

/* stubs/stub-abi.h, "ESP paths": what may stand in a component, separators aside. */
static bool is_path_character(uint8_t c) {
        return c >= 0x20 && c <= 0x7e && !memchr("\"*/:<>?\\|", c, 9);
}

static bool is_path_component(Span component) {
        if (component.size == 0 || component.data[0] == ' ' || component.data[component.size - 1] == ' ' ||
            component.data[component.size - 1] == '.')
                return false;
        for (size_t i = 0; i < component.size; i++)
                if (!is_path_character(component.data[i]))
                        return false;
        return true;
}

/* Whether PATH is a list of good components, each but perhaps the first with SEPARATOR before it. */
static bool is_path(Span path, char separator) {
        while (path.size > 0) {
                const uint8_t *end = memchr(path.data, separator, path.size);
                size_t length = end ? (size_t)(end - path.data) : path.size;

                if (!is_path_component((Span){path.data, length}))
                        return false;
                if (!end)
                        return true;
                path = (Span){end + 1, path.size - length - 1};
        }
        return false;
}

static void replace_character(char *text, char from, char to) {
        for (; *text; text++)
                if (*text == from)
                        *text = to;
}

int esp_path_parse(Span path, char **ret) {
        char *text;

        if (path.size < 2 || path.size > LANZA_ESP_PATH_MAX_BYTES || path.data[0] != LANZA_ESP_PATH_SEPARATOR ||
            !is_path((Span){path.data + 1, path.size - 1}, LANZA_ESP_PATH_SEPARATOR))
                return -EINVAL;
        text = strndup((const char *)path.data + 1, path.size - 1);
        if (!text)
                return -ENOMEM;
        replace_character(text, LANZA_ESP_PATH_SEPARATOR, '/');
        *ret = text;
        return 0;
}

int esp_path_format(const char *path, char **ret) {
        char *text;

        if (strlen(path) + 1 > LANZA_ESP_PATH_MAX_BYTES || !is_path(span_from_string(path), '/'))
                return -EINVAL;
        if (asprintf(&text, "%c%s", LANZA_ESP_PATH_SEPARATOR, path) < 0)
                return -ENOMEM;
        replace_character(text, '/', LANZA_ESP_PATH_SEPARATOR);
        *ret = text;
        return 0;
}
