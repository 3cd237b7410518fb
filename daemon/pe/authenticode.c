/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The digest, and the walk through the certificate table, are those of edk2 to the letter, also where the specification
 * leaves room (what is behind the last section, entries of odd lengths): the question is never what a signature means,
 * but what firmware makes of it. */

#include "daemon/pe/authenticode.h"

#include <errno.h>
#include <string.h>

#include "daemon/pe/pe-format.h"
#include "daemon/util/guid.h"

/* EFI_CERT_TYPE_PKCS7_GUID */
static const Guid pkcs7_guid = GUID_INIT(0x4aafd29d, 0x68df, 0x49ee, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7);

static int update_slice(Digest *digest, Span file, uint64_t offset, uint64_t end) {
        Span part;
        int r;

        if (end < offset)
                return -EBADMSG;
        r = span_slice(file, offset, end - offset, &part);
        if (r < 0)
                return r;
        return digest_update(digest, part);
}

/* The headers, without the checksum and the certificate table's directory entry. */
static int digest_headers(const PeImage *image, Digest *digest) {
        const uint64_t checksum = image->optional_offset + OPTIONAL_CHECKSUM;
        const uint64_t directory = image->certificates_directory_offset;
        int r;

        r = update_slice(digest, image->file, 0, checksum);
        if (r < 0)
                return r;
        if (directory == 0)
                return update_slice(digest, image->file, checksum + 4, image->size_of_headers);
        r = update_slice(digest, image->file, checksum + 4, directory);
        if (r < 0)
                return r;
        return update_slice(digest, image->file, directory + DIRECTORY_SIZE, image->size_of_headers);
}

/* The sections in the order of the file; those that begin at one place in the order of their headers. */
static size_t sort_sections(const PeImage *image, const PeSection *ret[static PE_SECTIONS_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < image->n_sections; i++) {
                size_t position = n++;

                for (; position > 0 && image->sections[i].raw_offset < ret[position - 1]->raw_offset; position--)
                        ret[position] = ret[position - 1];
                ret[position] = &image->sections[i];
        }
        return n;
}

/* *RET_END becomes the place behind headers and sections if they lie without gaps, which is where firmware goes on. */
static int digest_sections(const PeImage *image, Digest *digest, uint64_t *ret_end) {
        const PeSection *sorted[PE_SECTIONS_MAX];
        const size_t n = sort_sections(image, sorted);
        uint64_t end = image->size_of_headers;
        int r;

        for (size_t i = 0; i < n; i++) {
                if (sorted[i]->raw_size == 0)
                        continue;
                r = update_slice(digest, image->file, sorted[i]->raw_offset,
                                 (uint64_t)sorted[i]->raw_offset + sorted[i]->raw_size);
                if (r < 0)
                        return r;
                end += sorted[i]->raw_size;
        }
        *ret_end = end;
        return 0;
}

/* The digest of IMAGE with PADDING (less than 8) zeros behind it. */
static int digest_padded(const PeImage *image, DigestAlgorithm algorithm, size_t padding,
                         uint8_t ret[static DIGEST_SIZE_MAX]) {
        static const uint8_t zeros[CERTIFICATE_ALIGNMENT];
        _cleanup_(digest_freep) Digest *digest = NULL;
        uint64_t end;
        int r;

        r = digest_new(algorithm, &digest);
        if (r < 0)
                return r;
        r = digest_headers(image, digest);
        if (r < 0)
                return r;
        r = digest_sections(image, digest, &end);
        if (r < 0)
                return r;
        if (image->file_size > end) {
                r = update_slice(digest, image->file, end, image->file_size - image->certificates_size);
                if (r < 0)
                        return r;
        }
        r = digest_update(digest, (Span){zeros, padding});
        if (r < 0)
                return r;
        return digest_final(digest, ret);
}

int authenticode_digest(const PeImage *image, DigestAlgorithm algorithm, uint8_t ret[static DIGEST_SIZE_MAX]) {
        return digest_padded(image, algorithm, /* padding= */ 0, ret);
}

/* Where the signed part of a file ends: at its certificate table, which has to be the last thing. Sections that share
 * bytes are refused: firmware then counts the bytes twice, and leaves as many others uncovered. */
static int find_end(const PeImage *image, uint64_t *ret) {
        const PeSection *sorted[PE_SECTIONS_MAX];
        const size_t n = sort_sections(image, sorted);
        uint64_t end = image->file_size, sections_end = image->size_of_headers;

        if (image->certificates_directory_offset == 0)
                return -EBADMSG;
        if (image->certificates_size > 0) {
                if ((uint64_t)image->certificates_offset + image->certificates_size != end)
                        return -EBADMSG;
                end = image->certificates_offset;
        }
        for (size_t i = 0; i < n; i++) {
                if (sorted[i]->raw_size == 0)
                        continue;
                if (sorted[i]->raw_offset < sections_end)
                        return -EBADMSG;
                sections_end = (uint64_t)sorted[i]->raw_offset + sorted[i]->raw_size;
        }
        if (sections_end > end || pe_align(end, CERTIFICATE_ALIGNMENT) > UINT32_MAX)
                return -EBADMSG;

        *ret = end;
        return 0;
}

