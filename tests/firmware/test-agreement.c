/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One list of writes, which the firmware in memory and a real one both answer: the same status, the same mode and the
 * same content after each. The expectations in the list are the real firmware's; tests/vm/test-variables.py holds OVMF
 * against them.
 *
 *   test-agreement                   checks the firmware in memory
 *   test-agreement --print           prints what it answers: NUMBER NAME ERRNO SETUPMODE SHA-256-OR-"-"
 *   test-agreement --emit FOLDER     writes FOLDER/list with lines NUMBER NAME VARIABLE-GUID, and FOLDER/NUMBER.bin,
 *                                    attributes and data, ready for one write(2) to efivarfs
 *
 * The writes follow each other: what one leaves, the next one finds. */

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "daemon/crypto/digest.h"
#include "daemon/crypto/signed-data.h"
#include "daemon/firmware/authenticated-update.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/variables-memory.h"
#include "daemon/util/encode.h"
#include "tests/firmware/signers.h"

#define EPOCH INT64_C(1767225600) /* 2026-01-01 */

enum { SET = 0x27, APPEND = 0x67, PLAIN = 0x07 };

static const Guid test_vendor = GUID_INIT(0x5b1c2a7e, 0x4d0f, 0x4c6d, 0x9a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77);
static const Guid foreign_owner = GUID_INIT(0x0f0f0f0f, 0x0e0e, 0x4d0d, 0x8c, 0x0c, 1, 2, 3, 4, 5, 6);
static const Guid unknown_type = GUID_INIT(0x11111111, 0x2222, 0x4333, 0x84, 0x44, 5, 5, 5, 5, 5, 5);

/* How a write is spoilt. */
typedef enum Spoil {
        INTACT,
        NO_HEADER,         /* the data alone */
        HEADER_CUT,        /* ends one byte before the certificate's data */
        LENGTH_TOO_LONG,   /* the certificate would reach past the end */
        LENGTH_TOO_SHORT,  /* … would end within its own header */
        NO_SIGNATURE,      /* … is empty */
        SIGNATURE_FLIPPED, /* a bit in the signature's last byte */
        DATA_FLIPPED,      /* a bit in the data's last byte */
        DATA_CUT,          /* the data's last byte is missing */
        OTHER_CERTIFICATE, /* not WIN_CERT_TYPE_EFI_GUID */
        OTHER_KIND,        /* not EFI_CERT_TYPE_PKCS7_GUID */
        NANOSECOND,        /* the time's field is set, and signed so */
        TIME_ZONE,         /* likewise */
        SIGNED_FOR_KEK,    /* the signature is over another variable's name */
        SIGNED_FOR_SET,    /* … over the attributes of a replacement */
        SIGNED_FOR_APPEND, /* … over the attributes of an append */
        WRAPPED,           /* ContentInfo around the SignedData */
        TYPE_UNKNOWN,      /* a signature type that the specification does not have; signed so */
        LIST_CUT,          /* the last list is one byte short; signed so */
        SIZE_WRONG,        /* a SHA-256 entry of 31 bytes; signed so */
        LARGE,             /* more data than any variable may have; signed so */
} Spoil;

/* DATA: certificates and digests, a signature list each: "db" is a certificate of the test keys, "1" a SHA-256 digest;
 * behind a slash it belongs to another owner. NULL is no data. For variables of other kinds it is their content. */
typedef struct Write {
        const char *name;
        const char *variable; /* "PK", "KEK", "db", "dbx", "global:NAME", "own:NAME" */
        uint32_t attributes;
        int time;           /* seconds after the epoch of this list */
        const char *signer; /* NULL: not an authenticated write */
        const char *data;
        Spoil spoil;
        EfiStatus status;
} Write;

#define GOOD EFI_STATUS_SUCCESS
#define INVALID EFI_STATUS_INVALID_PARAMETER
#define PROTECTED EFI_STATUS_WRITE_PROTECTED
#define ABSENT EFI_STATUS_NOT_FOUND
#define REFUSED EFI_STATUS_SECURITY_VIOLATION

