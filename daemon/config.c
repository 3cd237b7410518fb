/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/util/file.h"
#include "daemon/util/macro.h"
#include "daemon/util/root.h"
#include "daemon/util/utf8.h"

#define CONFIG_FOLDER CONFIG_FILE ".d"

enum { CONFIG_FILES_MAX = 1024, CONFIG_WARNINGS_MAX = 64, ENTRY_TOKEN_MAX = 16, SORT_KEY_MAX = 64 };

typedef enum KeyType {
        KEY_PATH,
        KEY_PATHS,
        KEY_NUMBER,
        KEY_SORT_KEY,
        KEY_ENTRY_TOKEN,
        KEY_SWITCH,
        KEY_BOOLEAN,
} KeyType;

/* Every key that there is, with the value that an empty one has. */
static const struct Key {
        const char *section, *name;
        KeyType type;
        size_t offset;
        const char *initial; /* NULL: unset */
} keys[] = {
        {"Keys", "Directory", KEY_PATH, offsetof(Settings, key_directory), "/var/lib/lanzad"},
        {"Keys", "DatabaseKey", KEY_PATH, offsetof(Settings, database_key), NULL},
        {"Keys", "DatabaseCertificate", KEY_PATH, offsetof(Settings, database_certificate), NULL},
        {"Keys", "KeyExchangeKey", KEY_PATH, offsetof(Settings, key_exchange_key), NULL},
        {"Keys", "KeyExchangeCertificate", KEY_PATH, offsetof(Settings, key_exchange_certificate), NULL},
        {"Keys", "PlatformKey", KEY_PATH, offsetof(Settings, platform_key), NULL},
        {"Keys", "PlatformCertificate", KEY_PATH, offsetof(Settings, platform_certificate), NULL},
        {"Boot", "Profiles", KEY_PATHS, offsetof(Settings, profiles), "/nix/var/nix/profiles"},
        {"Boot", "Limit", KEY_NUMBER, offsetof(Settings, limit), "0"},
        {"Boot", "Tries", KEY_NUMBER, offsetof(Settings, tries), "0"},
        {"Boot", "Stub", KEY_PATH, offsetof(Settings, stub), LANZA_STUB_PATH},
        {"Boot", "Loader", KEY_PATH, offsetof(Settings, loader), LANZA_LOADER_PATH},
        {"Boot", "LoaderConfig", KEY_PATH, offsetof(Settings, loader_config), NULL},
        {"Boot", "SortKey", KEY_SORT_KEY, offsetof(Settings, sort_key), "lanza"},
        {"Boot", "EntryToken", KEY_ENTRY_TOKEN, offsetof(Settings, entry_token), NULL},
        {"Boot", "AllowUnsigned", KEY_SWITCH, offsetof(Settings, allow_unsigned), "auto"},
        {"Esp", "Path", KEY_PATH, offsetof(Settings, esp_path), NULL},
        {"Esp", "ExtraPaths", KEY_PATHS, offsetof(Settings, esp_extra_paths), NULL},
        {"Esp", "XbootldrPath", KEY_PATH, offsetof(Settings, xbootldr_path), NULL},
        {"Esp", "BootEntry", KEY_SWITCH, offsetof(Settings, boot_entry), "auto"},
        {"Esp", "StrictPermissions", KEY_BOOLEAN, offsetof(Settings, strict_permissions), "no"},
};

static void *key_place(const struct Key *key, Settings *settings) {
        return (char *)settings + key->offset;
}

static void key_done(const struct Key *key, Settings *settings) {
        if (key->type == KEY_PATHS) {
                string_list_done(key_place(key, settings));
        } else if (key->type == KEY_PATH || key->type == KEY_SORT_KEY || key->type == KEY_ENTRY_TOKEN) {
                char **text = key_place(key, settings);

                free(*text);
                *text = NULL;
        }
}

void config_done(Settings *settings) {
        for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
                key_done(&keys[i], settings);
        *settings = (Settings){};
}