/* Cuts FILE at END and appends one entry with SIGNATURE to the certificate table, which begins at TABLE. */
static int attach(const PeImage *image, uint64_t table, uint64_t end, Span signature, Buffer *file) {
        const uint64_t offset = pe_align(end, CERTIFICATE_ALIGNMENT);
        const uint64_t length = pe_align(CERTIFICATE_HEADER_SIZE + signature.size, CERTIFICATE_ALIGNMENT);
        uint8_t *entry;
        int r;

        if (offset + length > UINT32_MAX)
                return -EFBIG;
        r = buffer_reserve(file, CERTIFICATE_ALIGNMENT + length);
        if (r < 0)
                return r;

        memset(file->data + end, 0, offset + length - end);
        file->size = offset + length;
        entry = file->data + offset;
        pe_write_u32(entry, CERTIFICATE_LENGTH, length);
        pe_write_u16(entry, CERTIFICATE_REVISION, CERTIFICATE_REVISION_2_0);
        pe_write_u16(entry, CERTIFICATE_TYPE, CERTIFICATE_TYPE_PKCS_SIGNED_DATA);
        memcpy(entry + CERTIFICATE_HEADER_SIZE, signature.data, signature.size);
        pe_write_u32(file->data, image->certificates_directory_offset, table);
        pe_write_u32(file->data, image->certificates_directory_offset + 4, offset + length - table);
        pe_write_u32(file->data, image->optional_offset + OPTIONAL_CHECKSUM, 0);
        pe_write_u32(file->data, image->optional_offset + OPTIONAL_CHECKSUM, pe_checksum(buffer_span(file)));
        return 0;
}

/* Of what stands before END, and the zeros up to where a certificate table can begin. */
static int make_signature(const PeImage *image, uint64_t end, Signer *signer, int64_t signing_time, Buffer *ret) {
        PeImage unsigned_part = *image;
        uint8_t digest[DIGEST_SIZE_MAX];
        Sha256 sha256;
        int r;

        unsigned_part.file.size = end;
        unsigned_part.file_size = end;
        unsigned_part.certificates_size = 0;
        r = digest_padded(&unsigned_part, DIGEST_SHA256, pe_align(end, CERTIFICATE_ALIGNMENT) - end, digest);
        if (r < 0)
                return r;
        memcpy(sha256.bytes, digest, SHA256_SIZE);
        return signed_data_make_authenticode(signer, &sha256, signing_time, ret);
}

int authenticode_sign(Buffer *image, Signer *signer, int64_t signing_time) {
        _cleanup_(buffer_done) Buffer signature = {};
        PeImage parsed;
        uint64_t end;
        int r;

        r = pe_image_parse(buffer_span(image), &parsed);
        if (r >= 0)
                r = find_end(&parsed, &end);
        if (r >= 0)
                r = make_signature(&parsed, end, signer, signing_time, &signature);
        if (r < 0)
                return r;
        return attach(&parsed, pe_align(end, CERTIFICATE_ALIGNMENT), end, buffer_span(&signature), image);
}

/* Another entry can stand behind a table only if firmware would walk to its end, and sees all that was signed where it
 * was signed. */
static int check_table(const PeImage *image) {
        AuthenticodeEntry entry;
        size_t offset = 0;
        Span table;
        int r;

        if (image->certificates_offset % CERTIFICATE_ALIGNMENT != 0)
                return -EBADMSG;
        r = span_slice(image->file, image->certificates_offset, image->certificates_size, &table);
        while (r >= 0) {
                r = authenticode_next(table, &offset, &entry);
                if (r == 0)
                        return 0;
        }
        return r;
}

int authenticode_add(Buffer *image, Signer *signer, int64_t signing_time) {
        _cleanup_(buffer_done) Buffer signature = {};
        PeImage parsed;
        uint64_t end;
        int r;

        r = pe_image_parse(buffer_span(image), &parsed);
        if (r < 0)
                return r;
        if (parsed.certificates_size == 0)
                return authenticode_sign(image, signer, signing_time);
        r = find_end(&parsed, &end);
        if (r >= 0)
                r = check_table(&parsed);
        if (r >= 0)
                r = make_signature(&parsed, end, signer, signing_time, &signature);
        if (r < 0)
                return r;
        return attach(&parsed, end, image->size, buffer_span(&signature), image);
}

int authenticode_check_form(Span image) {
        PeImage parsed;
        uint64_t end;
        int r;

        r = pe_image_parse(image, &parsed);
        return r < 0 ? r : find_end(&parsed, &end);
}