/* clang-format off */
static const Write writes[] = {
        /* Setup Mode: form counts, signatures don't, but for PK. */
        {"setup-plain-attributes", "db", PLAIN, 100, "KEK", "db", INTACT, INVALID},
        {"setup-no-header", "db", SET, 100, "KEK", "db", NO_HEADER, REFUSED},
        {"setup-header-cut", "db", SET, 100, "KEK", "db", HEADER_CUT, REFUSED},
        {"setup-length-too-long", "db", SET, 100, "KEK", "db", LENGTH_TOO_LONG, REFUSED},
        {"setup-length-too-short", "db", SET, 100, "KEK", "db", LENGTH_TOO_SHORT, REFUSED},
        {"setup-delete-absent", "db", SET, 100, "KEK", NULL, INTACT, ABSENT},
        {"setup-append-nothing-to-absent", "db", APPEND, 100, "KEK", NULL, INTACT, GOOD},
        {"setup-foreign-signer", "db", SET, 100, "foreign-db", "db", INTACT, GOOD},
        {"setup-older", "db", SET, 50, "KEK", "db foreign-db", INTACT, GOOD},
        {"setup-signature-flipped", "db", SET, 60, "KEK", "db", SIGNATURE_FLIPPED, GOOD},
        {"setup-no-signature", "db", SET, 60, "KEK", "db", NO_SIGNATURE, GOOD},
        {"setup-other-certificate", "db", SET, 60, "KEK", "foreign-db", OTHER_CERTIFICATE, GOOD},
        {"setup-nanosecond", "db", SET, 60, "KEK", "db", NANOSECOND, GOOD},
        {"setup-append", "db", APPEND, 10, "KEK", "foreign-db", INTACT, GOOD},
        {"setup-append-present", "db", APPEND, 10, "KEK", "db", INTACT, GOOD},
        {"setup-unknown-type", "db", SET, 200, "KEK", "1", TYPE_UNKNOWN, INVALID},
        {"setup-list-cut", "db", SET, 200, "KEK", "db 1", LIST_CUT, INVALID},
        {"setup-size-wrong", "db", SET, 200, "KEK", "1", SIZE_WRONG, INVALID},
        {"setup-no-rsa", "KEK", SET, 200, "PK", "db-ec", INTACT, INVALID},
        {"setup-too-large", "db", SET, 200, "KEK", "db", LARGE, INVALID},
        {"setup-delete", "db", SET, 70, "KEK", NULL, INTACT, GOOD},
        {"setup-append-creates", "dbx", APPEND, 300, "KEK", "1", INTACT, GOOD},
        {"setup-db", "db", SET, 100, "KEK", "db", INTACT, GOOD},
        {"setup-kek", "KEK", SET, 100, "PK", "foreign-KEK KEK", INTACT, GOOD},
        {"setup-pk-foreign-signer", "PK", SET, 100, "foreign-PK", "PK", INTACT, REFUSED},
        {"setup-pk-two", "PK", SET, 100, "PK", "PK foreign-PK", INTACT, INVALID},
        {"setup-pk-flipped", "PK", SET, 100, "PK", "PK", SIGNATURE_FLIPPED, REFUSED},
        {"setup-pk-plain-attributes", "PK", PLAIN, 100, "PK", "PK", INTACT, INVALID},
        {"setup-pk-nanosecond", "PK", SET, 100, "PK", "PK", NANOSECOND, REFUSED},
        {"setup-pk-signed-for-append", "PK", SET, 100, "PK", "PK", SIGNED_FOR_APPEND, REFUSED},
        {"setup-pk", "PK", SET, 100, "PK", "PK", INTACT, GOOD},

        /* User Mode: who may sign what. */
        {"kek-signs-db", "db", SET, 110, "KEK", "db 1", INTACT, GOOD},
        {"other-kek-signs-db", "db", SET, 120, "foreign-KEK", "db", INTACT, GOOD},
        {"pk-signs-db", "db", SET, 130, "PK", "db 2", INTACT, GOOD},
        {"db-signs-db", "db", SET, 140, "db", "db", INTACT, REFUSED},
        {"foreign-signs-db", "db", SET, 140, "foreign-db", "db", INTACT, REFUSED},
        {"kek-signs-kek", "KEK", SET, 140, "KEK", "KEK", INTACT, REFUSED},
        {"foreign-pk-signs-kek", "KEK", SET, 140, "foreign-PK", "KEK", INTACT, REFUSED},
        {"kek-signs-pk", "PK", SET, 140, "KEK", "foreign-PK", INTACT, REFUSED},
        {"new-pk-signs-itself", "PK", SET, 140, "foreign-PK", "foreign-PK", INTACT, REFUSED},
        {"pk-signs-kek", "KEK", SET, 140, "PK", "KEK foreign-KEK", INTACT, GOOD},
        {"pk-appends-kek", "KEK", APPEND, 141, "PK", "chain-intermediate", INTACT, GOOD},
        {"below-kek-signs-db", "db", SET, 150, "chain-leaf", "db", INTACT, GOOD},

        /* Timestamps. */
        {"time-equal", "db", SET, 150, "KEK", "db 3", INTACT, REFUSED},
        {"time-older", "db", SET, 149, "KEK", "db 3", INTACT, REFUSED},
        {"time-a-second-later", "db", SET, 151, "KEK", "db 3", INTACT, GOOD},
        {"time-older-append", "db", APPEND, 10, "KEK", "4", INTACT, GOOD},
        {"time-equal-after-older-append", "db", SET, 151, "KEK", "db", INTACT, REFUSED},
        {"time-later-append", "db", APPEND, 160, "KEK", "5", INTACT, GOOD},
        {"time-before-later-append", "db", SET, 155, "KEK", "db", INTACT, REFUSED},
        {"time-nothing-appended-but-later", "db", APPEND, 170, "KEK", "5", INTACT, GOOD},
        {"time-before-nothing-appended", "db", SET, 165, "KEK", "db", INTACT, REFUSED},
        {"time-years-later", "db", SET, 100000000, "KEK", "db", INTACT, GOOD},
        {"time-later-month-earlier-year", "db", SET, 90000000, "KEK", "db 1", INTACT, REFUSED},
        {"time-zone", "db", SET, 100000001, "KEK", "db 1", TIME_ZONE, REFUSED},
        {"time-nanosecond", "db", SET, 100000001, "KEK", "db 1", NANOSECOND, REFUSED},

        /* Appends. */
        {"append-foreign-signer", "dbx", APPEND, 400, "foreign-db", "6", INTACT, REFUSED},
        {"append", "dbx", APPEND, 400, "KEK", "7 1 8", INTACT, GOOD},
        {"append-other-owner", "dbx", APPEND, 400, "KEK", "7/", INTACT, GOOD},
        {"append-by-pk", "dbx", APPEND, 400, "PK", "9", INTACT, GOOD},
        {"append-nothing", "dbx", APPEND, 401, "KEK", NULL, INTACT, GOOD},
        {"append-signed-for-set", "dbx", APPEND, 401, "KEK", "10", SIGNED_FOR_SET, REFUSED},
        {"append-no-rsa", "db", APPEND, 401, "KEK", "db-ec", INTACT, INVALID},

        /* Form, in User Mode. */
        {"form-signed-for-append", "db", SET, 100000002, "KEK", "db 1", SIGNED_FOR_APPEND, REFUSED},
        {"form-signed-for-kek", "db", SET, 100000002, "KEK", "db 1", SIGNED_FOR_KEK, REFUSED},
        {"form-signature-flipped", "db", SET, 100000002, "KEK", "db 1", SIGNATURE_FLIPPED, REFUSED},
        {"form-data-flipped", "db", SET, 100000002, "KEK", "db 1", DATA_FLIPPED, REFUSED},
        {"form-data-cut", "db", SET, 100000002, "KEK", "db 1", DATA_CUT, REFUSED},
        {"form-no-signature", "db", SET, 100000002, "KEK", "db 1", NO_SIGNATURE, REFUSED},
        {"form-header-cut", "db", SET, 100000002, "KEK", "db 1", HEADER_CUT, REFUSED},
        {"form-no-header", "db", SET, 100000002, "KEK", "db 1", NO_HEADER, REFUSED},
        {"form-other-certificate", "db", SET, 100000002, "KEK", "db 1", OTHER_CERTIFICATE, REFUSED},
        {"form-other-kind", "db", SET, 100000002, "KEK", "db 1", OTHER_KIND, REFUSED},
        {"form-unknown-type", "db", SET, 100000002, "KEK", "1", TYPE_UNKNOWN, INVALID},
        {"form-list-cut", "db", SET, 100000002, "KEK", "db 1", LIST_CUT, INVALID},
        {"form-too-large", "db", SET, 100000002, "KEK", "db", LARGE, INVALID},
        {"form-wrapped", "db", SET, 100000003, "KEK", "db 1", WRAPPED, GOOD},

        /* Attributes. */
        {"attributes-none", "db", 0, 100000004, "KEK", "db", INTACT, INVALID},
        {"attributes-plain", "db", PLAIN, 100000004, "KEK", "db", INTACT, INVALID},
        {"attributes-volatile", "db", 0x26, 100000004, "KEK", "db", INTACT, INVALID},
        {"attributes-boot-only", "db", 0x23, 100000004, "KEK", "db", INTACT, INVALID},
        {"attributes-runtime-only", "db", 0x25, 100000004, "KEK", "db", INTACT, INVALID},
        {"attributes-both-kinds", "db", 0x37, 100000004, "KEK", "db", INTACT, EFI_STATUS_UNSUPPORTED},
        {"attributes-counter", "db", 0x17, 100000004, "KEK", "db", INTACT, EFI_STATUS_UNSUPPORTED},
        {"attributes-reserved", "db", 0xa7, 100000004, "KEK", "db", INTACT, INVALID},

        /* Other variables. */
        {"other-secure-boot", "global:SecureBoot", 0x06, 0, NULL, "1", INTACT, PROTECTED},
        {"other-setup-mode", "global:SetupMode", 0x06, 0, NULL, "1", INTACT, PROTECTED},
        {"other-unspecified-name", "global:LanzaTest", PLAIN, 0, NULL, "text", INTACT, INVALID},
        {"other-create", "own:Plain", PLAIN, 0, NULL, "text", INTACT, GOOD},
        {"other-append", "own:Plain", PLAIN | 0x40, 0, NULL, "more", INTACT, GOOD},
        {"other-attributes-change", "own:Plain", 0x27, 500, "db", "text", INTACT, INVALID},
        {"other-delete", "own:Plain", PLAIN, 0, NULL, NULL, INTACT, GOOD},
        {"other-volatile", "own:Volatile", 0x06, 0, NULL, "text", INTACT, INVALID},
        {"other-boot-only", "own:BootOnly", 0x03, 0, NULL, "text", INTACT, INVALID},
        {"private-create", "own:Private", SET, 500, "db", "text", INTACT, GOOD},
        {"private-other-signer", "own:Private", SET, 501, "KEK", "other", INTACT, REFUSED},
        {"private-equal-time", "own:Private", SET, 500, "db", "other", INTACT, REFUSED},
        {"private-first-signer", "own:Private", SET, 501, "db", "other", INTACT, GOOD},
        {"private-append", "own:Private", APPEND, 10, "db", "more", INTACT, GOOD},

        /* PK replaced, and removed. */
        {"pk-equal-time", "PK", SET, 100, "PK", "foreign-PK", INTACT, REFUSED},
        {"pk-replaced", "PK", SET, 101, "PK", "foreign-PK", INTACT, GOOD},
        {"pk-old-signs-kek", "KEK", SET, 200, "PK", "KEK", INTACT, REFUSED},
        {"pk-new-signs-kek", "KEK", SET, 200, "foreign-PK", "KEK", INTACT, GOOD},
        {"pk-old-signs-pk", "PK", SET, 102, "PK", "PK", INTACT, REFUSED},
        {"pk-back", "PK", SET, 102, "foreign-PK", "PK", INTACT, GOOD},
        {"pk-append-nothing", "PK", APPEND, 103, "PK", NULL, INTACT, GOOD},
        {"pk-removed-by-foreign", "PK", SET, 104, "foreign-PK", NULL, INTACT, REFUSED},
        {"pk-removed-by-kek", "PK", SET, 104, "KEK", NULL, INTACT, REFUSED},
        {"pk-removed-equal-time", "PK", SET, 103, "PK", NULL, INTACT, REFUSED},
        {"pk-removed", "PK", SET, 104, "PK", NULL, INTACT, GOOD},
        {"setup-again-older", "db", SET, 1, "foreign-db", "db", INTACT, GOOD},
        {"setup-again-kek-deleted", "KEK", SET, 1, "foreign-PK", NULL, INTACT, GOOD},
        {"setup-again-pk-wrapped", "PK", SET, 1, "foreign-PK", "foreign-PK", WRAPPED, GOOD},
        {"no-kek-signs-db", "db", SET, 2, "KEK", "db", INTACT, ABSENT},
};
/* clang-format on */

