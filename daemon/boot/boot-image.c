/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/boot/boot-image.h"

/* The hash of an image
 * --------------------
 * It is the SHA-256 of a sequence of fields. A field is its length as 64-bit little-endian integer, then its bytes: no
 * two different sequences have the same bytes. The fields are:
 *
 *     "lanzad boot image 1"                       what this is; the number changes with the rules below
 *     the generation's toplevel
 *     the specialisation's name, outer and nested ones joined by "/"; empty for the system itself
 *     the signer's certificate (DER); empty for an unsigned image
 *     for each section that is appended to the stub, in their order: its name, its content
 *
 * Everything that distinguishes two images but the stub is in there: generation, profile and date by way of the title,
 * kernel and initrds by way of their hashes. The stub is left out on purpose: an image keeps the one it was built with.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/boot/generation.h"
#include "daemon/boot/os-release.h"
#include "daemon/util/file.h"
#include "stubs/stub-abi.h"

#define IMAGE_HASH_FORM "lanzad boot image 1"

/* What Linux keeps of a command line on x86 and arm64: COMMAND_LINE_SIZE without the NUL. */
enum { LINUX_COMMAND_LINE_MAX = 2047 };

void boot_image_done(BootImage *image) {
        free(image->title);
        free(image->version);
        free(image->sort_key);
        for (size_t i = 0; i < image->section_count; i++)
                buffer_done(&image->sections[i].content);
        *image = (BootImage){};
}

int kernel_version(const char *kernel, char **ret) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
        static const char store[] = GENERATION_STORE "/", marker[] = "-linux-";
        const char *name = strncmp(kernel, store, strlen(store)) == 0 ? kernel + strlen(store) : "";
        const char *end = name + strcspn(name, "/"), *version = memmem(name, end - name, marker, strlen(marker));
        char *copy;

        if (version)
                version += strlen(marker);
        if (version && end > version && end - version <= KERNEL_VERSION_MAX &&
            version + strspn(version, allowed) >= end)
                copy = strndup(version, end - version);
        else
                copy = strdup("unknown");
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

/* Whether the stub takes PATH: the grammar in stubs/stub-abi.h. */
static bool is_esp_path(const char *path) {
        if (*path != LANZA_ESP_PATH_SEPARATOR || strlen(path) > LANZA_ESP_PATH_MAX_BYTES)
                return false;
        while (*path == LANZA_ESP_PATH_SEPARATOR) {
                size_t length = strcspn(++path, "\\");

                if (length == 0 || path[0] == ' ' || path[length - 1] == ' ' || path[length - 1] == '.')
                        return false;
                for (size_t i = 0; i < length; i++)
                        if (path[i] < 0x20 || path[i] > 0x7e || strchr("\"*/:<>?|", path[i]))
                                return false;
                path += length;
        }
        return true;
}

/* A new section of the image, still empty. */
static Buffer *add_section(BootImage *image, const char *name) {
        BootImageSection *section = image->sections + image->section_count++;

        section->name = name;
        return &section->content;
}

/* The day in UTC, so that the same generation has the same title everywhere. */
static void format_date(int64_t seconds, char *ret, size_t size) {
        time_t when = seconds;
        struct tm day;

        if (!gmtime_r(&when, &day) || strftime(ret, size, "%Y-%m-%d", &day) == 0)
                snprintf(ret, size, "@%" PRIi64, seconds);
}

/* systemd-boot puts entries with the same sort key into descending order of their versions (UAPI.10): numbers compare
 * as numbers, and what follows a tilde is lower than nothing at all, so that a system comes before its specialisations.
 */
static int describe(const BootImageInput *input, BootImage *image) {
        const Bootspec *bootspec = input->variant->bootspec;
        const char *specialisation = input->variant->specialisation, *profile = input->profile;
        const char *sort_key = bootspec->sort_key ? bootspec->sort_key : input->default_sort_key;
        char date[64];

        format_date(input->made, date, sizeof(date));
        image->sort_key = strdup(sort_key);
        if (asprintf(&image->title, "%s (Generation %" PRIu64 "%s%s%s%s, %s)", bootspec->label, input->generation,
                     profile ? " of " : "", profile ? profile : "", specialisation ? ", " : "",
                     specialisation ? specialisation : "", date) < 0)
                image->title = NULL;
        if (asprintf(&image->version, "Generation %" PRIu64 "%s%s, %s", input->generation, specialisation ? "~" : "",
                     specialisation ? specialisation : "", date) < 0)
                image->version = NULL;
        return image->sort_key && image->title && image->version ? 0 : -ENOMEM;
}

static int add_os_release(BootImage *image) {
        const OsRelease os_release = {.id = image->sort_key, .pretty_name = image->title, .version_id = image->version};

        return os_release_format(&os_release, add_section(image, LANZA_SECTION_OSREL));
}

/* Without an initrd from us Linux's EFI stub looks for "initrd=" anywhere in the command line and loads that file:
 * under Secure Boot, and unchecked. */
