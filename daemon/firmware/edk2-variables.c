/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What edk2 does at runtime when an operating system calls SetVariable(), in edk2's order of checks, so that a write
 * that is wrong in two ways gets the same status. In edk2 this is spread over the variable driver (attributes, sizes,
 * storage), its check libraries (which names exist in the specification's namespaces), and AuthVariableLib (who may
 * write what). UEFI specification, 8.2.
 *
 * Left out: hardware error records, MOR, what only happens before an operating system runs, and deletion by a user who
 * is physically present. */

#include "daemon/firmware/edk2-variables.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "daemon/crypto/certificate.h"
#include "daemon/crypto/signed-data.h"
#include "daemon/firmware/authenticated-update.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"

enum {
        VARIABLE_HARDWARE_ERROR_RECORD = 0x08,
        VARIABLE_AUTHENTICATED = 0x10, /* by a counter: no longer supported */
        ATTRIBUTES_KNOWN = 0x7f,
        ATTRIBUTES_VOLATILE_READABLE = VARIABLE_BOOTSERVICE_ACCESS | VARIABLE_RUNTIME_ACCESS,
        ATTRIBUTES_BOOT_ONLY = VARIABLE_NON_VOLATILE | VARIABLE_BOOTSERVICE_ACCESS,

        /* PcdMaxAuthVariableSize of OVMF, which counts header and name. */
        VARIABLE_STORED_SIZE_MAX = 0x8400,
};

static const Guid secure_boot_enable_guid =
        GUID_INIT(0xf0a30bc7, 0xaf08, 0x4556, 0x99, 0xc4, 0x00, 0x10, 0x09, 0xc9, 0x3a, 0x44);

/* A call of SetVariable(), taken apart as far as its form allows. */
typedef struct Call {
        MemoryStore *store;
        const Guid *vendor;
        const char *name;
        uint32_t attributes;
        Span data;                  /* as passed */
        AuthenticatedUpdate update; /* of a time-based authenticated one */
        Span payload;               /* what is to be stored */
} Call;

static bool is_append(const Call *call) {
        return call->attributes & VARIABLE_APPEND_WRITE;
}

static bool is_time_based(const Call *call) {
        return call->attributes & VARIABLE_TIME_BASED_AUTHENTICATED;
}

static bool names(const Call *call, const Guid *vendor, const char *name) {
        return guid_equal(call->vendor, vendor) && strcmp(call->name, name) == 0;
}

static bool is_pk(const Call *call) {
        return names(call, &efi_global_variable_guid, "PK");
}

static bool is_kek(const Call *call) {
        return names(call, &efi_global_variable_guid, "KEK");
}

static bool is_database(const Call *call) {
        return names(call, &efi_image_security_database_guid, "db") ||
               names(call, &efi_image_security_database_guid, "dbx") ||
               names(call, &efi_image_security_database_guid, "dbt");
}

static bool in_setup_mode(const MemoryStore *store) {
        const MemoryVariable *mode = memory_store_find(store, &efi_global_variable_guid, "SetupMode");

        return mode && mode->data.size == 1 && mode->data.data[0] == 1;
}

/* VariableServiceSetVariable(): attributes alone. */
static EfiStatus check_attributes(const Call *call) {
        uint32_t a = call->attributes;
        uint32_t access = a & (VARIABLE_RUNTIME_ACCESS | VARIABLE_BOOTSERVICE_ACCESS);

        if (a & ~(uint32_t)ATTRIBUTES_KNOWN)
                return EFI_STATUS_INVALID_PARAMETER;
        if (access == VARIABLE_RUNTIME_ACCESS || (a & ~(uint32_t)VARIABLE_AUTHENTICATED) == VARIABLE_NON_VOLATILE)
                return a & VARIABLE_AUTHENTICATED ? EFI_STATUS_UNSUPPORTED : EFI_STATUS_INVALID_PARAMETER;
        if (a & VARIABLE_AUTHENTICATED)
                return EFI_STATUS_UNSUPPORTED;
        if (a & VARIABLE_HARDWARE_ERROR_RECORD)
                return EFI_STATUS_INVALID_PARAMETER;
        return EFI_STATUS_SUCCESS;
}

/* … and what stands before the payload. */
static EfiStatus take_apart(Call *call) {
        if (!is_time_based(call)) {
                call->payload = call->data;
                return EFI_STATUS_SUCCESS;
        }
        if (authenticated_update_parse(call->data, &call->update) < 0)
                return EFI_STATUS_SECURITY_VIOLATION;
        call->payload = call->update.data;
        return EFI_STATUS_SUCCESS;
}

