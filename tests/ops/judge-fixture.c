/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/ops/judge-fixture.h"

#include <stdint.h>
#include <string.h>

enum { HASH_SIZE = 32 };

static void judged_image_free(void *pointer) {
        JudgedImage *image = pointer;

        g_free(image->name);
        g_free(image->entry);
        g_free(image->toplevel);
        g_strfreev(image->paths);
        g_free(image->problem);
        g_free(image);
}

char *judge_entry_name(const char *name) {
        g_autoptr(GRegex) counter = g_regex_new("\\+[0-9]+(-[0-9]+)?(\\.efi)$", 0, 0, NULL);

        return g_regex_replace(counter, name, -1, 0, "\\2", 0, NULL);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

char **judge_folder(const char *esp, const char *folder) {
        g_autofree char *path = g_build_filename(esp, folder, NULL);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        GPtrArray *names = g_ptr_array_new();
        const char *name;

        while (dir && (name = g_dir_read_name(dir)))
                g_ptr_array_add(names, g_strdup(name));
        g_ptr_array_sort(names, compare_names);
        g_ptr_array_add(names, NULL);
        return (char **)g_ptr_array_free(names, FALSE);
}

static uint32_t number_at(const char *bytes, size_t size, size_t offset, unsigned width) {
        uint32_t number = 0;

        for (unsigned i = 0; i < width && offset + i < size; i++)
                number |= (uint32_t)(uint8_t)bytes[offset + i] << (8 * i);
        return number;
}

/* PE/COFF specification, "Section Table". Owned; NULL if there is none. */
static GBytes *read_section(const char *bytes, size_t size, const char *name) {
        size_t header = number_at(bytes, size, 0x3c, 4), count = number_at(bytes, size, header + 6, 2);
        size_t table = header + 24 + number_at(bytes, size, header + 20, 2);

        for (size_t i = 0; i < count && table + 40 * (i + 1) <= size; i++) {
                size_t section = table + 40 * i;
                size_t length = MIN(number_at(bytes, size, section + 8, 4), number_at(bytes, size, section + 16, 4));
                size_t offset = number_at(bytes, size, section + 20, 4);

                if (strncmp(bytes + section, name, 8) == 0 && offset <= size && length <= size - offset)
                        return g_bytes_new(bytes + offset, length);
        }
        return NULL;
}

static char *section_text(const char *bytes, size_t size, const char *name) {
        g_autoptr(GBytes) section = read_section(bytes, size, name);

        return section ? g_strndup(g_bytes_get_data(section, NULL), g_bytes_get_size(section)) : NULL;
}

/* RFC 4648, lower case, without padding. */
static char *base32(const uint8_t *bytes, size_t size) {
        GString *text = g_string_new(NULL);
        uint32_t rest = 0;
        unsigned bits = 0;

        for (size_t i = 0; i < size; i++) {
                rest = rest << 8 | bytes[i];
                for (bits += 8; bits >= 5; bits -= 5)
                        g_string_append_c(text, "abcdefghijklmnopqrstuvwxyz234567"[rest >> (bits - 5) & 31]);
        }
        if (bits > 0)
                g_string_append_c(text, "abcdefghijklmnopqrstuvwxyz234567"[rest << (5 - bits) & 31]);
        return g_string_free(text, FALSE);
}

/* What is wrong with the file at PATH, whose hash the image says; NULL: nothing. */
static char *judge_file(const char *esp, const char *path, const uint8_t *expected) {
        g_autofree char *full = g_build_filename(esp, path, NULL), *content = NULL, *text = NULL, *suffix = NULL;
        g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
        uint8_t digest[HASH_SIZE];
        size_t size, digest_size = sizeof(digest);

        if (!g_file_get_contents(full, &content, &size, NULL))
                return g_strdup_printf("%s is missing", path);
        g_checksum_update(checksum, (const guchar *)content, size);
        g_checksum_get_digest(checksum, digest, &digest_size);
        if (memcmp(digest, expected, HASH_SIZE) != 0)
                return g_strdup_printf("%s has another hash than the image says", path);
        text = base32(digest, sizeof(digest));
        suffix = g_strdup_printf("-%s.efi", text);
        return g_str_has_suffix(path, suffix) ? NULL : g_strdup_printf("%s has another hash than its name says", path);
}

static void judge_files(const char *esp, JudgedImage *image, GBytes *hashes) {
        size_t size = hashes ? g_bytes_get_size(hashes) : 0;

        if (size != HASH_SIZE * g_strv_length(image->paths)) {
                image->problem = g_strdup("it has not as many hashes as paths");
                return;
        }
        for (size_t i = 0; image->paths[i] && !image->problem; i++)
                image->problem = judge_file(esp, image->paths[i],
                                            (const uint8_t *)g_bytes_get_data(hashes, NULL) + HASH_SIZE * i);
}

static char **to_paths(const char *kernel, const char *initrds) {
        g_autofree char *all = g_strdup_printf("%s\n%s", kernel, initrds ?: "");
        g_auto(GStrv) lines = g_strsplit(all, "\n", -1);
        GPtrArray *paths = g_ptr_array_new();

        for (size_t i = 0; lines[i]; i++)
                if (*lines[i] == '\\')
                        g_ptr_array_add(paths, g_strdelimit(g_strdup(lines[i] + 1), "\\", '/'));
        g_ptr_array_add(paths, NULL);
        return (char **)g_ptr_array_free(paths, FALSE);
}

static void read_sections(const char *esp, JudgedImage *image, const char *bytes, size_t size) {
        g_autofree char *kernel = section_text(bytes, size, ".linux"), *initrds = section_text(bytes, size, ".initrd");
        g_autofree char *line = section_text(bytes, size, ".cmdline");
        g_autoptr(GBytes) kernel_hash = read_section(bytes, size, ".linuxh");
        g_autoptr(GBytes) initrd_hashes = read_section(bytes, size, ".initrdh");
        g_autoptr(GByteArray) hashes = g_byte_array_new();
        g_autoptr(GBytes) all = NULL;
        g_autoptr(GMatchInfo) match = NULL;
        g_autoptr(GRegex) init = g_regex_new("(?:^| )init=([^ ]*)/init(?: |$)", 0, 0, NULL);

        if (line && g_regex_match(init, line, 0, &match))
                image->toplevel = g_match_info_fetch(match, 1);
        if (!kernel)
                return;
        image->paths = to_paths(kernel, initrds);
        if (kernel_hash)
                g_byte_array_append(hashes, g_bytes_get_data(kernel_hash, NULL), g_bytes_get_size(kernel_hash));
        if (initrd_hashes)
                g_byte_array_append(hashes, g_bytes_get_data(initrd_hashes, NULL), g_bytes_get_size(initrd_hashes));
        all = g_byte_array_free_to_bytes(g_steal_pointer(&hashes));
        judge_files(esp, image, all);
}

static JudgedImage *judge_image(const char *esp, const char *name) {
        JudgedImage *image = g_new0(JudgedImage, 1);
        g_autofree char *path = g_build_filename(esp, "EFI/Linux", name, NULL), *bytes = NULL;
        size_t size = 0;

        image->name = g_strdup(name);
        image->entry = judge_entry_name(name);
        if (!g_file_get_contents(path, &bytes, &size, NULL) || size < 0x40 || memcmp(bytes, "MZ", 2) != 0)
                image->problem = g_strdup("it is no PE image");
        else
                read_sections(esp, image, bytes, size);
        if (!image->paths)
                image->paths = g_new0(char *, 1);
        return image;
}

GPtrArray *judge_images(const char *esp) {
        g_auto(GStrv) names = judge_folder(esp, "EFI/Linux");
        GPtrArray *images = g_ptr_array_new_with_free_func(judged_image_free);

        for (size_t i = 0; names[i]; i++)
                if (g_str_has_suffix(names[i], ".efi"))
                        g_ptr_array_add(images, judge_image(esp, names[i]));
        return images;
}
