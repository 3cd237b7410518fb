/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/stat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/crypto/digest.h"
#include "daemon/esp/esp-names.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/ops/context.h"
#include "daemon/ops/partitions.h"
#include "daemon/ops/system.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"
#include "daemon/util/root.h"

enum { FOLDER_NAMES_MAX = 65536, TEXT_MAX = 4096 + 256 };

#define LOADER_FOLDER "loader"
#define LOADER_CONF "loader.conf"
#define PROFILES_FOLDER "system-profiles"

static const char *const area_names[WATCH_AREAS] = {
        [WATCH_KEYS] = "keys",
        [WATCH_FIRMWARE] = "firmware",
        [WATCH_ESP] = "esp",
        [WATCH_GENERATIONS] = "generations",
};

static const Field place_fields[] = {
        FIELD(WatchPlace, area, FIELD_UNSIGNED, "area"),
        FIELD(WatchPlace, folder, FIELD_STRING, "folder"),
        FIELD(WatchPlace, name, FIELD_STRING, "name"),
        FIELD(WatchPlace, id, FIELD_STRING, "id"),
};
const Record watch_place_record = RECORD(WatchPlace, place_fields);

const char *watch_area_name(WatchArea area) {
        return area_names[area];
}

void watch_done(Watch *watch) {
        record_list_done(&watch->places, &watch_place_record);
        for (WatchArea area = 0; area < WATCH_AREAS; area++)
                free(watch->marks[area]);
        *watch = (Watch){};
}

/* A root folder, and the path from here to it. */
typedef struct Base {
        int root;
        const char *prefix;
} Base;

typedef struct Reading {
        const Context *context;
        Watch *watch;
        WatchArea area;
        Digest *digest;
        int machine_fd; /* of "/" */
} Reading;

/* PATH is as it is seen from here; *ret_rest is what of it is below the base. */
static Base base_of(const Reading *reading, const char *path, const char **ret_rest) {
        const char *tree = reading->context->root;
        size_t length = strlen(tree);

        if (strncmp(path, tree, length) == 0 && path[length] == '/') {
                *ret_rest = path + length;
                return (Base){reading->context->root_fd, tree};
        }
        *ret_rest = path;
        return (Base){reading->machine_fd, ""};
}

static _printf_(2, 3) int mark(const Reading *reading, const char *format, ...) {
        char text[TEXT_MAX];
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (length < 0 || (size_t)length >= sizeof(text))
                length = sizeof(text) - 1;
        return digest_update(reading->digest, (Span){(const uint8_t *)text, length + 1});
}