/* Names of the specification's two namespaces: nothing else can be created there. ATTRIBUTES 0: read-only. */
static const struct {
        const Guid *vendor;
        const char *pattern;
        uint32_t attributes;
} specified[] = {
        {&efi_global_variable_guid, "PK", VARIABLE_ATTRIBUTES_SECURE},
        {&efi_global_variable_guid, "KEK", VARIABLE_ATTRIBUTES_SECURE},
        {&efi_image_security_database_guid, "db", VARIABLE_ATTRIBUTES_SECURE},
        {&efi_image_security_database_guid, "dbx", VARIABLE_ATTRIBUTES_SECURE},
        {&efi_image_security_database_guid, "dbt", VARIABLE_ATTRIBUTES_SECURE},
        {&efi_global_variable_guid, "SetupMode", 0},
        {&efi_global_variable_guid, "SecureBoot", 0},
        {&efi_global_variable_guid, "SignatureSupport", 0},
        {&efi_global_variable_guid, "VendorKeys", 0},
        {&efi_global_variable_guid, "PKDefault", 0},
        {&efi_global_variable_guid, "KEKDefault", 0},
        {&efi_global_variable_guid, "dbDefault", 0},
        {&efi_global_variable_guid, "dbxDefault", 0},
        {&efi_global_variable_guid, "dbtDefault", 0},
        {&efi_global_variable_guid, "BootCurrent", ATTRIBUTES_VOLATILE_READABLE},
        {&efi_global_variable_guid, "OsIndicationsSupported", ATTRIBUTES_VOLATILE_READABLE},
        {&efi_global_variable_guid, "OsIndications", 0x07},
        {&efi_global_variable_guid, "Timeout", 0x07},
        {&efi_global_variable_guid, "PlatformLang", 0x07},
        {&efi_global_variable_guid, "ConIn", 0x07},
        {&efi_global_variable_guid, "ConOut", 0x07},
        {&efi_global_variable_guid, "ErrOut", 0x07},
        {&efi_global_variable_guid, "BootOrder", 0x07},
        {&efi_global_variable_guid, "BootNext", 0x07},
        {&efi_global_variable_guid, "DriverOrder", 0x07},
        {&efi_global_variable_guid, "Boot[0-9A-F][0-9A-F][0-9A-F][0-9A-F]", 0x07},
        {&efi_global_variable_guid, "Driver[0-9A-F][0-9A-F][0-9A-F][0-9A-F]", 0x07},
        {&efi_global_variable_guid, "Key[0-9A-F][0-9A-F][0-9A-F][0-9A-F]", 0x07},
};

/* VarCheckLibSetVariableCheck(). */
static EfiStatus check_name(const Call *call) {
        bool deletes = (!is_append(call) && call->payload.size == 0) || call->attributes == 0;

        for (size_t i = 0; i < ARRAY_LENGTH(specified); i++) {
                if (!guid_equal(call->vendor, specified[i].vendor) || fnmatch(specified[i].pattern, call->name, 0) != 0)
                        continue;
                if (specified[i].attributes == 0)
                        return EFI_STATUS_WRITE_PROTECTED;
                if (!deletes && (call->attributes & ~(uint32_t)VARIABLE_APPEND_WRITE) != specified[i].attributes)
                        return EFI_STATUS_INVALID_PARAMETER;
                return EFI_STATUS_SUCCESS;
        }
        if (!deletes && (guid_equal(call->vendor, &efi_global_variable_guid) ||
                         guid_equal(call->vendor, &efi_image_security_database_guid)))
                return EFI_STATUS_INVALID_PARAMETER;
        return EFI_STATUS_SUCCESS;
}

/* A variable that exists keeps its attributes. */
static EfiStatus check_present(const Call *call) {
        const MemoryVariable *present = memory_store_find(call->store, call->vendor, call->name);

        if (!present)
                return EFI_STATUS_SUCCESS;
        if (!(present->attributes & VARIABLE_RUNTIME_ACCESS))
                return EFI_STATUS_WRITE_PROTECTED;
        if (call->attributes != 0 && (call->attributes & ~(uint32_t)VARIABLE_APPEND_WRITE) != present->attributes)
                return EFI_STATUS_INVALID_PARAMETER;
        return EFI_STATUS_SUCCESS;
}

