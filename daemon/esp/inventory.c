/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/esp/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/esp/esp-names.h"
#include "daemon/esp/loader-entry.h"
#include "daemon/esp/loader-version.h"
#include "daemon/esp/neighbour-names.h"
#include "daemon/esp/twins.h"
#include "daemon/util/file.h"

enum {
        FOLDER_ENTRIES_MAX = 1 << 20, /* a FAT folder holds at most 2 MiB of 32-byte entries */
        LOADER_BYTES_MAX = 16 * 1024 * 1024,
        LOADER_CONF_BYTES_MAX = 256 * 1024,
};

void image_facts_done(ImageFacts *facts) {
        string_list_done(&facts->references);
        free(facts->toplevel);
        *facts = (ImageFacts){};
}

static void esp_image_done(EspImage *image) {
        free(image->name);
        image_facts_done(&image->facts);
        string_list_done(&image->paths);
}

void inventory_done(Inventory *inventory) {
        for (size_t i = 0; i < inventory->image_count; i++)
                esp_image_done(&inventory->images[i]);
        free(inventory->images);
        for (size_t i = 0; i < inventory->content_count; i++)
                free(inventory->contents[i].name);
        free(inventory->contents);
        for (size_t i = 0; i < inventory->entry_count; i++) {
                free(inventory->entries[i].name);
                free(inventory->entries[i].profile);
                loader_entry_owner_done(&inventory->entries[i].owner);
                string_list_done(&inventory->entries[i].paths);
        }
        free(inventory->entries);
        for (size_t i = 0; i < inventory->leftover_count; i++) {
                free(inventory->leftovers[i].path);
                free(inventory->leftovers[i].twin);
        }
        free(inventory->leftovers);
        for (size_t i = 0; i < LOADER_PLACES; i++) {
                free(inventory->loaders[i].path);
                free(inventory->loaders[i].version);
        }
        buffer_done(&inventory->loader_conf);
        *inventory = (Inventory){};
}

typedef struct Reading Reading;
typedef int AddName(Reading *reading, const char *name, const struct stat *st);

struct Reading {
        const InventoryParameters *parameters;
        Inventory *inventory;
        const char *path; /* of the folder that is being read */
        int folder;
};

/* Calls the reader on the file open as FD. What it left behind on failure is dropped. */
static int read_facts(const InventoryParameters *parameters, int fd, ImageFacts *ret) {
        ImageFacts facts = {};
        int r = parameters->read_image(parameters->userdata, fd, &facts);

        if (r < 0) {
                image_facts_done(&facts);
                return r;
        }
        *ret = facts;
        return 0;
}

