/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What operations act on, as the configuration names it. Every string and list is owned; paths are as written. */

#include <stdbool.h>

#include "daemon/util/string-list.h"

enum { CONFIG_SIZE_MAX = 1024 * 1024 };

typedef enum SettingsSwitch {
        SETTINGS_NO,
        SETTINGS_AUTO,
} SettingsSwitch;

typedef struct Settings {
        /* [Keys]; the files are NULL where they are the store's own */
        char *key_directory;
        char *database_key, *database_certificate;
        char *key_exchange_key, *key_exchange_certificate;
        char *platform_key, *platform_certificate;

        /* [Boot] */
        StringList profiles;
        unsigned limit; /* newest generations of a profile; 0: all */
        unsigned tries; /* boot counting; 0: off */
        char *stub;
        char *loader;
        char *loader_config; /* NULL: none */
        char *sort_key;
        char *entry_token; /* NULL: none */
        SettingsSwitch allow_unsigned;

        /* [Esp] */
        char *esp_path; /* NULL: to be found */
        StringList esp_extra_paths;
        char *xbootldr_path; /* NULL: none */
        SettingsSwitch boot_entry;
        bool strict_permissions;
} Settings;