/* UpdateVariable(): which timestamp a variable has afterwards. An append moves it forward only, and one that creates
 * the variable gives it none. */
static EfiTime new_timestamp(const Call *call, const MemoryVariable *present) {
        if (!is_time_based(call))
                return (EfiTime){};
        if (!is_append(call))
                return call->update.timestamp;
        if (!present)
                return (EfiTime){};
        return efi_time_compare(&present->timestamp, &call->update.timestamp) <= 0 ? call->update.timestamp
                                                                                   : present->timestamp;
}

/* UpdateVariable(): stores CONTENT, with a status only where storage itself says no. */
static int store_content(const Call *call, MemoryVariable *present, Span content, EfiStatus *ret) {
        EfiTime timestamp = new_timestamp(call, present);
        uint64_t old_size = present ? memory_store_size_of(call->name, present->data.size) : 0;
        uint64_t new_size = memory_store_size_of(call->name, content.size);

        if (new_size > VARIABLE_STORED_SIZE_MAX) {
                *ret = EFI_STATUS_INVALID_PARAMETER;
                return 0;
        }
        if (memory_store_used(call->store) - old_size + new_size > call->store->capacity) {
                *ret = EFI_STATUS_OUT_OF_RESOURCES;
                return 0;
        }
        int r = memory_store_set(call->store, call->vendor, call->name,
                                 call->attributes & ~(uint32_t)VARIABLE_APPEND_WRITE, content);
        if (r < 0)
                return r;
        memory_store_find(call->store, call->vendor, call->name)->timestamp = timestamp;
        *ret = EFI_STATUS_SUCCESS;
        return 0;
}

static int append_content(const Call *call, MemoryVariable *present, Span addition, EfiStatus *ret) {
        _cleanup_(buffer_done) Buffer content = {};
        int r;

        r = buffer_append(&content, buffer_span(&present->data));
        if (r < 0)
                return r;
        r = buffer_append(&content, addition);
        if (r < 0)
                return r;
        return store_content(call, present, buffer_span(&content), ret);
}

/* UpdateVariable(): replace, append, create or delete. */
static int update_variable(const Call *call, Span payload, EfiStatus *ret) {
        MemoryVariable *present = memory_store_find(call->store, call->vendor, call->name);
        bool deletes = (!is_append(call) && payload.size == 0) ||
                       !(call->attributes & (VARIABLE_RUNTIME_ACCESS | VARIABLE_BOOTSERVICE_ACCESS));

        if (!present) {
                if (payload.size == 0 && is_append(call))
                        *ret = EFI_STATUS_SUCCESS;
                else if (deletes)
                        *ret = EFI_STATUS_NOT_FOUND;
                else if (!(call->attributes & VARIABLE_RUNTIME_ACCESS) || !(call->attributes & VARIABLE_NON_VOLATILE))
                        *ret = EFI_STATUS_INVALID_PARAMETER;
                else
                        return store_content(call, /* present= */ NULL, payload, ret);
                return 0;
        }
        if (!(present->attributes & VARIABLE_NON_VOLATILE)) {
                *ret = EFI_STATUS_WRITE_PROTECTED;
                return 0;
        }
        if (deletes) {
                memory_store_remove(call->store, present);
                *ret = EFI_STATUS_SUCCESS;
                return 0;
        }
        return is_append(call) ? append_content(call, present, payload, ret)
                               : store_content(call, present, payload, ret);
}

/* AuthServiceInternalUpdateVariableWithTimeStamp(): what KEK, db, dbx and dbt contain is not appended again. */
static int update_lists(const Call *call, EfiStatus *ret) {
        const MemoryVariable *present = memory_store_find(call->store, call->vendor, call->name);
        _cleanup_(buffer_done) Buffer fresh = {};
        int r;

        if (!present || !is_append(call) || (!is_kek(call) && !is_database(call)))
                return update_variable(call, call->payload, ret);
        r = signature_database_difference(call->payload, buffer_span(&present->data), /* owners_matter= */ true,
                                          &fresh);
        if (r == -EBADMSG) {
                *ret = EFI_STATUS_INVALID_PARAMETER;
                return 0;
        }
        if (r < 0)
                return r;
        return update_variable(call, buffer_span(&fresh), ret);
}

/* CheckSignatureListFormat(), for one list: a type that the specification knows, of its size; and of certificates the
 * first one is looked at. */