static void variable_of(const Write *write, const Guid **ret_vendor, const char **ret_name) {
        const char *colon = strchr(write->variable, ':');

        *ret_name = colon ? colon + 1 : write->variable;
        if (g_str_has_prefix(write->variable, "own:"))
                *ret_vendor = &test_vendor;
        else if (g_str_has_prefix(write->variable, "db"))
                *ret_vendor = &efi_image_security_database_guid;
        else
                *ret_vendor = &efi_global_variable_guid;
}

static void append_item(Buffer *lists, const char *item, const Write *write) {
        _cleanup_(buffer_done) Buffer list = {};
        const Guid *owner = g_str_has_suffix(item, "/") ? &foreign_owner : &test_vendor;
        const Guid *type = write->spoil == TYPE_UNKNOWN ? &unknown_type : &signature_type_sha256;

        if (g_ascii_isdigit(*item)) {
                uint8_t digest[SHA256_SIZE];

                memset(digest, atoi(item), sizeof(digest));
                g_assert_cmpint(signature_database_add(&list, type, owner, (Span){digest, sizeof(digest)}), ==, 1);
        } else {
                _cleanup_(certificate_unrefp) Certificate *certificate = test_certificate(item);

                g_assert_cmpint(
                        signature_database_add(&list, &signature_type_x509, owner, certificate_der(certificate)), ==,
                        1);
        }
        g_assert_cmpint(buffer_append(lists, buffer_span(&list)), ==, 0);
}

