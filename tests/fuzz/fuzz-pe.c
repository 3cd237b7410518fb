/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: pe */
#include <stdlib.h>
#include <string.h>

#include "daemon/pe/authenticode.h"
#include "daemon/pe/pe-assemble.h"
#include "daemon/pe/pe-image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted lies inside the file. */
static void check_sections(const PeImage *image) {
        for (size_t i = 0; i < image->n_sections; i++) {
                Span content;

                if (pe_image_section(image, image->sections[i].name, &content) < 0 || content.size == 0)
                        continue;
                if (content.data < image->file.data ||
                    content.data + content.size > image->file.data + image->file.size)
                        abort();
        }
}

/* What was assembled can be parsed, and has the new contents. */
static void check_assembled(Span stub) {
        const PeNewSection sections[] = {{".osrel", span_from_string("ID=x\n")}, {".fuzz", stub}};
        _cleanup_(buffer_done) Buffer made = {};
        PeImage image;
        Span content;

        if (pe_assemble(stub, sections, ARRAY_LENGTH(sections), &made) < 0)
                return;
        if (pe_image_parse(buffer_span(&made), &image) < 0 || made.size % 8 != 0 || image.certificates_size != 0)
                abort();
        if (pe_image_section(&image, ".osrel", &content) < 0 || !span_equal(content, sections[0].content))
                abort();
        if (pe_image_section(&image, ".fuzz", &content) < 0 || !span_equal(content, stub))
                abort();
}

static void check_signatures(const PeImage *image) {
        uint8_t digest[DIGEST_SIZE_MAX];
        AuthenticodeEntry entry;
        size_t offset = 0;
        Span table;

        if (pe_image_certificates(image, &table) < 0)
                return;
        while (authenticode_next(table, &offset, &entry) > 0) {
                _cleanup_(signed_data_freep) SignedData *data = NULL;
                DigestAlgorithm algorithm;

                if (authenticode_algorithm(entry.data, &algorithm) < 0 ||
                    authenticode_digest(image, algorithm, digest) < 0 ||
                    signed_data_parse(entry.data, &data, /* ret_size= */ NULL) < 0)
                        continue;
                (void)authenticode_matches(data, algorithm, digest);
                if (signed_data_certificate(data, 0))
                        (void)authenticode_verify(image->file, signed_data_certificate(data, 0));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const Span file = {data, size};
        uint8_t digest[DIGEST_SIZE_MAX];
        PeImage image;

        if (pe_image_parse(file, &image) < 0)
                return 0;
        check_sections(&image);
        (void)authenticode_digest(&image, DIGEST_SHA256, digest);
        check_signatures(&image);
        check_assembled(file);
        return 0;
}