static int mark_stat(const Reading *reading, const char *name, const struct stat *st) {
        return mark(reading, "%s %o %ju %ju %jd %jd.%09ld %jd.%09ld", name, (unsigned)st->st_mode,
                    (uintmax_t)st->st_dev, (uintmax_t)st->st_ino, (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec,
                    st->st_mtim.tv_nsec, (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

/* A file that a link leads to is what counts. */
static int mark_file(const Reading *reading, const char *path) {
        const char *rest;
        Base base = base_of(reading, path, &rest);
        _cleanup_(close_fd) int fd = root_open(base.root, rest, O_PATH);
        struct stat st;

        if (fd < 0)
                return mark(reading, "%s %d", path, fd);
        return fstat(fd, &st) < 0 ? -errno : mark_stat(reading, path, &st);
}

/* Every name in the folder, and where the links among them lead. */
static int mark_folder(const Reading *reading, int dir, const char *path) {
        _cleanup_(string_list_done) StringList names = {};
        _cleanup_(close_fd) int folder = -EBADF;
        int r;

        r = folder_list(dir, path, FOLDER_NAMES_MAX, &names);
        if (r < 0)
                return r == -ENOMEM ? r : mark(reading, "%s %d", path, r);
        folder = file_open(dir, path, O_RDONLY | O_DIRECTORY, 0);
        r = mark(reading, "%s", path);
        for (size_t i = 0; r >= 0 && i < names.count; i++) {
                char target[4096] = "";
                struct stat st;

                if (fstatat(folder, names.items[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (S_ISLNK(st.st_mode) && readlinkat(folder, names.items[i], target, sizeof(target) - 1) < 0)
                        target[0] = 0;
                r = mark_stat(reading, names.items[i], &st);
                if (r >= 0 && *target)
                        r = mark(reading, "%s", target);
        }
        return r;
}

static char *folder_id(int fd) {
        struct statx sx;
        char *id;

        if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &sx) < 0)
                return strdup("");
        return asprintf(&id, "%u:%u:%" PRIu64 ":%" PRIu64, sx.stx_dev_major, sx.stx_dev_minor, (uint64_t)sx.stx_ino,
                        (uint64_t)sx.stx_mnt_id) < 0
                       ? NULL
                       : id;
}

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_watched(const Reading *reading, const char *folder, const char *name) {
        const WatchPlace *places = reading->watch->places.items;

        for (size_t i = 0; i < reading->watch->places.count; i++)
                if (places[i].area == reading->area && strcmp(places[i].folder, folder) == 0 &&
                    same_text(places[i].name, name))
                        return true;
        return false;
}

/* FOLDER, below the base: -ENOENT and the like if there is none. */
static int add_place(const Reading *reading, const Base *base, const char *folder, const char *name) {
        _cleanup_(close_fd) int fd = root_open(base->root, folder, O_PATH | O_DIRECTORY);
        _cleanup_(free_pointer) char *real = NULL, *seen = NULL;
        WatchPlace *place;
        int r;

        if (fd < 0)
                return fd;
        r = root_path_of(base->root, fd, &real);
        if (r < 0)
                return r;
        if (asprintf(&seen, "%s%s", base->prefix, real) < 0) {
                seen = NULL;
                return -ENOMEM;
        }
        if (is_watched(reading, seen, name))
                return 0;
        place = record_list_add(&reading->watch->places, &watch_place_record);
        if (!place)
                return -ENOMEM;
        place->area = reading->area;
        place->name = name ? strdup(name) : NULL;
        place->id = folder_id(fd);
        place->folder = TAKE_POINTER(seen);
        return place->id && (place->name || !name) ? 0 : -ENOMEM;
}

/* Each folder on the way to PATH, for the next name on it, as far as there are any. */
static int watch_way(const Reading *reading, const char *path) {
        const char *rest;
        Base base = base_of(reading, path, &rest);
        _cleanup_(free_pointer) char *copy = strdup(rest);
        int r = 0;

        if (!copy)
                return -ENOMEM;
        for (char *slash = strchr(copy, '/'); r >= 0 && slash; slash = strchr(slash + 1, '/')) {
                _cleanup_(free_pointer) char *name = strndup(slash + 1, strcspn(slash + 1, "/"));

                if (!name)
                        return -ENOMEM;
                *slash = 0;
                if (*name)
                        r = add_place(reading, &base, slash == copy ? "/" : copy, name);
                *slash = '/';
        }
        return r == -ENOMEM ? r : 0;
}

static int watch_folder(const Reading *reading, const char *path) {
        const char *rest;
        Base base = base_of(reading, path, &rest);
        int r;

        r = watch_way(reading, path);
        if (r >= 0)
                r = add_place(reading, &base, rest, /* name= */ NULL);
        return r == -ENOMEM ? r : 0;
}

static int read_keys(const Reading *reading) {
        _cleanup_(string_list_done) StringList files = {};
        int r;

        r = key_store_files(reading->context->keys, &files);
        for (size_t i = 0; r >= 0 && i < files.count; i++) {
                r = watch_way(reading, files.items[i]);
                if (r >= 0)
                        r = mark_file(reading, files.items[i]);
        }
        return r;
}

static int mark_variable(const Reading *reading, const Guid *vendor, const char *name) {
        _cleanup_(buffer_done) Buffer data = {};
        int r;

        r = variables_read(reading->context->variables, vendor, name, /* ret_attributes= */ NULL, &data);
        if (r == -ENOMEM)
                return r;
        r = mark(reading, "%s %d %zu", name, r, data.size);
        return r < 0 ? r : digest_update(reading->digest, buffer_span(&data));
}

static int mark_loader_variable(const Reading *reading, const char *name) {
        _cleanup_(free_pointer) char *text = NULL;
        int r = system_loader_variable(reading->context, name, &text);

        return r < 0 ? r : mark(reading, "%s %s", name, text ?: "");
}

static int read_firmware(const Reading *reading) {
        static const char *const modes[] = {"SetupMode", "SecureBoot", "AuditMode", "DeployedMode"};
        static const char *const loader[] = {"LoaderEntrySelected", "LoaderEntryDefault", "LoaderEntryPreferred",
                                             "LoaderEntryOneShot"};
        Variables *variables = reading->context->variables;
        const char *path = variables ? variables_path(variables) : NULL;
        int r = 0;

        if (!variables)
                return mark(reading, "none");
        for (SecureVariable variable = 0; r >= 0 && variable < SECURE_VARIABLE_COUNT; variable++)
                r = mark_variable(reading, secure_variable_vendor(variable), secure_variable_name(variable));
        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(modes); i++)
                r = mark_variable(reading, &efi_global_variable_guid, modes[i]);
        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(loader); i++)
                r = mark_loader_variable(reading, loader[i]);
        /* A folder for efivarfs, a file for what stands for it. */
        if (r >= 0 && path)
                r = watch_folder(reading, path);
        return r;
}

static int mark_esp(const Reading *reading, const EspVolume *volume) {
        static const char *const folders[] = {ESP_IMAGE_FOLDER, ESP_CONTENT_FOLDER, "EFI/systemd", "EFI/BOOT"};
        struct stat st;
        int r;

        r = mark(reading, "%s %s %d %d", volume->path, volume->partition_uuid, volume->read_only,
                 volume->world_readable);
        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(folders); i++)
                r = mark_folder(reading, volume->fd, folders[i]);
        if (r >= 0 && fstatat(volume->fd, LOADER_FOLDER "/" LOADER_CONF, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                r = mark_stat(reading, LOADER_CONF, &st);
        return r;
}

static int watch_esp(const Reading *reading, const char *mount) {
        static const char *const folders[] = {ESP_IMAGE_FOLDER, ESP_CONTENT_FOLDER, "EFI/systemd", "EFI/BOOT"};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(folders); i++) {
                _cleanup_(free_pointer) char *path = path_join(mount, folders[i]);

                r = path ? watch_folder(reading, path) : -ENOMEM;
        }
        if (r >= 0) {
                _cleanup_(free_pointer) char *path = path_join(mount, LOADER_FOLDER "/" LOADER_CONF);

                r = path ? watch_way(reading, path) : -ENOMEM;
        }
        return r;
}

static int read_partition(const Reading *reading, const Partition *partition) {
        _cleanup_(free_pointer) char *mount = NULL;
        int r;

        if (partition->error < 0)
                return mark(reading, "%s none", partition->path ?: "");
        r = mark_esp(reading, &partition->volume);
        if (r < 0)
                return r;
        mount = context_path(reading->context, partition->volume.path);
        return mount ? watch_esp(reading, mount) : -ENOMEM;
}

/* Mounts come and go without a word of inotify(7): whoever watches looks at /proc/self/mountinfo besides. */
static int read_esp(const Reading *reading) {
        _cleanup_(partitions_done) PartitionList partitions = {};
        int r;

        r = partitions_open(reading->context, &partitions, /* failure= */ NULL);
        if (r < 0)
                return r == -ENOMEM ? r : mark(reading, "none");
        for (size_t i = 0; r >= 0 && i < partitions.count; i++)
                r = read_partition(reading, &partitions.items[i]);
        return r;
}

static int read_profiles(const Reading *reading, const char *profiles) {
        _cleanup_(free_pointer) char *path = context_path(reading->context, profiles);
        _cleanup_(free_pointer) char *others = path ? path_join(path, PROFILES_FOLDER) : NULL;
        _cleanup_(close_fd) int fd = root_open(reading->context->root_fd, profiles, O_RDONLY | O_DIRECTORY);
        int r;

        if (!others)
                return -ENOMEM;
        r = watch_folder(reading, path);
        if (r >= 0)
                r = watch_folder(reading, others);
        if (r >= 0 && fd < 0)
                r = mark(reading, "%s %d", profiles, fd);
        if (r < 0 || fd < 0)
                return r;
        r = mark_folder(reading, fd, ".");
        return r < 0 ? r : mark_folder(reading, fd, PROFILES_FOLDER);
}

static int read_generations(const Reading *reading) {
        const StringList *folders = &reading->context->settings->profiles;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < folders->count; i++)
                r = read_profiles(reading, folders->items[i]);
        return r;
}

static int read_area(Reading *reading) {
        static int (*const readers[WATCH_AREAS])(const Reading *reading) = {
                [WATCH_KEYS] = read_keys,
                [WATCH_FIRMWARE] = read_firmware,
                [WATCH_ESP] = read_esp,
                [WATCH_GENERATIONS] = read_generations,
        };
        _cleanup_(digest_freep) Digest *digest = NULL;
        uint8_t bytes[DIGEST_SIZE_MAX];
        int r;

        r = digest_new(DIGEST_SHA256, &digest);
        if (r < 0)
                return r;
        reading->digest = digest;
        r = readers[reading->area](reading);
        if (r >= 0)
                r = digest_final(digest, bytes);
        if (r < 0)
                return r;
        reading->watch->marks[reading->area] = hex_encode((Span){bytes, SHA256_SIZE});
        return reading->watch->marks[reading->area] ? 0 : -ENOMEM;
}

int watch_read(const Context *context, Watch *ret) {
        _cleanup_(close_fd) int machine = file_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);
        _cleanup_(watch_done) Watch watch = {};
        Reading reading = {.context = context, .watch = &watch, .machine_fd = machine};
        int r = machine < 0 ? machine : 0;

        for (; r >= 0 && reading.area < WATCH_AREAS; reading.area++)
                r = read_area(&reading);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(watch);
        return 0;
}