/* Absolute, and with nothing in it that could mean another place than it seems to. */
static bool path_valid(const char *path) {
        if (path[0] != '/')
                return false;
        for (const char *part = path; part; part = strchr(part, '/')) {
                size_t length = strcspn(++part, "/");

                if ((length == 1 && part[0] == '.') || (length == 2 && strncmp(part, "..", 2) == 0))
                        return false;
        }
        return true;
}

/* Characters that a file name on FAT and a line of os-release(5) take without quoting. */
static bool word_valid(const char *word, const char *more, size_t maximum) {
        for (const char *c = word; *c; c++)
                if (!isalnum((unsigned char)*c) && !strchr(more, *c))
                        return false;
        return strlen(word) <= maximum;
}

static int set_text(char **place, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*place);
        *place = copy;
        return 0;
}

static int set_paths(StringList *place, const char *value) {
        _cleanup_(free_pointer) char *words = strdup(value);
        _cleanup_(string_list_done) StringList paths = {};
        char *rest;
        int r;

        if (!words)
                return -ENOMEM;
        for (char *word = strtok_r(words, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
                if (!path_valid(word))
                        return -EINVAL;
                r = string_list_add(&paths, word);
                if (r < 0)
                        return r;
        }
        string_list_done(place);
        *place = TAKE_STRUCT(paths);
        return 0;
}

static int set_number(unsigned *place, const char *value) {
        unsigned long number;
        char *end;

        if (!isdigit((unsigned char)*value))
                return -EINVAL;
        errno = 0;
        number = strtoul(value, &end, 10);
        if (errno != 0 || *end || number > 1000000)
                return -EINVAL;
        *place = number;
        return 0;
}

static int set_switch(SettingsSwitch *place, const char *value) {
        bool is_auto = strcmp(value, "auto") == 0;

        if (!is_auto && strcmp(value, "no") != 0)
                return -EINVAL;
        *place = is_auto ? SETTINGS_AUTO : SETTINGS_NO;
        return 0;
}

static int set_boolean(bool *place, const char *value) {
        bool is_yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;

        if (!is_yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
                return -EINVAL;
        *place = is_yes;
        return 0;
}

/* Returns -EINVAL for a value that is not of the key's type. */
static int key_set(const struct Key *key, Settings *settings, const char *value) {
        void *place = key_place(key, settings);

        if (!*value)
                value = key->initial;
        if (!value) {
                key_done(key, settings);
                return 0;
        }
        switch (key->type) {
        case KEY_PATH:
                return path_valid(value) ? set_text(place, value) : -EINVAL;
        case KEY_PATHS:
                return set_paths(place, value);
        case KEY_NUMBER:
                return set_number(place, value);
        case KEY_SORT_KEY:
                return word_valid(value, "._-", SORT_KEY_MAX) ? set_text(place, value) : -EINVAL;
        case KEY_ENTRY_TOKEN:
                return word_valid(value, "._", ENTRY_TOKEN_MAX) ? set_text(place, value) : -EINVAL;
        case KEY_SWITCH:
                return set_switch(place, value);
        case KEY_BOOLEAN:
                return set_boolean(place, value);
        }
        return -EINVAL;
}

static const char *const expectations[] = {
        [KEY_PATH] = "an absolute path without '.' and '..' parts",
        [KEY_PATHS] = "absolute paths without '.' and '..' parts, separated by spaces",
        [KEY_NUMBER] = "a number from 0 to 1000000",
        [KEY_SORT_KEY] = "up to 64 characters out of A-Z a-z 0-9 . _ -",
        [KEY_ENTRY_TOKEN] = "up to 16 characters out of A-Z a-z 0-9 . _",
        [KEY_SWITCH] = "auto or no",
        [KEY_BOOLEAN] = "yes or no",
};

int config_init(Settings *ret) {
        _cleanup_(config_done) Settings settings = {};
        int r;

        for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
                r = key_set(&keys[i], &settings, "");
                if (r < 0)
                        return r;
        }
        *ret = TAKE_STRUCT(settings);
        return 0;
}

/* Where the parser is. */
typedef struct Position {
        const char *file;
        unsigned line;
        char section[32]; /* "" before the first, and in one that is not known */
        bool in_section;
} Position;

static const struct Key *key_find(const char *section, const char *name) {
        for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
                if (strcmp(keys[i].section, section) == 0 && (!name || strcmp(keys[i].name, name) == 0))
                        return &keys[i];
        return NULL;
}

/* Removes white space at both ends, in place. */
static char *strip(char *text) {
        size_t length;

        while (isspace((unsigned char)*text))
                text++;
        length = strlen(text);
        while (length > 0 && isspace((unsigned char)text[length - 1]))
                length--;
        text[length] = 0;
        return text;
}

/* A file that is something else altogether has a great many. */
static _printf_(3, 4) int warn(const Position *position, StringList *warnings, const char *format, ...) {
        _cleanup_(free_pointer) char *what = NULL;
        va_list arguments;
        int r;

        if (warnings->count > CONFIG_WARNINGS_MAX)
                return 0;
        va_start(arguments, format);
        r = vasprintf(&what, format, arguments);
        va_end(arguments);
        if (r < 0) {
                what = NULL;
                return -ENOMEM;
        }
        return string_list_add_format(warnings, "%s:%u: %s", position->file, position->line,
                                      warnings->count < CONFIG_WARNINGS_MAX ? what
                                                                            : "and so on, further ones are not shown");
}

static int parse_section(Position *position, char *line, StringList *warnings, Failure *failure) {
        size_t length = strlen(line);

        if (line[length - 1] != ']')
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "%s:%u: a section's name ends with ']'",
                                   position->file, position->line);
        line[length - 1] = 0;
        position->in_section = true;
        position->section[0] = 0;
        if (strlen(line + 1) >= sizeof(position->section) || !key_find(line + 1, NULL))
                return warn(position, warnings, "unknown section [%.64s], ignored", line + 1);
        strcpy(position->section, line + 1);
        return 0;
}