/* In its list's two sizes too. */
static void shorten_entry(Buffer *list) {
        list->size--;
        list->data[16]--;
        list->data[24]--;
}

static void make_data(const Write *write, Buffer *ret) {
        if (!write->data)
                return;
        if (strchr(write->variable, ':')) {
                g_assert_cmpint(buffer_append_string(ret, write->data), ==, 0);
                return;
        }
        g_auto(GStrv) items = g_strsplit(write->data, " ", -1);
        for (char **item = items; *item; item++)
                append_item(ret, *item, write);
        if (write->spoil == LIST_CUT)
                ret->size--;
        if (write->spoil == SIZE_WRONG)
                shorten_entry(ret);
        if (write->spoil == LARGE)
                for (int i = 0; i < 600; i++)
                        append_item(ret, "1", write);
}

/* The header: EFI_TIME (16), length (4), revision (2), type (2), kind (16). */
enum { LENGTH = 16, TYPE = 22, KIND = 24, SIGNATURE = 40 };

static void set_length(Buffer *update, uint32_t length) {
        for (int i = 0; i < 4; i++)
                update->data[LENGTH + i] = length >> (8 * i);
}

static void append_der_length(Buffer *buffer, size_t length) {
        uint8_t bytes[] = {0x82, length >> 8, length & 0xff};

        g_assert_cmpint(buffer_append(buffer, (Span){bytes, sizeof(bytes)}), ==, 0);
}

