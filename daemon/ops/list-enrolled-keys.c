/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/list-enrolled-keys.h"

#include <errno.h>
#include <string.h>

#include "daemon/crypto/certificate.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/vendor-certificates.h"
#include "daemon/ops/context.h"
#include "daemon/ops/parameters.h"
#include "daemon/util/encode.h"

typedef struct ListParameters {
        char *variable;
} ListParameters;

static const Field parameter_fields[] = {
        {.name = "variable",
         .type = FIELD_STRING,
         .offset = offsetof(ListParameters, variable),
         .help = "only this one: PK, KEK, db or dbx",
         .argument = "NAME"},
};

typedef struct EnrolledKey {
        char *variable;
        char *type;  /* "x509", "sha256", …; a GUID where it has no name */
        char *owner; /* GUID */
        char *subject;
        char *fingerprint; /* certificates: SHA-256 of the DER; others: the digest itself */
        uint64_t not_after;
        char *origin; /* "own": the key store's certificate of that role, or one it held; "microsoft"; "foreign" */
} EnrolledKey;

static const Field key_fields[] = {
        FIELD(EnrolledKey, variable, FIELD_STRING, "variable"),
        FIELD(EnrolledKey, type, FIELD_STRING, "type"),
        FIELD(EnrolledKey, owner, FIELD_STRING, "owner"),
        FIELD(EnrolledKey, subject, FIELD_STRING, "subject"),
        FIELD(EnrolledKey, fingerprint, FIELD_STRING, "fingerprint"),
        FIELD(EnrolledKey, not_after, FIELD_UNSIGNED, "not-after"),
        FIELD(EnrolledKey, origin, FIELD_STRING, "origin"),
};

static const Record key_record = RECORD(EnrolledKey, key_fields);

typedef struct ListResult {
        RecordList keys;
} ListResult;

static const Field result_fields[] = {FIELD_LIST(ListResult, keys, key_record, "keys")};
static const Record parameters_record = RECORD(ListParameters, parameter_fields);
static const Record result_record = RECORD(ListResult, result_fields);

/* Owned; NULL if memory is short. */
static char *origin_of(const Context *context, const SignatureEntry *entry, const Certificate *certificate) {
        int held = certificate ? key_store_has_held(context->keys, certificate) : 0;

        if (held < 0)
                return NULL;
        if (held > 0)
                return strdup("own");
        /* Some firmware has Microsoft's certificates with an owner of its own. */
        if (guid_equal(&entry->owner, &signature_owner_microsoft) ||
            (certificate && vendor_certificate_is(entry->data)))
                return strdup("microsoft");
        return strdup("foreign");
}

static char *guid_text(const Guid *guid) {
        char text[GUID_TEXT_SIZE];

        guid_format(guid, text);
        return strdup(text);
}

static int fill_certificate(EnrolledKey *key, const Certificate *certificate) {
        const Sha256 *fingerprint = certificate_fingerprint(certificate);
        int64_t end = certificate_not_after(certificate);

        key->subject = strdup(certificate_subject(certificate));
        key->fingerprint = hex_encode((Span){fingerprint->bytes, SHA256_SIZE});
        key->not_after = end > 0 ? end : 0;
        return key->subject && key->fingerprint ? 0 : -ENOMEM;
}

static int add_entry(const Context *context, const char *variable, const SignatureEntry *entry, RecordList *list) {
        _cleanup_(certificate_unrefp) Certificate *certificate = NULL;
        EnrolledKey *key = record_list_add(list, &key_record);
        const char *type = signature_type_name(&entry->type);
        int r = 0;

        if (!key)
                return -ENOMEM;
        /* What calls itself a certificate and is none is shown like a digest: firmware holds it all the same. */
        if (guid_equal(&entry->type, &signature_type_x509))
                r = certificate_from_der(entry->data, &certificate);
        if (r == -ENOMEM)
                return r;
        key->variable = strdup(variable);
        key->type = type ? strdup(type) : guid_text(&entry->type);
        key->owner = guid_text(&entry->owner);
        key->origin = origin_of(context, entry, certificate);
        r = 0;
        if (certificate)
                r = fill_certificate(key, certificate);
        else if (!(key->fingerprint = hex_encode(entry->data)))
                r = -ENOMEM;
        return r < 0 || !key->variable || !key->type || !key->owner || !key->origin ? -ENOMEM : 0;
}

static int list_variable(const Context *context, const char *name, Span database, RecordList *list) {
        SignatureIterator iterator = signature_iterator(database);
        SignatureEntry entry;
        int r;

        while ((r = signature_iterator_next(&iterator, &entry)) > 0) {
                r = add_entry(context, name, &entry, list);
                if (r < 0)
                        return r;
        }
        return r;
}

static int check_variable(const char *name, Failure *failure) {
        for (SecureVariable variable = 0; name && variable < SECURE_VARIABLE_COUNT; variable++)
                if (strcmp(name, secure_variable_name(variable)) == 0)
                        return 0;
        if (!name)
                return 0;
        return parameter_refused(failure, "'%s' is no variable that holds keys: PK, KEK, db and dbx are", name);
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState state = {};
        const ListParameters *asked = parameters;
        ListResult *made = result;
        int r;

        r = check_variable(asked->variable, failure);
        if (r < 0)
                return r;
        if (!context->variables)
                return context_no_variables(context, "to read keys from", failure);
        r = secure_boot_state_read(context->variables, &state, failure);
        for (SecureVariable variable = 0; r >= 0 && variable < SECURE_VARIABLE_COUNT; variable++) {
                const char *name = secure_variable_name(variable);

                if (!asked->variable || strcmp(asked->variable, name) == 0)
                        r = list_variable(context, name, buffer_span(&state.variables[variable].lists), &made->keys);
        }
        return r < 0 ? r : 0;
}

const Operation list_enrolled_keys_operation = {
        .verb = "list-enrolled-keys",
        .help = "show what PK, KEK, db and dbx hold",
        .parameters = &parameters_record,
        .result = &result_record,
        .run = run,
};
