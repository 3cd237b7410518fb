/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/signing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus.h"
#include "client/errors.h"
#include "client/memory.h"
#include "client/print.h"
#include "client/replacement.h"
#include "dbus/lanza1-names.h"

typedef struct Signing {
        sd_bus *bus;
        const Session *session;
        json_t *options;
        Replacement *files;
        size_t count;
        json_t **ret_result; /* an error */
} Signing;

static const char *path_of(json_t *options, size_t index) {
        return json_string_value(json_array_get(json_object_get(options, "files"), index));
}

static size_t count_of(json_t *options) {
        return json_array_size(json_object_get(options, "files"));
}

static const char *output_of(json_t *options) {
        return json_string_value(json_object_get(options, "output"));
}

bool signing_needs_program(json_t *options) {
        struct stat st;

        if (json_object_get(options, "timeout"))
                return true;
        for (size_t i = 0; geteuid() == 0 && i < count_of(options); i++)
                if (stat(path_of(options, i), &st) >= 0 && S_ISREG(st.st_mode) && st.st_size > SIGNING_BYTES_MAX)
                        return true;
        return false;
}

__attribute__((format(printf, 3, 4))) static int fail(Signing *signing, const char *name, const char *format, ...) {
        char *text = NULL;
        va_list list;

        va_start(list, format);
        if (vasprintf(&text, format, list) < 0)
                text = NULL;
        va_end(list);
        *signing->ret_result = error_object(name, text ? text : "out of memory");
        free(text);
        return STATUS_FAILED;
}

static const char *reason(int error) {
        if (error == -EINVAL)
                return "it is no regular file";
        return error == -ESTALE ? "it was exchanged meanwhile" : strerror(-error);
}

static int fail_with(Signing *signing, int error, const char *what, const char *path) {
        if (error == -EFBIG)
                return fail(signing, LANZA1_ERROR_PREFIX "LimitsExceeded",
                            "%s is larger than %d MiB, more than the service takes\nOnly root can sign it: run this "
                            "again with sudo.",
                            path, SIGNING_BYTES_MAX / 1024 / 1024);
        return fail(signing, LANZA1_ERROR_PREFIX "Failed", "Cannot %s %s: %s", what, path, reason(error));
}

/* The service does not know what the image is called. */
static void name_image(json_t *result, const char *path) {
        json_t *error = json_object_get(result, "error");

        if (strcmp(text_of(error, "name"), LANZA1_ERROR_PREFIX "BadImage") == 0)
                json_object_set_new(error, "message", json_sprintf("%s: %s", path, text_of(error, "message")));
}

/* What MEMORY holds comes back signed, or is kept where that is asked for. */
static int sign_memory(Signing *signing, size_t index, int memory, bool *ret_signed) {
        Replacement *file = &signing->files[index];
        const char *path = path_of(signing->options, index), *output = output_of(signing->options);
        int made, r;

        r = bus_call_memory(signing->bus, signing->session, "sign", memory, &made, signing->ret_result);
        if (r != STATUS_DONE) {
                name_image(*signing->ret_result, path);
                return r;
        }
        *ret_signed = !memory_equal(memory, made);
        if (!truth_of(signing->options, "dry-run") && (*ret_signed || output))
                r = replacement_write(file, made);
        close(made);
        return r < 0 ? fail_with(signing, r, "write", output ? output : path) : STATUS_DONE;
}

static int sign_file(Signing *signing, size_t index, json_t *files) {
        const char *path = path_of(signing->options, index);
        int memory, r;
        bool is_signed;

        memory = memory_take(signing->files[index].source, "image", SIGNING_BYTES_MAX);
        if (memory < 0)
                return fail_with(signing, memory, "read", path);
        r = sign_memory(signing, index, memory, &is_signed);
        close(memory);
        if (r == STATUS_DONE)
                json_array_append_new(files, json_pack("{s:s, s:b}", "path", path, "signed", is_signed));
        return r;
}

static int open_file(Signing *signing, size_t index) {
        const char *path = path_of(signing->options, index), *output = output_of(signing->options);
        const bool writes = !truth_of(signing->options, "dry-run");
        int r;

        r = replacement_open(&signing->files[index], path);
        if (r < 0)
                return fail_with(signing, r, "open", path);
        r = replacement_place(&signing->files[index], path, output, writes);
        return r < 0 ? fail_with(signing, r, "replace", output ? output : path) : STATUS_DONE;
}

static int open_files(Signing *signing) {
        int r = STATUS_DONE;

        for (size_t i = 0; i < signing->count; i++)
                signing->files[i] = REPLACEMENT_NONE;
        for (size_t i = 0; r == STATUS_DONE && i < signing->count; i++)
                r = open_file(signing, i);
        return r;
}

static int finish_files(Signing *signing) {
        const char *output = output_of(signing->options);

        for (size_t i = 0; i < signing->count; i++) {
                int r = replacement_finish(&signing->files[i]);

                if (r < 0)
                        return fail_with(signing, r, "replace", output ? output : path_of(signing->options, i));
        }
        return STATUS_DONE;
}

static int sign_files(Signing *signing) {
        json_auto_t *files = json_array();
        int r;

        r = open_files(signing);
        for (size_t i = 0; r == STATUS_DONE && i < signing->count; i++)
                r = sign_file(signing, i, files);
        if (r == STATUS_DONE)
                r = finish_files(signing);
        if (r == STATUS_DONE)
                *signing->ret_result =
                        json_pack("{s:b, s:O}", "dry-run", truth_of(signing->options, "dry-run"), "files", files);
        return r;
}

int signing_call(sd_bus *bus, const Session *session, json_t *options, json_t **ret_result) {
        Signing signing = {
                .bus = bus,
                .session = session,
                .options = options,
                .count = count_of(options),
                .ret_result = ret_result,
        };
        int r;

        signing.files = calloc(signing.count, sizeof(*signing.files));
        if (!signing.files)
                return fail(&signing, LANZA1_ERROR_PREFIX "Failed", "out of memory");
        replacement_guard(signing.files, signing.count);
        r = sign_files(&signing);
        for (size_t i = 0; i < signing.count; i++)
                replacement_done(&signing.files[i]);
        replacement_guard(/* files= */ NULL, 0);
        free(signing.files);
        return r;
}