static int parse_assignment(Position *position, Settings *settings, char *line, StringList *warnings,
                            Failure *failure) {
        char *equals = strchr(line, '='), *name, *value;
        const struct Key *key;
        int r;

        if (!equals)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION,
                                   "%s:%u: neither a comment nor [Section] nor Key=value", position->file,
                                   position->line);
        *equals = 0;
        name = strip(line);
        value = strip(equals + 1);
        if (!position->in_section)
                return warn(position, warnings, "%.64s= stands before any section, ignored", name);
        if (!position->section[0])
                return 0;
        key = key_find(position->section, name);
        if (!key)
                return warn(position, warnings, "unknown key %.64s= in section [%s], ignored", name, position->section);
        r = key_set(key, settings, value);
        if (r == -EINVAL)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "%s:%u: %s=%.200s is not %s", position->file,
                                   position->line, name, value, expectations[key->type]);
        return r;
}

static int parse_line(Position *position, Settings *settings, char *line, StringList *warnings, Failure *failure) {
        line = strip(line);
        if (!*line || *line == '#' || *line == ';')
                return 0;
        if (*line == '[')
                return parse_section(position, line, warnings, failure);
        return parse_assignment(position, settings, line, warnings, failure);
}

/* Control characters, and what is no text, have no place in a value: they would reach the boot loader's files. */
static int check_line(const Position *position, Span line, Failure *failure) {
        size_t size = line.size > 0 && line.data[line.size - 1] == '\r' ? line.size - 1 : line.size;
        const uint8_t *control = span_find_control((Span){line.data, size}, /* tab_allowed= */ true);

        if (control)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "%s:%u: a control character (byte 0x%02x)",
                                   position->file, position->line, *control);
        if (utf8_check(line) < 0)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "%s:%u: the line is no UTF-8 text",
                                   position->file, position->line);
        return 0;
}

int config_parse(Settings *settings, Span text, const char *name, StringList *warnings, Failure *failure) {
        Position position = {.file = name};
        int r;

        while (text.size > 0) {
                _cleanup_(free_pointer) char *line = NULL;
                const uint8_t *end = memchr(text.data, '\n', text.size);
                size_t length = end ? (size_t)(end - text.data) : text.size;

                position.line++;
                r = check_line(&position, (Span){text.data, length}, failure);
                if (r < 0)
                        return r;
                line = strndup((const char *)text.data, length);
                if (!line)
                        return -ENOMEM;
                r = parse_line(&position, settings, line, warnings, failure);
                if (r < 0)
                        return r;
                length += end ? 1 : 0;
                text = (Span){text.data + length, text.size - length};
        }
        return 0;
}