static bool is_good_list(const SignatureList *list) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        uint32_t size, data_size = list->signature_size - GUID_SIZE;

        if (signature_type_data_size(&list->type, &size) < 0 || list->header.size != 0)
                return false;
        if (size != 0)
                return data_size == size;
        if (data_size == 0 || list->count == 0)
                return true;
        return certificate_from_der((Span){list->signatures.data + GUID_SIZE, data_size}, &certificate) >= 0 &&
               strcmp(certificate_key_type(certificate), "RSA") == 0;
}

static bool is_good_payload(const Call *call) {
        Span rest = call->payload;
        SignatureList list;
        size_t count = 0;
        int r;

        if (!is_pk(call) && !is_kek(call) && !is_database(call))
                return true;
        while ((r = signature_list_next(&rest, &list)) > 0) {
                if (!is_good_list(&list))
                        return false;
                count += list.count;
        }
        return r == 0 && !(is_pk(call) && count > 1);
}

/* Who has to have signed. */
typedef enum Authority {
        AUTHORITY_PK,           /* the certificate in PK */
        AUTHORITY_KEK,          /* one in KEK */
        AUTHORITY_PAYLOAD,      /* the certificate that is being written */
        AUTHORITY_FIRST_SIGNER, /* whoever signed the variable's first content */
} Authority;

/* FindHashAlgorithmIndex(): looks for SHA-256, SHA-384 or SHA-512 as the first digest algorithm at the two places where
 * it can stand, with and without ContentInfo around the SignedData. */
static bool has_usable_digest(Span signed_data) {
        static const uint8_t prefix[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02};
        static const struct { uint64_t length, algorithm; } places[] = {{1, 13}, {20, 32}};
        uint8_t length, last;
        Span algorithm;

        for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
                if (span_u8(signed_data, places[i].length, &length) < 0 || (length & 0x82) != 0x82)
                        continue;
                if (span_slice(signed_data, places[i].algorithm, sizeof(prefix), &algorithm) < 0 ||
                    span_u8(signed_data, places[i].algorithm + sizeof(prefix), &last) < 0)
                        continue;
                if (span_equal(algorithm, (Span){prefix, sizeof(prefix)}) && last >= 1 && last <= 3)
                        return true;
        }
        return false;
}

static bool is_signed_by(const Call *call, Certificate *anchor) {
        return authenticated_update_verify(&call->update, call->name, call->vendor, call->attributes, anchor) == 0;
}

static bool is_signed_by_der(const Call *call, Span der) {
        _cleanup_(certificate_unrefp) Certificate *anchor = NULL;

        return certificate_from_der(der, &anchor) >= 0 && is_signed_by(call, anchor);
}

static Certificate *top_of_chain(const SignedData *signature) {
        Certificate *top = NULL, *next;

        for (size_t i = 0; (next = signed_data_signer_chain(signature, i)); i++)
                top = next;
        return top;
}

/* By the platform key itself: nothing in between. */
static bool is_signed_by_pk(const Call *call) {
        const MemoryVariable *pk = memory_store_find(call->store, &efi_global_variable_guid, "PK");
        _cleanup_(signed_data_freep) SignedData *signature = NULL;
        SignatureEntry entry;

        if (!pk || signed_data_parse(call->update.signed_data, &signature, /* ret_size= */ NULL) < 0)
                return false;
        Certificate *top = top_of_chain(signature);
        SignatureIterator iterator = signature_iterator(buffer_span(&pk->data));
        return top && signature_iterator_next(&iterator, &entry) > 0 && span_equal(entry.data, certificate_der(top)) &&
               is_signed_by(call, top);
}

static bool is_signed_by_any(const Call *call, Span database) {
        SignatureIterator iterator = signature_iterator(database);
        SignatureEntry entry;

        while (signature_iterator_next(&iterator, &entry) > 0)
                if (guid_equal(&entry.type, &signature_type_x509) && is_signed_by_der(call, entry.data))
                        return true;
        return false;
}

static bool is_signed_by_payload(const Call *call) {
        SignatureIterator iterator = signature_iterator(call->payload);
        SignatureEntry entry;

        return signature_iterator_next(&iterator, &entry) > 0 && is_signed_by_der(call, entry.data);
}

