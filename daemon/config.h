/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The configuration, /etc/lanza/lanzad.conf and the *.conf files of lanzad.conf.d. units/lanzad.conf describes each
 * key.
 *
 * Lines are [Section], Key=value, comments (first character # or ;) or empty; white space around key and value does not
 * count. Lists are separated by spaces. A later value replaces an earlier one, an empty value brings the default back.
 * Paths are absolute, without "." and ".." parts. An unknown section or key is a warning with file and line, a bad
 * value is BadConfiguration with file and line. */

#include <stdbool.h>

#include "daemon/util/failure.h"
#include "daemon/util/span.h"
#include "daemon/util/string-list.h"

#define CONFIG_FILE "/etc/lanza/lanzad.conf"

enum { CONFIG_SIZE_MAX = 1024 * 1024 };

typedef enum ConfigSwitch {
        CONFIG_NO,
        CONFIG_AUTO,
} ConfigSwitch;

/* Every string and list is owned. Paths are as written: config_prefix_root() puts --root in front. */
typedef struct Config {
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
        ConfigSwitch allow_unsigned;

        /* [Esp] */
        char *esp_path; /* NULL: to be found */
        StringList esp_extra_paths;
        char *xbootldr_path; /* NULL: none */
        ConfigSwitch boot_entry;
        bool strict_permissions;
} Config;

/* The defaults. -ENOMEM. */
int config_init(Config *ret);
void config_done(Config *config);

/* Reads TEXT over what CONFIG has; NAME stands for the file in messages. A pure function of its arguments. On failure
 * CONFIG is unchanged, but WARNINGS may have grown. */
int config_parse(Config *config, Span text, const char *name, StringList *warnings, Failure *failure);

/* The defaults, and over them FILE alone; or, if FILE is NULL, CONFIG_FILE and the files of its .d folder in the order
 * of their names, any of which may be missing. These paths, and symlinks on the way, are resolved beneath ROOT (NULL:
 * "/"). The paths in *RET are as written. */
int config_load(const char *root, const char *file, Config *ret, StringList *warnings, Failure *failure);

/* Puts ROOT in front of every path of CONFIG, but leaves the key folder and the key files if KEEP_KEYS (--keys=DIR). */
int config_prefix_root(Config *config, const char *root, bool keep_keys);