/* ContentInfo: SEQUENCE of the OID of SignedData and, explicitly tagged, the SignedData. */
static void wrap(Buffer *update, size_t signature_size) {
        static const uint8_t oid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
        _cleanup_(buffer_done) Buffer wrapped = {};

        g_assert_cmpint(buffer_append(&wrapped, (Span){update->data, SIGNATURE}), ==, 0);
        g_assert_cmpint(buffer_append_u8(&wrapped, 0x30), ==, 0);
        append_der_length(&wrapped, sizeof(oid) + 4 + signature_size);
        g_assert_cmpint(buffer_append(&wrapped, (Span){oid, sizeof(oid)}), ==, 0);
        g_assert_cmpint(buffer_append_u8(&wrapped, 0xa0), ==, 0);
        append_der_length(&wrapped, signature_size);
        g_assert_cmpint(buffer_append(&wrapped, (Span){update->data + SIGNATURE, update->size - SIGNATURE}), ==, 0);
        set_length(&wrapped, SIGNATURE - LENGTH + signature_size + 4 + sizeof(oid) + 4);
        buffer_done(update);
        *update = TAKE_STRUCT(wrapped);
}

static void remove_bytes(Buffer *buffer, size_t offset, size_t count) {
        memmove(buffer->data + offset, buffer->data + offset + count, buffer->size - offset - count);
        buffer->size -= count;
}