/* Who a signer is, for a variable that belongs to its first one: common name and top certificate. */
static int signer_identity(const SignedData *signature, Certificate *top, Sha256 *ret) {
        const char *name = certificate_common_name(signed_data_signer_chain(signature, 0));
        _cleanup_(buffer_done) Buffer identity = {};
        uint8_t digest[DIGEST_SIZE_MAX];
        int r;

        r = certificate_tbs_digest(top, DIGEST_SHA256, digest);
        if (r < 0)
                return r;
        r = buffer_append_string(&identity, name);
        if (r < 0)
                return r;
        r = buffer_append(&identity, (Span){digest, SHA256_SIZE});
        if (r < 0)
                return r;
        return sha256_of(buffer_span(&identity), ret);
}

static bool is_signed_by_first_signer(const Call *call, const MemoryVariable *present, Sha256 *ret_signer) {
        _cleanup_(signed_data_freep) SignedData *signature = NULL;
        Sha256 signer;

        if (signed_data_parse(call->update.signed_data, &signature, /* ret_size= */ NULL) < 0)
                return false;
        Certificate *top = top_of_chain(signature);
        if (!top || signer_identity(signature, top, &signer) < 0)
                return false;
        if (present && !sha256_equal(&signer, &present->signer))
                return false;
        if (!is_signed_by(call, top))
                return false;
        *ret_signer = signer;
        return true;
}

/* VerifyTimeBasedPayload(). RET_SIGNER is set for AUTHORITY_FIRST_SIGNER. */
static EfiStatus verify(const Call *call, Authority authority, Sha256 *ret_signer) {
        const MemoryVariable *present = memory_store_find(call->store, call->vendor, call->name);
        const MemoryVariable *kek = memory_store_find(call->store, &efi_global_variable_guid, "KEK");
        bool verified = false;

        if (!efi_time_is_plain(&call->update.timestamp))
                return EFI_STATUS_SECURITY_VIOLATION;
        if (present && !is_append(call) && efi_time_compare(&call->update.timestamp, &present->timestamp) <= 0)
                return EFI_STATUS_SECURITY_VIOLATION;
        if (!call->update.is_pkcs7 || !has_usable_digest(call->update.signed_data))
                return EFI_STATUS_SECURITY_VIOLATION;

        switch (authority) {
        case AUTHORITY_PK:
                verified = is_signed_by_pk(call);
                break;
        case AUTHORITY_KEK:
                if (!kek)
                        return EFI_STATUS_NOT_FOUND;
                verified = is_signed_by_any(call, buffer_span(&kek->data));
                break;
        case AUTHORITY_PAYLOAD:
                verified = is_signed_by_payload(call);
                break;
        case AUTHORITY_FIRST_SIGNER:
                verified = is_signed_by_first_signer(call, present, ret_signer);
                break;
        }
        if (!verified)
                return EFI_STATUS_SECURITY_VIOLATION;
        return is_good_payload(call) ? EFI_STATUS_SUCCESS : EFI_STATUS_INVALID_PARAMETER;
}

static int verify_and_update(const Call *call, Authority authority, EfiStatus *ret) {
        Sha256 signer = {};

        EfiStatus status = verify(call, authority, &signer);
        if (status != EFI_STATUS_SUCCESS) {
                *ret = status;
                return 0;
        }
        int r = update_lists(call, ret);
        if (r < 0)
                return r;
        MemoryVariable *present = memory_store_find(call->store, call->vendor, call->name);
        if (present)
                present->signer = signer;
        return 0;
}

/* Setup Mode: nobody has to have signed, but the content must be of the right form. */
static int update_unverified(const Call *call, EfiStatus *ret) {
        if (!is_good_payload(call)) {
                *ret = EFI_STATUS_INVALID_PARAMETER;
                return 0;
        }
        return update_lists(call, ret);
}

static bool has_secure_attributes(const Call *call) {
        return (call->attributes & VARIABLE_NON_VOLATILE) && is_time_based(call);
}

/* ProcessVarWithPk() for PK: it decides about the mode. SecureBoot stays until the next start. */
static int process_pk(const Call *call, EfiStatus *ret) {
        bool setup = in_setup_mode(call->store);
        int r;

        if (!has_secure_attributes(call)) {
                *ret = EFI_STATUS_INVALID_PARAMETER;
                return 0;
        }
        r = verify_and_update(call, setup ? AUTHORITY_PAYLOAD : AUTHORITY_PK, ret);
        if (r < 0 || *ret != EFI_STATUS_SUCCESS)
                return r;

        uint8_t mode = !memory_store_find(call->store, &efi_global_variable_guid, "PK");
        return memory_store_set(call->store, &efi_global_variable_guid, "SetupMode", ATTRIBUTES_VOLATILE_READABLE,
                                (Span){&mode, sizeof(mode)});
}