/* The data of an entry whose LENGTH bytes are in the table. */
static int read_entry(Span entry, AuthenticodeEntry *ret) {
        AuthenticodeEntry result = {};
        size_t header_size = CERTIFICATE_HEADER_SIZE;
        uint16_t type;
        Span guid;
        int r;

        r = span_u16(entry, CERTIFICATE_TYPE, &type);
        if (r < 0)
                return r;
        if (type == CERTIFICATE_TYPE_EFI_GUID)
                header_size += GUID_SIZE;
        if (type == CERTIFICATE_TYPE_PKCS_SIGNED_DATA || type == CERTIFICATE_TYPE_EFI_GUID) {
                if (entry.size <= header_size)
                        return -EBADMSG;
                result.is_pkcs7 = true;
        }
        if (type == CERTIFICATE_TYPE_EFI_GUID) {
                r = span_slice(entry, CERTIFICATE_HEADER_SIZE, GUID_SIZE, &guid);
                if (r < 0)
                        return r;
                result.is_pkcs7 = span_equal(guid, (Span){pkcs7_guid.bytes, GUID_SIZE});
        }
        r = span_slice(entry, header_size, entry.size - header_size, &result.data);
        if (r < 0)
                return r;

        *ret = result;
        return 1;
}

int authenticode_next(Span table, size_t *offset, AuthenticodeEntry *ret) {
        uint32_t length;
        Span entry;
        int r;

        if (*offset == table.size)
                return 0;
        if (*offset > table.size || table.size - *offset <= CERTIFICATE_HEADER_SIZE)
                return -EBADMSG;
        r = span_u32(table, *offset + CERTIFICATE_LENGTH, &length);
        if (r < 0)
                return r;
        if (length < CERTIFICATE_HEADER_SIZE)
                return -EBADMSG;
        r = span_slice(table, *offset, length, &entry);
        if (r < 0)
                return r;
        r = read_entry(entry, ret);
        if (r < 0)
                return r;
        *offset += pe_align(length, CERTIFICATE_ALIGNMENT);
        return r;
}

/* Firmware expects every length in front of the first digest algorithm to be of two bytes, as it is in each signature
 * of 256 bytes to 64 KiB, and compares the algorithm's OID with those that it knows. */
int authenticode_algorithm(Span pkcs7, DigestAlgorithm *ret) {
        enum { LENGTH = 1, TWO_BYTE_LENGTH = 0x82, OID = 32 };
        uint8_t length;

        if (span_u8(pkcs7, LENGTH, &length) < 0 || (length & TWO_BYTE_LENGTH) != TWO_BYTE_LENGTH)
                return -EOPNOTSUPP;
        for (DigestAlgorithm i = 0; i < DIGEST_COUNT; i++) {
                Span oid;

                if (span_slice(pkcs7, OID, digest_oid(i).size, &oid) < 0)
                        return -EOPNOTSUPP;
                if (span_equal(oid, digest_oid(i))) {
                        *ret = i;
                        return 0;
                }
        }
        return -EOPNOTSUPP;
}

int authenticode_matches(const SignedData *data, DigestAlgorithm algorithm,
                         const uint8_t digest[static DIGEST_SIZE_MAX]) {
        uint8_t signed_digest[DIGEST_SIZE_MAX];
        DigestAlgorithm signed_algorithm;

        if (signed_data_image_digest(data, &signed_algorithm, signed_digest) < 0 || signed_algorithm != algorithm)
                return -EKEYREJECTED;
        return memcmp(signed_digest, digest, digest_size(algorithm)) == 0 ? 0 : -EKEYREJECTED;
}

/* Whether one signature is good: 0, or -EKEYREJECTED whatever is wrong with it. */
static int verify_signature(const PeImage *image, Span pkcs7, Certificate *anchor) {
        _cleanup_(signed_data_freep) SignedData *data = NULL;
        uint8_t digest[DIGEST_SIZE_MAX];
        DigestAlgorithm algorithm;
        int r;

        if (authenticode_algorithm(pkcs7, &algorithm) < 0)
                return -EKEYREJECTED;
        r = authenticode_digest(image, algorithm, digest);
        if (r < 0)
                return r;
        r = signed_data_parse(pkcs7, &data, /* ret_size= */ NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EKEYREJECTED;
        r = authenticode_matches(data, algorithm, digest);
        if (r < 0)
                return r;
        return signed_data_verify(data, (Span){}, anchor);
}

int authenticode_verify(Span image, Certificate *anchor) {
        int result = -EKEYREJECTED;
        AuthenticodeEntry entry;
        size_t offset = 0;
        PeImage parsed;
        Span table;
        int r;

        r = pe_image_parse(image, &parsed);
        if (r < 0)
                return r;
        r = pe_image_certificates(&parsed, &table);
        if (r < 0)
                return r == -ENOENT ? -ENODATA : r;
        while ((r = authenticode_next(table, &offset, &entry)) > 0) {
                if (!entry.is_pkcs7 || result == 0)
                        continue;
                result = verify_signature(&parsed, entry.data, anchor);
                if (result < 0 && result != -EKEYREJECTED)
                        return result;
        }
        return r < 0 ? r : result;
}
