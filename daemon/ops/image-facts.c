/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/image-facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/crypto/signed-data.h"
#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-assemble.h"
#include "daemon/pe/pe-image.h"
#include "daemon/util/command-line.h"
#include "daemon/util/file.h"
#include "stubs/stub-abi.h"

enum {
        MAGIC_SIZE = sizeof(LANZA_EMBEDDED_MAGIC) - 1,
        INITRD_SECTION_MAX = LANZA_INITRDS_MAX * (LANZA_ESP_PATH_MAX_BYTES + 1),
        COMMAND_LINE_MAX = 64 * 1024,
        CERTIFICATES_MAX = 1024 * 1024,
};

static int add_text(StringList *list, Span text) {
        _cleanup_(free_pointer) char *copy = NULL;

        if (text.size > 0 && memchr(text.data, 0, text.size))
                return -EBADMSG;
        copy = strndup((const char *)text.data, text.size);
        return copy ? string_list_add(list, copy) : -ENOMEM;
}

static int add_lines(StringList *list, Span text) {
        int r;

        while (text.size > 0) {
                const uint8_t *end = memchr(text.data, LANZA_LIST_SEPARATOR, text.size);
                size_t length = end ? (size_t)(end - text.data) : text.size, used = length + (end ? 1 : 0);

                if (list->count > LANZA_INITRDS_MAX)
                        return -EBADMSG;
                r = add_text(list, (Span){text.data, length});
                if (r < 0)
                        return r;
                text = (Span){text.data + used, text.size - used};
        }
        return 0;
}

int image_references_parse(Span kernel, Span initrd, StringList *ret) {
        int r;

        if (kernel.size == 0 || span_starts_with(kernel, span_from_string(LANZA_EMBEDDED_MAGIC)))
                return 0;
        r = add_text(ret, kernel);
        if (r < 0)
                return r;
        return add_lines(ret, initrd);
}

/* Like pe_image_read_section(), but a section that is not there is an empty one. */
static int read_section(const PeImage *image, int fd, const char *name, size_t maximum, Buffer *ret) {
        int r = pe_image_read_section(image, fd, name, maximum, ret);

        return r == -ENOENT ? 0 : r == -EFBIG || r == -ENOTUNIQ ? -EBADMSG : r;
}

/* Whether the kernel section holds the kernel itself: too much to read, and it refers to nothing. */
static int kernel_is_embedded(const PeImage *image, int fd, bool *ret) {
        const PeSection *section;
        uint8_t magic[MAGIC_SIZE];
        int r;

        *ret = false;
        r = pe_image_find_section(image, LANZA_SECTION_KERNEL, &section);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return -EBADMSG;
        if (section->raw_size < sizeof(magic) || section->virtual_size < sizeof(magic))
                return 0;
        r = file_read_at(fd, section->raw_offset, magic, sizeof(magic));
        if (r < 0)
                return r;
        *ret = memcmp(magic, LANZA_EMBEDDED_MAGIC, sizeof(magic)) == 0;
        return 0;
}

static int read_references(const PeImage *image, int fd, StringList *ret) {
        static const struct {
                const char *kernel, *initrd;
        } names[] = {
                {LANZA_SECTION_KERNEL, LANZA_SECTION_INITRD},
                /* As lanzaboote called them until February 2024. Such an image still boots, with its own stub. */
                {".kernelp", ".initrdp"},
        };
        bool embedded;
        int r;

        r = kernel_is_embedded(image, fd, &embedded);
        if (r < 0 || embedded)
                return r;
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
                _cleanup_(buffer_done) Buffer kernel = {}, initrd = {};

                r = read_section(image, fd, names[i].kernel, LANZA_ESP_PATH_MAX_BYTES, &kernel);
                if (r < 0)
                        return r;
                /* Without a kernel path the initrd is an embedded one, if there is any. */
                if (kernel.size == 0)
                        continue;
                r = read_section(image, fd, names[i].initrd, INITRD_SECTION_MAX, &initrd);
                if (r < 0)
                        return r;
                return image_references_parse(buffer_span(&kernel), buffer_span(&initrd), ret);
        }
        return 0;
}