/* An image whose references can't be understood might refer to anything. */
static int parse_references(EspImage *image) {
        int r;

        for (size_t i = 0; i < image->facts.references.count; i++) {
                _cleanup_(free_pointer) char *path = NULL;

                r = esp_path_parse(span_from_string(image->facts.references.items[i]), &path);
                if (r < 0)
                        return r;
                r = string_list_add(&image->paths, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Returns why the image can't be read, or 0. */
static int read_image(const Reading *reading, EspImage *image) {
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        fd = file_open(reading->folder, image->name, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return fd;
        if (image->size == 0)
                return -ENOEXEC;
        r = read_facts(reading->parameters, fd, &image->facts);
        if (r < 0)
                return r;
        r = parse_references(image);
        if (r < 0) {
                image_facts_done(&image->facts);
                string_list_done(&image->paths);
        }
        return r;
}

static int add_leftover(const Reading *reading, const char *name, uint64_t size) {
        Inventory *inventory = reading->inventory;
        EspLeftover *leftovers =
                reallocarray(inventory->leftovers, inventory->leftover_count + 1, sizeof(inventory->leftovers[0]));
        char *path;

        if (!leftovers)
                return -ENOMEM;
        inventory->leftovers = leftovers;
        path = path_join(reading->path, name);
        if (!path)
                return -ENOMEM;
        leftovers[inventory->leftover_count++] = (EspLeftover){.path = path, .size = size};
        return 0;
}

static bool ends_with(const char *name, const char *end) {
        size_t length = strlen(name), end_length = strlen(end);

        return length > end_length && fat_name_equal(name + length - end_length, end);
}

/* The inventory's arrays have room for every name of their folder (see read_folder()). */
static int add_image(Reading *reading, const char *name, const struct stat *st) {
        EspImage *image = &reading->inventory->images[reading->inventory->image_count];
        const char *token = reading->parameters->token ?: ESP_TOKEN_DEFAULT;
        ImageName parsed;
        uint64_t generation;

        if (!ends_with(name, ".efi"))
                return 0;
        *image = (EspImage){
                .name = strdup(name),
                .size = S_ISREG(st->st_mode) ? st->st_size : 0,
                .regular = S_ISREG(st->st_mode),
                .our_form = image_name_parse(name, reading->parameters->token, &parsed) >= 0,
        };
        if (!image->name)
                return -ENOMEM;
        image->old_form =
                !image->our_form && strcmp(token, ESP_TOKEN_DEFAULT) == 0 && lanzaboote_image_parse(name, &generation);
        image->error = image->regular ? read_image(reading, image) : -ENOEXEC;
        if (image->error == -ENOENT || image->error == -ENOMEM) {
                free(image->name);
                return image->error;
        }
        reading->inventory->image_count++;
        return 0;
}

static int add_content(Reading *reading, const char *name, const struct stat *st) {
        EspContent *content = &reading->inventory->contents[reading->inventory->content_count];
        ContentName parsed;

        *content = (EspContent){
                .name = strdup(name),
                .size = S_ISREG(st->st_mode) ? st->st_size : 0,
                .regular = S_ISREG(st->st_mode),
                .exact_form = content_name_parse(name, &parsed) >= 0 || lanzaboote_content_valid(name),
                .store_form = store_content_valid(name),
        };
        if (!content->name)
                return -ENOMEM;
        reading->inventory->content_count++;
        return 0;
}

static int ignore_name(Reading *reading, const char *name, const struct stat *st) {
        return 0;
}

/* -ENOENT: it is gone since it was listed. */
static int read_name(Reading *reading, const char *name, AddName *add) {
        struct stat st;

        if (fstatat(reading->folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT)
                        return -ENOENT;
                st = (struct stat){.st_mode = S_IFREG}; /* opening it will fail too, and then says why */
        }
        return S_ISREG(st.st_mode) && temporary_name_valid(name) ? add_leftover(reading, name, st.st_size)
                                                                 : add(reading, name, &st);
}

/* The name in FOLDER of the entry that was called NAME, whatever its boot counter. Owned; NULL if it is gone. */
static int find_entry(int folder, const char *path, const char *name, char **ret) {
        _cleanup_(string_list_done) StringList names = {};
        int r;

        *ret = NULL;
        r = folder_list(folder, path, FOLDER_ENTRIES_MAX, &names);
        for (size_t i = 0; r >= 0 && i < names.count; i++)
                if (entry_name_equal(names.items[i], name)) {
                        *ret = strdup(names.items[i]);
                        return *ret ? 0 : -ENOMEM;
                }
        return r;
}

/* An image that is gone since it was listed may just have been confirmed good. */
static int follow_image(Reading *reading, const StringList *names, const char *name) {
        _cleanup_(free_pointer) char *now = NULL;
        int r;

        r = find_entry(reading->folder, ".", name, &now);
        if (r < 0 || !now || string_list_contains(names, now))
                return r;
        return read_name(reading, now, add_image);
}

/* Hands each name of a folder to ADD, but for left-over temporary files, which are kept apart. */
static int read_names(Reading *reading, const StringList *names, AddName *add) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < names->count; i++) {
                r = read_name(reading, names->items[i], add);
                if (r == -ENOENT && add == add_image)
                        r = follow_image(reading, names, names->items[i]);
                if (r == -ENOENT)
                        r = 0;
        }
        return r;
}

/* Whether one of PATH's parts is a symbolic link, such as no FAT has. */
static bool has_link(int root, const char *path) {
        char part[64];
        struct stat st;

        for (const char *end = path + strcspn(path, "/");; end += 1 + strcspn(end + 1, "/")) {
                snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
                if (fstatat(root, part, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISLNK(st.st_mode))
                        return true;
                if (!*end)
                        return false;
        }
}

/* Lists a folder and opens it; both are empty and -EBADF if it is missing. */
static int open_folder(int root, const char *path, StringList *ret_names, int *ret_fd, Failure *failure) {
        int r;

        r = folder_list(root, path, FOLDER_ENTRIES_MAX, ret_names);
        if (r == -ENOENT && !has_link(root, path))
                return 0;
        if (r >= 0)
                r = file_open(root, path, O_RDONLY | O_DIRECTORY, 0);
        if (r == -ENOTDIR || r == -ELOOP || r == -ENOENT || r == -EXDEV) {
                failure_set_errno(failure, r, "%s on the EFI system partition is no folder", path);
                failure_set_hint(failure, "Look at what stands there, and move it away.");
                return r;
        }
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot list the folder %s of the EFI system partition", path);
        *ret_fd = r;
        return 0;
}

static int read_folder(int root, const char *path, const InventoryParameters *parameters, Inventory *inventory,
                       AddName *add, Failure *failure) {
        _cleanup_(string_list_done) StringList names = {};
        _cleanup_(close_fd) int folder = -EBADF;
        Reading reading = {parameters, inventory, path};
        int r;

        r = open_folder(root, path, &names, &folder, failure);
        if (r < 0)
                return r;
        reading.folder = folder;

        if (add == add_image)
                inventory->images = calloc(names.count + 1, sizeof(inventory->images[0]));
        if (add == add_content)
                inventory->contents = calloc(names.count + 1, sizeof(inventory->contents[0]));
        if ((add == add_image && !inventory->images) || (add == add_content && !inventory->contents))
                return -ENOMEM;

        size_t first_leftover = inventory->leftover_count;
        r = read_names(&reading, &names, add);
        if (r >= 0)
                r = twins_find(folder, path, &names, inventory->leftovers + first_leftover,
                               inventory->leftover_count - first_leftover);
        if (r < 0)
                return failure_set_errno(failure, r, "Cannot read the folder %s of the EFI system partition", path);
        return 0;
}

/* Whether the builder wrote it, and for which generation. */
static int read_builders(EspEntry *entry, Span text) {
        BuilderEntryName parsed;
        Sha256 hash;
        int r;

        if (!builder_entry_parse(entry->name, &parsed))
                return 0;
        r = parsed.generation > 0 ? 0 : sha256_of(text, &hash);
        if (r < 0 || (parsed.generation == 0 && !sha256_equal(&hash, &parsed.hash)))
                return r;
        entry->builders = true;
        entry->generation = parsed.generation;
        entry->profile = strndup((const char *)parsed.profile.data ?: "", parsed.profile.size);
        return entry->profile ? loader_entry_owner_parse(text, &entry->owner) : -ENOMEM;
}

static int read_entry(int folder, const char *name, uint64_t size, EspEntry *entry) {
        _cleanup_(buffer_done) Buffer text = {};
        _cleanup_(close_fd) int fd = -EBADF;
        int r;

        entry->name = strdup(name);
        entry->size = size;
        if (!entry->name)
                return -ENOMEM;
        fd = file_open(folder, name, O_RDONLY | O_NOFOLLOW, 0);
        r = fd < 0 ? fd : file_read_fd(fd, LOADER_ENTRY_MAX_BYTES, &text);
        if (r >= 0)
                r = loader_entry_parse(buffer_span(&text), &entry->paths);
        if (r >= 0)
                r = read_builders(entry, buffer_span(&text));
        entry->error = r;
        return r == -ENOMEM ? r : 0;
}

/* Where a file stands in the folder's place the boot loader finds no entries either. */
static int read_entries(int root, Inventory *inventory, Failure *failure) {
        _cleanup_(string_list_done) StringList names = {};
        _cleanup_(close_fd) int folder = -EBADF;
        struct stat st;
        int r;

        if (fstatat(root, LOADER_ENTRY_FOLDER, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
                        return 0;
                /* What entries name must not look as if nobody needed it. */
                return failure_set_errno(failure, -errno, "Cannot look at the folder %s of the EFI system partition",
                                         LOADER_ENTRY_FOLDER);
        }
        if (!S_ISDIR(st.st_mode))
                return 0;
        r = open_folder(root, LOADER_ENTRY_FOLDER, &names, &folder, failure);
        if (r < 0)
                return r;
        inventory->entries = calloc(names.count + 1, sizeof(inventory->entries[0]));
        if (!inventory->entries)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < names.count; i++) {
                if (!ends_with(names.items[i], ".conf"))
                        continue;
                if (fstatat(folder, names.items[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno == ENOENT)
                                continue;                       /* gone since it was listed */
                        st = (struct stat){.st_mode = S_IFREG}; /* opening it will fail too, and then says why */
                }
                if (!S_ISREG(st.st_mode))
                        continue;
                r = read_entry(folder, names.items[i], st.st_size, &inventory->entries[inventory->entry_count++]);
        }
        return r;
}

/* LoaderPlace's path. Owned. */
static char *loader_path(LoaderPlace place, const char *architecture) {
        char *path;

        if (asprintf(&path, place == LOADER_SYSTEMD ? "EFI/systemd/systemd-boot%s.efi" : "EFI/BOOT/BOOT%s.EFI",
                     architecture) < 0)
                return NULL;
        if (place == LOADER_FALLBACK)
                for (char *c = path; *c; c++)
                        if (*c >= 'a' && *c <= 'z')
                                *c -= 'a' - 'A';
        return path;
}

/* Returns why the loader can't be read, or is no sound image; 0 if it is one. */
static int read_loader_file(int root, const InventoryParameters *parameters, EspLoader *loader) {
        _cleanup_(close_fd) int fd = file_open(root, loader->path, O_RDONLY | O_NOFOLLOW, 0);
        _cleanup_(buffer_done) Buffer binary = {};
        _cleanup_(image_facts_done) ImageFacts facts = {};
        int r;

        if (fd < 0)
                return fd;
        r = file_read_fd(fd, LOADER_BYTES_MAX, &binary);
        if (r < 0)
                return r;
        r = loader_version_find(buffer_span(&binary), &loader->version);
        if (r < 0 && r != -ENOENT)
                return r;
        r = read_facts(parameters, fd, &facts);
        if (r < 0)
                return r;
        loader->signed_by_us = facts.signed_by_us;
        loader->signed_by_current = facts.signed_by_current;
        return 0;
}

static int read_loader(int root, LoaderPlace place, const InventoryParameters *parameters, EspLoader *loader) {
        struct stat st;

        loader->path = loader_path(place, parameters->architecture);
        if (!loader->path)
                return -ENOMEM;
        if (fstatat(root, loader->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        loader->exists = true;
        loader->regular = S_ISREG(st.st_mode);
        loader->size = loader->regular ? st.st_size : 0;
        if (loader->regular)
                loader->error = read_loader_file(root, parameters, loader);
        return loader->error == -ENOMEM ? -ENOMEM : 0;
}

static int read_loader_conf(int root, Inventory *inventory) {
        struct stat st;
        int r;

        if (fstatat(root, "loader/loader.conf", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        inventory->loader_conf_blocked = !S_ISREG(st.st_mode);
        if (inventory->loader_conf_blocked)
                return 0;
        r = file_read(root, "loader/loader.conf", LOADER_CONF_BYTES_MAX, &inventory->loader_conf);
        inventory->has_loader_conf = r >= 0;
        return r == -ENOMEM ? r : 0;
}

int inventory_read(int fd, const InventoryParameters *parameters, Inventory *ret, Failure *failure) {
        static const struct {
                const char *path;
                AddName *add;
        } folders[] = {
                {ESP_IMAGE_FOLDER, add_image}, {ESP_CONTENT_FOLDER, add_content}, {"EFI/systemd", ignore_name},
                {"EFI/BOOT", ignore_name},     {"loader", ignore_name},
        };
        _cleanup_(inventory_done) Inventory inventory = {};
        int r;

        for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
                r = read_folder(fd, folders[i].path, parameters, &inventory, folders[i].add, failure);
                if (r < 0)
                        return r;
        }
        r = read_entries(fd, &inventory, failure);
        if (r < 0)
                return r;
        for (LoaderPlace place = 0; place < LOADER_PLACES; place++) {
                r = read_loader(fd, place, parameters, &inventory.loaders[place]);
                if (r < 0)
                        return r;
        }
        r = read_loader_conf(fd, &inventory);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(inventory);
        return 0;
}

int entry_file_read(int fd, const char *path, size_t maximum, Buffer *ret) {
        const char *slash = strrchr(path, '/');
        _cleanup_(free_pointer) char *folder = strndup(path, slash ? slash - path : 0), *name = NULL, *now = NULL;
        int r;

        if (!folder)
                return -ENOMEM;
        r = file_read(fd, path, maximum, ret);
        if (r != -ENOENT || !slash || find_entry(fd, folder, slash + 1, &name) < 0 || !name)
                return r;
        now = path_join(folder, name);
        return now ? file_read(fd, now, maximum, ret) : -ENOMEM;
}