/* ProcessVarWithPk() for KEK. */
static int process_kek(const Call *call, EfiStatus *ret) {
        if (!has_secure_attributes(call)) {
                *ret = EFI_STATUS_INVALID_PARAMETER;
                return 0;
        }
        if (in_setup_mode(call->store))
                return update_unverified(call, ret);
        return verify_and_update(call, AUTHORITY_PK, ret);
}

/* db, dbx, dbt: ProcessVarWithPk(), and where that refuses ProcessVarWithKek(). */
static int process_database(const Call *call, EfiStatus *ret) {
        int r;

        r = process_kek(call, ret);
        if (r < 0 || *ret == EFI_STATUS_SUCCESS || !has_secure_attributes(call) || in_setup_mode(call->store))
                return r;
        return verify_and_update(call, AUTHORITY_KEK, ret);
}

/* ProcessVariable(): everything else. */
static int process_other(const Call *call, EfiStatus *ret) {
        const MemoryVariable *present = memory_store_find(call->store, call->vendor, call->name);

        if (is_time_based(call))
                return verify_and_update(call, AUTHORITY_FIRST_SIGNER, ret);
        if (present && (present->attributes & VARIABLE_TIME_BASED_AUTHENTICATED)) {
                *ret = EFI_STATUS_WRITE_PROTECTED;
                return 0;
        }
        return update_variable(call, call->payload, ret);
}

/* What is wrong with a call whatever it wants to change. */
static EfiStatus check_call(Call *call) {
        EfiStatus status;

        status = check_attributes(call);
        if (status != EFI_STATUS_SUCCESS)
                return status;
        status = take_apart(call);
        if (status != EFI_STATUS_SUCCESS)
                return status;
        if (memory_store_size_of(call->name, call->payload.size) > VARIABLE_STORED_SIZE_MAX)
                return EFI_STATUS_INVALID_PARAMETER;
        status = check_name(call);
        if (status != EFI_STATUS_SUCCESS)
                return status;
        return check_present(call);
}

int edk2_set_variable(MemoryStore *store, const Guid *vendor, const char *name, uint32_t attributes, Span data,
                      EfiStatus *ret) {
        Call call = {.store = store, .vendor = vendor, .name = name, .attributes = attributes, .data = data};

        EfiStatus status = check_call(&call);
        if (status != EFI_STATUS_SUCCESS) {
                *ret = status;
                return 0;
        }
        if (is_pk(&call))
                return process_pk(&call, ret);
        if (is_kek(&call))
                return process_kek(&call, ret);
        if (is_database(&call))
                return process_database(&call, ret);
        return process_other(&call, ret);
}

static int set_flag(MemoryStore *store, const Guid *vendor, const char *name, uint32_t attributes, bool value) {
        uint8_t byte = value;

        return memory_store_set(store, vendor, name, attributes, (Span){&byte, sizeof(byte)});
}

/* AuthVariableLibInitialize(). SecureBootEnable is the switch in the firmware's settings. */
int edk2_start(MemoryStore *store) {
        int r;

        for (size_t i = store->count; i > 0; i--)
                if (!(store->variables[i - 1].attributes & VARIABLE_NON_VOLATILE))
                        memory_store_remove(store, &store->variables[i - 1]);

        bool user_mode = memory_store_find(store, &efi_global_variable_guid, "PK");
        if (user_mode && !memory_store_find(store, &secure_boot_enable_guid, "SecureBootEnable")) {
                r = set_flag(store, &secure_boot_enable_guid, "SecureBootEnable", ATTRIBUTES_BOOT_ONLY, true);
                if (r < 0)
                        return r;
        }
        const MemoryVariable *enable = memory_store_find(store, &secure_boot_enable_guid, "SecureBootEnable");
        bool secure_boot = user_mode && enable->data.size == 1 && enable->data.data[0] == 1;

        r = set_flag(store, &efi_global_variable_guid, "SetupMode", ATTRIBUTES_VOLATILE_READABLE, !user_mode);
        if (r < 0)
                return r;
        return set_flag(store, &efi_global_variable_guid, "SecureBoot", ATTRIBUTES_VOLATILE_READABLE, secure_boot);
}
