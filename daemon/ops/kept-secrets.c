/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/kept-secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/esp/esp-names.h"
#include "daemon/ops/image-build.h"
#include "daemon/ops/image-facts.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/command-line.h"
#include "daemon/util/encode.h"
#include "daemon/util/file.h"
#include "stubs/stub-abi.h"

enum { KERNEL, INITRD, SECRETS, REFERENCES };

/* An image as its bytes say, after they were found good. */
typedef struct Witness {
        Buffer binary;
        StringList paths; /* below the volume's root */
        char *toplevel;
        Sha256 secrets;
} Witness;

static void witness_done(Witness *witness) {
        buffer_done(&witness->binary);
        string_list_done(&witness->paths);
        free(witness->toplevel);
}

static int section(const PeImage *image, const char *name, Span *ret) {
        int r = pe_image_section(image, name, ret);

        if (r == -ENOENT)
                *ret = (Span){};
        return r == -ENOENT ? 0 : r;
}

static int add_paths(StringList *paths, const StringList *references) {
        for (size_t i = 0; i < references->count; i++) {
                _cleanup_(free_pointer) char *path = NULL;
                int r = esp_path_parse(span_from_string(references->items[i]), &path);

                if (r >= 0)
                        r = string_list_add(paths, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_sections(Witness *witness) {
        _cleanup_(string_list_done) StringList references = {};
        Span kernel, initrd, command_line, hashes;
        PeImage image;
        int r;

        r = pe_image_parse(buffer_span(&witness->binary), &image);
        if (r >= 0)
                r = section(&image, LANZA_SECTION_KERNEL, &kernel);
        if (r >= 0)
                r = section(&image, LANZA_SECTION_INITRD, &initrd);
        if (r >= 0)
                r = section(&image, LANZA_SECTION_INITRD_HASH, &hashes);
        if (r >= 0)
                r = section(&image, LANZA_SECTION_CMDLINE, &command_line);
        if (r >= 0)
                r = image_references_parse(kernel, initrd, &references);
        if (r >= 0)
                r = add_paths(&witness->paths, &references);
        if (r >= 0)
                r = command_line_toplevel(command_line, &witness->toplevel);
        if (r < 0)
                return r;
        if (witness->paths.count != REFERENCES || hashes.size != (REFERENCES - 1) * SHA256_SIZE || !witness->toplevel)
                return -ENOENT;
        memcpy(witness->secrets.bytes, hashes.data + SHA256_SIZE, SHA256_SIZE);
        return 0;
}

/* Reads the whole image once: what is judged is what is used. */
static int witness_read(Witness *witness, const KeptSecretsSearch *search, const EspVolume *volume, const char *name) {
        _cleanup_(free_pointer) char *path = path_join(ESP_IMAGE_FOLDER, name);
        int r;

        if (!path)
                return -ENOMEM;
        r = entry_file_read(volume->fd, path, BINARY_MAX_BYTES, &witness->binary);
        if (r >= 0 && search->certificate)
                r = authenticode_verify(buffer_span(&witness->binary), search->certificate);
        return r < 0 ? r : read_sections(witness);
}

static bool is_content(const char *path, const char *name) {
        static const char folder[] = ESP_CONTENT_FOLDER "/";

        return strncmp(path, folder, strlen(folder)) == 0 && fat_name_equal(path + strlen(folder), name);
}

/* The size of the file on the ESP that is called after HASH at PATH; 0 if there is none. */
static int find_file(const Inventory *inventory, const char *path, const Sha256 *hash, const char **ret_name,
                     uint64_t *ret_size) {
        _cleanup_(free_pointer) char *text = base32_encode((Span){hash->bytes, SHA256_SIZE});
        ContentName name;

        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < inventory->content_count; i++) {
                const EspContent *content = &inventory->contents[i];

                if (!is_content(path, content->name) || !content->regular || content->size == 0 ||
                    content_name_parse(content->name, &name) < 0 || name.kind != CONTENT_INITRD ||
                    !span_equal(name.hash, span_from_string(text)))
                        continue;
                *ret_name = content->name;
                *ret_size = content->size;
                return 0;
        }
        return -ENOENT;
}

static int ask(const KeptSecretsSearch *search, const KeptSecretsPlace *place, const EspImage *image,
               const char *toplevel, const char *kernel, const char *initrd, KeptSecrets *ret) {
        _cleanup_(witness_done) Witness witness = {};
        const char *name;
        uint64_t size;
        int r;

        r = witness_read(&witness, search, place->volume, image->name);
        if (r < 0)
                return r;
        if (strcmp(witness.toplevel, toplevel) != 0 || !is_content(witness.paths.items[KERNEL], kernel) ||
            !is_content(witness.paths.items[INITRD], initrd))
                return -ENOENT;
        r = find_file(place->inventory, witness.paths.items[SECRETS], &witness.secrets, &name, &size);
        if (r < 0)
                return r;
        *ret = (KeptSecrets){.volume = place->volume, .name = strdup(name), .hash = witness.secrets, .size = size};
        return ret->name ? 0 : -ENOMEM;
}

/* When it was written, in nanoseconds. FAT counts in steps of two seconds: of two images of one time any will do. */
static int64_t time_of(const EspVolume *volume, const EspImage *image) {
        _cleanup_(free_pointer) char *path = path_join(ESP_IMAGE_FOLDER, image->name);
        struct stat st;

        if (!path || fstatat(volume->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return INT64_MIN;
        return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

/* By what the inventory says, which reads headers and verifies nothing. */
static bool is_candidate(const KeptSecretsSearch *search, const EspImage *image, const char *toplevel) {
        return image->regular && image->our_form && image->error == 0 && image->paths.count == REFERENCES &&
               image->facts.toplevel && strcmp(image->facts.toplevel, toplevel) == 0 &&
               (!search->certificate || image->facts.signed_by_current);
}

/* Looks for a newer one than *NEWEST (its name NULL: for any) on one volume. */
static int find_on(const KeptSecretsSearch *search, const KeptSecretsPlace *place, const char *toplevel,
                   const char *kernel, const char *initrd, KeptSecrets *newest, int64_t *newest_time) {
        for (size_t i = 0; i < place->inventory->image_count; i++) {
                const EspImage *image = &place->inventory->images[i];
                KeptSecrets secrets = {};
                int64_t time;
                int r;

                if (!is_candidate(search, image, toplevel))
                        continue;
                time = time_of(place->volume, image);
                if (newest->name && time <= *newest_time)
                        continue;
                r = ask(search, place, image, toplevel, kernel, initrd, &secrets);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        continue;
                free(newest->name);
                *newest = secrets;
                *newest_time = time;
        }
        return 0;
}

int kept_secrets_find(const KeptSecretsSearch *search, const char *toplevel, const char *kernel, const char *initrd,
                      KeptSecrets *ret) {
        int64_t newest = INT64_MIN;
        KeptSecrets found = {};

        for (size_t i = 0; i < search->place_count; i++) {
                int r = find_on(search, &search->places[i], toplevel, kernel, initrd, &found, &newest);

                if (r < 0) {
                        free(found.name);
                        return r;
                }
        }
        if (!found.name)
                return -ENOENT;
        *ret = found;
        return 0;
}
