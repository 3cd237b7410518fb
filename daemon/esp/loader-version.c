/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/loader-version.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int loader_version_find(Span binary, char **ret) {
        Span mark = span_from_string("#### LoaderInfo: systemd-boot "), end = span_from_string(" ####"), rest;
        size_t offset = 0, length;
        char *version;

        while (span_find(binary, mark, offset, &offset) >= 0) {
                offset += mark.size;
                rest = (Span){binary.data + offset, binary.size - offset};
                for (length = 0; length < rest.size && rest.data[length] > ' ' && rest.data[length] < 0x7f;)
                        length++;
                if (length == 0 || length > LOADER_VERSION_MAX ||
                    !span_starts_with((Span){rest.data + length, rest.size - length}, end))
                        continue;
                version = strndup((const char *)rest.data, length);
                if (!version)
                        return -ENOMEM;
                *ret = version;
                return 0;
        }
        return -ENOENT;
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_significant(char c) {
        return is_digit(c) || is_letter(c) || c == '~' || c == '-' || c == '^' || c == '.';
}

/* Compares the numbers, or else the words, that both begin with, and moves behind them. */
static int compare_segment(const char **a, const char **b, bool (*belongs)(char), bool numbers) {
        const char *a_start, *b_start;
        size_t a_length, b_length, shorter;
        int r;

        while (numbers && **a == '0')
                (*a)++;
        while (numbers && **b == '0')
                (*b)++;
        for (a_start = *a; belongs(**a);)
                (*a)++;
        for (b_start = *b; belongs(**b);)
                (*b)++;
        a_length = *a - a_start;
        b_length = *b - b_start;
        if (numbers && a_length != b_length)
                return a_length < b_length ? -1 : 1;

        shorter = a_length < b_length ? a_length : b_length;
        r = memcmp(a_start, b_start, shorter);
        return r != 0 ? r : (a_length > b_length) - (a_length < b_length);
}

/* Whether one of them has C next and the other has not; both skip it if both have it. */
static bool differ_by(const char **a, const char **b, char c) {
        if ((**a == c) != (**b == c))
                return true;
        if (**a == c) {
                (*a)++;
                (*b)++;
        }
        return false;
}

/* UAPI.10, "Version Comparison": the steps in its order. */
int version_compare(const char *a, const char *b) {
        int r;

        for (;;) {
                while (*a && !is_significant(*a))
                        a++;
                while (*b && !is_significant(*b))
                        b++;

                if (differ_by(&a, &b, '~'))
                        return *a == '~' ? -1 : 1;
                if (!*a || !*b)
                        return (*a != 0) - (*b != 0);
                if (differ_by(&a, &b, '-'))
                        return *a == '-' ? -1 : 1;
                if (differ_by(&a, &b, '^'))
                        return *a == '^' ? 1 : -1;
                if (differ_by(&a, &b, '.'))
                        return *a == '.' ? -1 : 1;

                r = is_digit(*a) || is_digit(*b) ? compare_segment(&a, &b, is_digit, /* numbers= */ true)
                                                 : compare_segment(&a, &b, is_letter, /* numbers= */ false);
                if (r != 0)
                        return r;
        }
}
