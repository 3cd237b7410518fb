/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: daemon */
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted is text without control characters, and a path is absolute. */
static void check_text(const char *text, bool is_path) {
        if (!text)
                return;
        if (utf8_check(span_from_string(text)) < 0 || (is_path && text[0] != '/'))
                abort();
        for (const char *c = text; *c; c++)
                if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
                        abort();
}

static void check_settings(const Settings *settings) {
        const char *paths[] = {settings->key_directory, settings->database_key, settings->database_certificate,
                               settings->stub,          settings->loader,       settings->loader_config,
                               settings->esp_path,      settings->xbootldr_path};

        for (size_t i = 0; i < ARRAY_LENGTH(paths); i++)
                check_text(paths[i], /* is_path= */ true);
        for (size_t i = 0; i < settings->profiles.count; i++)
                check_text(settings->profiles.items[i], /* is_path= */ true);
        check_text(settings->sort_key, /* is_path= */ false);
        check_text(settings->entry_token, /* is_path= */ false);
        /* what has a default always has a value */
        if (!settings->key_directory || !settings->stub || !settings->loader || !settings->sort_key)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(string_list_done) StringList warnings = {};
        _cleanup_(failure_done) Failure failure = {};
        _cleanup_(config_done) Settings settings = {};
        int r;

        if (config_init(&settings) < 0)
                abort();
        r = config_parse(&settings, (Span){data, size}, "fuzz.conf", &warnings, &failure);
        if ((r < 0) != (failure.message != NULL) || (r < 0 && strncmp(failure.message, "fuzz.conf:", 10) != 0))
                abort();
        check_settings(&settings);
        return 0;
}