static void spoil_update(Buffer *update, Spoil spoil, size_t signature_size) {
        switch (spoil) {
        case NO_HEADER:
                remove_bytes(update, 0, SIGNATURE + signature_size);
                break;
        case HEADER_CUT:
                update->size = SIGNATURE - 1;
                break;
        case LENGTH_TOO_LONG:
                set_length(update, update->size - LENGTH + 1);
                break;
        case LENGTH_TOO_SHORT:
                set_length(update, SIGNATURE - LENGTH - 1);
                break;
        case NO_SIGNATURE:
                remove_bytes(update, SIGNATURE, signature_size);
                set_length(update, SIGNATURE - LENGTH);
                break;
        case SIGNATURE_FLIPPED:
                update->data[SIGNATURE + signature_size - 1] ^= 1;
                break;
        case DATA_FLIPPED:
                update->data[update->size - 1] ^= 1;
                break;
        case DATA_CUT:
                update->size--;
                break;
        case OTHER_CERTIFICATE:
                update->data[TYPE] = 2;
                break;
        case OTHER_KIND:
                update->data[KIND] ^= 1;
                break;
        case WRAPPED:
                wrap(update, signature_size);
                break;
        default:
                break;
        }
}

static void sign_write(const Write *write, Span data, Buffer *ret) {
        _cleanup_(signer_freep) Signer *signer = test_signer(write->signer);
        AuthenticatedContent content = {.attributes = write->attributes, .data = data};
        AuthenticatedUpdate parsed;

        variable_of(write, &content.vendor, &content.name);
        g_assert_cmpint(efi_time_from_seconds(EPOCH + write->time, &content.timestamp), ==, 0);
        if (write->spoil == NANOSECOND)
                content.timestamp.bytes[8] = 1;
        if (write->spoil == TIME_ZONE)
                content.timestamp.bytes[12] = 60;
        if (write->spoil == SIGNED_FOR_KEK)
                content.name = "KEK";
        if (write->spoil == SIGNED_FOR_SET)
                content.attributes = SET;
        if (write->spoil == SIGNED_FOR_APPEND)
                content.attributes = APPEND;
        g_assert_cmpint(authenticated_update_make(&content, signer, ret), ==, 0);
        g_assert_cmpint(authenticated_update_parse(buffer_span(ret), &parsed), ==, 0);
        spoil_update(ret, write->spoil, parsed.signed_data.size);
}

/* What is passed to SetVariable(). */
static void make_write(const Write *write, Buffer *ret) {
        _cleanup_(buffer_done) Buffer data = {};

        make_data(write, &data);
        if (write->signer)
                sign_write(write, buffer_span(&data), ret);
        else
                *ret = TAKE_STRUCT(data);
}

static EfiStatus apply(Variables *variables, const Write *write) {
        _cleanup_(buffer_done) Buffer data = {};
        const Guid *vendor;
        const char *name;

        variable_of(write, &vendor, &name);
        make_write(write, &data);
        int r = variables_write(variables, vendor, name, write->attributes, buffer_span(&data), /* failure= */ NULL);
        EfiStatus status = variables_memory_last_status(variables);
        g_assert_cmpint(r == 0, ==, status == EFI_STATUS_SUCCESS);
        return status;
}