static int read_toplevel(const PeImage *image, int fd, char **ret) {
        _cleanup_(buffer_done) Buffer command_line = {};
        int r;

        r = read_section(image, fd, LANZA_SECTION_CMDLINE, COMMAND_LINE_MAX, &command_line);
        if (r < 0)
                return r;
        return command_line_toplevel(buffer_span(&command_line), ret);
}

/* 1, 0 or -ENOMEM. */
static int has_held(ImageFactsReader *reader, const Certificate *signer) {
        const Sha256 *fingerprint = certificate_fingerprint(signer);
        int r;

        if (!reader->has_last || !sha256_equal(fingerprint, &reader->last)) {
                r = key_store_has_held(reader->keys, signer);
                if (r < 0)
                        return r;
                reader->last_was_held = r > 0;
                reader->last = *fingerprint;
                reader->has_last = true;
        }
        return reader->last_was_held;
}

static int judge_signature(ImageFactsReader *reader, Span pkcs7, ImageFacts *facts) {
        _cleanup_(signed_data_freep) SignedData *data = NULL;
        const Certificate *signer;
        int r;

        if (reader->current && signed_data_is_plainly_by(pkcs7, reader->current)) {
                facts->signed_by_current = facts->signed_by_us = true;
                return 0;
        }
        r = signed_data_parse(pkcs7, &data, /* ret_size= */ NULL);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        signer = signed_data_signer_chain(data, 0);
        if (!signer)
                return 0;
        if (reader->current && certificate_equal(signer, reader->current)) {
                facts->signed_by_current = facts->signed_by_us = true;
                return 0;
        }
        r = has_held(reader, signer);
        facts->signed_by_us |= r > 0;
        return r < 0 ? r : 0;
}

/* A table that is broken somewhere ends there: what it says after that does not count as a signature of ours. */
static int read_signatures(ImageFactsReader *reader, const PeImage *image, int fd, ImageFacts *facts) {
        _cleanup_(buffer_done) Buffer table = {};
        AuthenticodeEntry entry;
        size_t offset = 0;
        int r;

        r = pe_image_read_certificates(image, fd, CERTIFICATES_MAX, &table);
        if (r == -ENOENT || r == -EFBIG || r == -EBADMSG)
                return 0;
        if (r < 0)
                return r;
        r = 0;
        while (r >= 0 && authenticode_next(buffer_span(&table), &offset, &entry) > 0)
                if (entry.is_pkcs7)
                        r = judge_signature(reader, entry.data, facts);
        return r;
}

static int compare_stub(const ImageFactsReader *reader, const PeImage *image, int fd, ImageFacts *facts) {
        Span stub;
        int r;

        r = stub_shelf_find_for(reader->stubs, reader->generations, facts->toplevel, &stub);
        if (r < 0 || stub.size == 0)
                return r;
        r = pe_assembled_from(image, fd, stub);
        facts->has_other_stub = r == 0;
        return r;
}

static int check_magic(int fd) {
        uint8_t magic[MAGIC_SIZE];
        int r = file_read_at(fd, 0, magic, sizeof(magic));

        if (r < 0)
                return r == -EBADMSG ? -ENOEXEC : r;
        return memcmp(magic, LANZA_EMBEDDED_MAGIC, sizeof(magic)) == 0 ? 0 : -ENOEXEC;
}

int image_facts_read(void *userdata, int fd, ImageFacts *ret) {
        ImageFactsReader *reader = userdata;
        _cleanup_(image_facts_done) ImageFacts facts = {};
        PeImage image;
        int r;

        r = check_magic(fd);
        if (r < 0)
                return r;
        r = pe_image_read(fd, &image);
        if (r < 0)
                return r;
        r = read_references(&image, fd, &facts.references);
        if (r < 0)
                return r;
        r = read_toplevel(&image, fd, &facts.toplevel);
        if (r < 0)
                return r;
        r = read_signatures(reader, &image, fd, &facts);
        if (r >= 0 && reader->stubs)
                r = compare_stub(reader, &image, fd, &facts);
        if (r < 0)
                return r;
        *ret = TAKE_STRUCT(facts);
        return 0;
}