static int parse_file(Settings *settings, int fd, const char *name, StringList *warnings, Failure *failure) {
        _cleanup_(buffer_done) Buffer text = {};
        int r = fd < 0 ? fd : file_read_fd(fd, CONFIG_SIZE_MAX, &text);

        if (r < 0)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "Cannot read %s: %s", name,
                                   file_error_text(r));
        return config_parse(settings, buffer_span(&text), name, warnings, failure);
}

static bool is_configuration(const char *name) {
        size_t length = strlen(name), suffix = strlen(".conf");

        return length > suffix && name[0] != '.' && strcmp(name + length - suffix, ".conf") == 0;
}

/* Whether there is nothing under the name: a link that leads nowhere is something, and meant. */
static bool is_absent(int root, const char *path) {
        _cleanup_(close_fd) int fd = root_open(root, path, O_PATH | O_NOFOLLOW);

        return fd == -ENOENT;
}

static int load_folder(int root, Settings *settings, StringList *warnings, Failure *failure) {
        _cleanup_(close_fd) int folder = root_open(root, CONFIG_FOLDER, O_RDONLY | O_DIRECTORY);
        _cleanup_(string_list_done) StringList names = {};
        int r;

        if (folder == -ENOENT && is_absent(root, CONFIG_FOLDER))
                return 0;
        r = folder < 0 ? folder : folder_list(folder, ".", CONFIG_FILES_MAX, &names);
        if (r == -E2BIG)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, CONFIG_FOLDER " holds more than %i names",
                                   CONFIG_FILES_MAX);
        if (r < 0)
                return failure_set(failure, CONDITION_BAD_CONFIGURATION, "Cannot read " CONFIG_FOLDER ": %s",
                                   strerror(-r));
        for (size_t i = 0; i < names.count; i++) {
                _cleanup_(free_pointer) char *path = path_join(CONFIG_FOLDER, names.items[i]);
                _cleanup_(close_fd) int fd = -EBADF;

                if (!path)
                        return -ENOMEM;
                if (!is_configuration(names.items[i]))
                        continue;
                /* In the system's root: configuration management puts symlinks here. */
                fd = root_open(root, path, O_RDONLY);
                r = parse_file(settings, fd, path, warnings, failure);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_system(int root, Settings *settings, StringList *warnings, Failure *failure) {
        _cleanup_(close_fd) int fd = root_open(root, CONFIG_FILE, O_RDONLY);
        int r;

        if (fd != -ENOENT || !is_absent(root, CONFIG_FILE)) {
                r = parse_file(settings, fd, CONFIG_FILE, warnings, failure);
                if (r < 0)
                        return r;
        }
        return load_folder(root, settings, warnings, failure);
}

static int load_alone(int root, const char *file, Settings *settings, StringList *warnings, Failure *failure) {
        _cleanup_(close_fd) int fd =
                file[0] == '/' ? root_open(root, file, O_RDONLY) : file_open(AT_FDCWD, file, O_RDONLY, 0);

        return parse_file(settings, fd, file, warnings, failure);
}

int config_load_text(Span text, const char *name, Settings *ret, StringList *warnings, Failure *failure) {
        _cleanup_(config_done) Settings settings = {};
        int r;

        r = config_init(&settings);
        if (r >= 0)
                r = config_parse(&settings, text, name, warnings, failure);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(settings);
        return 0;
}

int config_load(const char *root, const char *file, Settings *ret, StringList *warnings, Failure *failure) {
        _cleanup_(close_fd) int root_fd = file_open(AT_FDCWD, root ? root : "/", O_PATH | O_DIRECTORY, 0);
        _cleanup_(config_done) Settings settings = {};
        int r;

        if (root_fd < 0)
                return failure_set_errno(failure, root_fd, "Cannot open the root folder %s", root);
        r = config_init(&settings);
        if (r >= 0)
                r = file ? load_alone(root_fd, file, &settings, warnings, failure)
                         : load_system(root_fd, &settings, warnings, failure);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(settings);
        return 0;
}