static void print_write(Variables *variables, size_t number, const Write *write) {
        EfiStatus status = apply(variables, write);
        _cleanup_(buffer_done) Buffer content = {};
        g_autofree char *digest = NULL;
        const Guid *vendor;
        const char *name;
        bool setup_mode;
        Sha256 sha256;

        variable_of(write, &vendor, &name);
        g_assert_cmpint(variables_read_flag(variables, &efi_global_variable_guid, "SetupMode", false, &setup_mode), ==,
                        0);
        if (variables_read(variables, vendor, name, /* ret_attributes= */ NULL, &content) >= 0) {
                g_assert_cmpint(sha256_of(buffer_span(&content), &sha256), ==, 0);
                digest = hex_encode((Span){sha256.bytes, sizeof(sha256.bytes)});
        }
        printf("%zu %s %s %d %s\n", number, write->name,
               status == GOOD ? "0" : strerrorname_np(-efi_status_errno(status)), setup_mode, digest ?: "-");
}

static int print_all(void) {
        _cleanup_(variables_freep) Variables *variables = NULL;

        g_assert_cmpint(variables_new_memory(&variables), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(writes); i++)
                print_write(variables, i, &writes[i]);
        return 0;
}

static void emit(const char *folder, size_t number, const Write *write, GString *list) {
        _cleanup_(buffer_done) Buffer data = {}, file = {};
        g_autofree char *name = g_strdup_printf("%zu.bin", number);
        char vendor_text[GUID_TEXT_SIZE];
        const Guid *vendor;
        const char *variable;

        variable_of(write, &vendor, &variable);
        guid_format(vendor, vendor_text);
        make_write(write, &data);
        g_assert_cmpint(buffer_append_u32(&file, write->attributes), ==, 0);
        g_assert_cmpint(buffer_append(&file, buffer_span(&data)), ==, 0);
        test_write(folder, name, file.data, file.size, 0600);
        g_string_append_printf(list, "%zu %s %s-%s\n", number, write->name, variable, vendor_text);
}

static int emit_all(const char *folder) {
        g_autoptr(GString) list = g_string_new(NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(writes); i++)
                emit(folder, i, &writes[i], list);
        test_write(folder, "list", list->str, list->len, 0600);
        return 0;
}

static void test_answers_as_real_firmware(void) {
        _cleanup_(variables_freep) Variables *variables = NULL;

        g_assert_cmpint(variables_new_memory(&variables), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(writes); i++) {
                EfiStatus status = apply(variables, &writes[i]);

                if (status != writes[i].status)
                        g_test_message("at %s", writes[i].name);
                g_assert_cmpstr(efi_status_name(status), ==, efi_status_name(writes[i].status));
        }
}

static void test_refused_writes_change_nothing(void) {
        _cleanup_(variables_freep) Variables *variables = NULL;

        g_assert_cmpint(variables_new_memory(&variables), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(writes); i++) {
                _cleanup_(buffer_done) Buffer before = {}, after = {};
                const Guid *vendor;
                const char *name;

                variable_of(&writes[i], &vendor, &name);
                (void)variables_read(variables, vendor, name, /* ret_attributes= */ NULL, &before);
                EfiStatus status = apply(variables, &writes[i]);
                (void)variables_read(variables, vendor, name, /* ret_attributes= */ NULL, &after);
                if (status != EFI_STATUS_SUCCESS)
                        g_assert_cmpmem(before.data, before.size, after.data, after.size);
        }
}

int main(int argc, char **argv) {
        if (argc == 2 && strcmp(argv[1], "--print") == 0)
                return print_all();
        if (argc == 3 && strcmp(argv[1], "--emit") == 0)
                return emit_all(argv[2]);

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/firmware/agreement/answers-as-real-firmware", test_answers_as_real_firmware);
        g_test_add_func("/firmware/agreement/refused-writes-change-nothing", test_refused_writes_change_nothing);
        return g_test_run();
}