static int check_initrd_parameter(const BootImageInput *input, const BootImage *image, Span line, Failure *failure) {
        size_t found;
        int r;

        if (input->initrd_count > 0 || span_find(line, span_from_string("initrd="), 0, &found) < 0)
                return 0;
        r = failure_set(failure, CONDITION_BAD_BOOTSPEC,
                        "%s: its kernel command line names an initrd (initrd=) that nothing would check, and it has no "
                        "initrd of its own",
                        image->title);
        failure_set_hint(failure, "Take initrd= out of the kernel parameters (boot.kernelParams) and build it again.");
        return r;
}

static int add_command_line(const BootImageInput *input, StringList *warnings, BootImage *image, Failure *failure) {
        Buffer *line = add_section(image, LANZA_SECTION_CMDLINE);
        const Bootspec *bootspec = input->variant->bootspec;
        int r;

        r = buffer_append_format(line, "init=%s", bootspec->init);
        for (size_t i = 0; i < bootspec->kernel_params.count && r >= 0; i++)
                r = buffer_append_format(line, " %s", bootspec->kernel_params.items[i]);
        if (r < 0)
                return r;
        while (line->data[line->size - 1] == ' ' || line->data[line->size - 1] == '\t')
                line->size--;

        r = check_initrd_parameter(input, image, buffer_span(line), failure);
        if (r < 0)
                return r;
        if (line->size > LANZA_CMDLINE_MAX_BYTES)
                return failure_set(failure, CONDITION_BAD_BOOTSPEC,
                                   "%s: its kernel command line has %zu bytes, more than the %i that the stub takes",
                                   image->title, line->size, LANZA_CMDLINE_MAX_BYTES);
        if (line->size > LINUX_COMMAND_LINE_MAX && warnings)
                return string_list_add_format(
                        warnings, "%s: its kernel command line has %zu bytes, of which Linux only reads the first %i",
                        image->title, line->size, LINUX_COMMAND_LINE_MAX);
        return 0;
}

/* Two sections: the paths of COUNT files and their hashes. */
static int add_contents(BootImage *image, const BootContent *contents, size_t count, const char *path_section,
                        const char *hash_section) {
        Buffer *paths = add_section(image, path_section), *hashes = add_section(image, hash_section);
        int r;

        for (size_t i = 0; i < count; i++) {
                if (!is_esp_path(contents[i].path))
                        return -EINVAL;
                r = i > 0 ? buffer_append_u8(paths, LANZA_LIST_SEPARATOR) : 0;
                if (r >= 0)
                        r = buffer_append_string(paths, contents[i].path);
                if (r >= 0)
                        r = buffer_append(hashes, (Span){contents[i].hash.bytes, SHA256_SIZE});
                if (r < 0)
                        return r;
        }
        return 0;
}

static int hash_field(Digest *digest, Span field) {
        uint8_t length[8];
        int r;

        for (size_t i = 0; i < sizeof(length); i++)
                length[i] = (uint64_t)field.size >> (8 * i);
        r = digest_update(digest, (Span){length, sizeof(length)});
        return r < 0 ? r : digest_update(digest, field);
}

static int hash_image(const BootImageInput *input, BootImage *image) {
        const char *specialisation = input->variant->specialisation;
        const Span head[] = {
                span_from_string(IMAGE_HASH_FORM),
                span_from_string(input->toplevel),
                span_from_string(specialisation ? specialisation : ""),
                input->certificate ? certificate_der(input->certificate) : (Span){},
        };
        _cleanup_(digest_freep) Digest *digest = NULL;
        uint8_t hash[DIGEST_SIZE_MAX];
        int r;

        r = digest_new(DIGEST_SHA256, &digest);
        for (size_t i = 0; i < ARRAY_LENGTH(head) && r >= 0; i++)
                r = hash_field(digest, head[i]);
        for (size_t i = 0; i < image->section_count && r >= 0; i++) {
                r = hash_field(digest, span_from_string(image->sections[i].name));
                if (r >= 0)
                        r = hash_field(digest, buffer_span(&image->sections[i].content));
        }
        if (r >= 0)
                r = digest_final(digest, hash);
        if (r < 0)
                return r;
        memcpy(image->hash.bytes, hash, SHA256_SIZE);
        return 0;
}

int boot_image_compose(const BootImageInput *input, StringList *warnings, BootImage *ret, Failure *failure) {
        _cleanup_(boot_image_done) BootImage image = {};
        int r;

        if (input->initrd_count > LANZA_INITRDS_MAX)
                return -EINVAL;
        r = describe(input, &image);
        if (r < 0)
                return r;
        r = add_os_release(&image);
        if (r < 0)
                return r;
        r = add_command_line(input, warnings, &image, failure);
        if (r < 0)
                return r;
        r = add_contents(&image, &input->kernel, 1, LANZA_SECTION_KERNEL, LANZA_SECTION_KERNEL_HASH);
        if (r < 0)
                return r;
        if (input->initrd_count > 0) {
                r = add_contents(&image, input->initrds, input->initrd_count, LANZA_SECTION_INITRD,
                                 LANZA_SECTION_INITRD_HASH);
                if (r < 0)
                        return r;
        }
        r = hash_image(input, &image);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(image);
        return 0;
}
