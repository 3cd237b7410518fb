/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/lib/scarce-memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The linker lets whoever calls malloc() call __wrap_malloc() (tests/build.mk), and __real_malloc() is what was meant.
 */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments);
int __wrap_asprintf(char **ret, const char *format, ...);

static _Atomic unsigned counted, failing;

void scarce_memory_begin(unsigned number) {
        counted = 0;
        failing = number;
}

unsigned scarce_memory_end(void) {
        failing = 0;
        return counted;
}

static bool is_short(void) {
        if (++counted != failing)
                return false;
        errno = ENOMEM;
        return true;
}

void *__wrap_malloc(size_t size) {
        return is_short() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
        return is_short() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
        return is_short() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size) {
        return is_short() ? NULL : __real_reallocarray(memory, count, size);
}

char *__wrap_strdup(const char *text) {
        return is_short() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size) {
        return is_short() ? NULL : __real_strndup(text, size);
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments) {
        return is_short() ? -1 : __real_vasprintf(ret, format, arguments);
}

int __wrap_asprintf(char **ret, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = __wrap_vasprintf(ret, format, arguments);
        va_end(arguments);
        return r;
}
