/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/create-keys.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/ops/certificate-record.h"
#include "daemon/ops/context.h"
#include "daemon/ops/parameters.h"
#include "daemon/util/file.h"

typedef struct CreateKeysParameters {
        WriteParameters write;
        uint64_t bits;
} CreateKeysParameters;

static const Field parameter_fields[] = {
        WRITE_PARAMETER_FIELDS(CreateKeysParameters),
        {.name = "bits",
         .type = FIELD_UNSIGNED,
         .offset = offsetof(CreateKeysParameters, bits),
         .help = "size of db's RSA key: 2048 (default) or 4096",
         .argument = "BITS"},
};

typedef struct CreateKeysResult {
        bool dry_run;
        StringList created;      /* roles that were, or would be, made */
        RecordList certificates; /* of all roles, as they are now; none in a dry run */
        StringList warnings;
} CreateKeysResult;

static const Field result_fields[] = {
        FIELD(CreateKeysResult, dry_run, FIELD_BOOLEAN, "dry-run"),
        FIELD(CreateKeysResult, created, FIELD_STRINGS, "created"),
        FIELD_LIST(CreateKeysResult, certificates, certificate_record, "certificates"),
        FIELD(CreateKeysResult, warnings, FIELD_STRINGS, "warnings"),
};

static const Record parameters_record = RECORD(CreateKeysParameters, parameter_fields);
static const Record result_record = RECORD(CreateKeysResult, result_fields);

static int list_created(const KeyCreationPlan *plan, StringList *ret) {
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++)
                if (plan->roles[role]) {
                        r = string_list_add(ret, key_role_name(role));
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int list_certificates(const KeyStore *store, RecordList *ret, Failure *failure) {
        int r;

        for (KeyRole role = 0; role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                r = key_store_certificate(store, role, &certificate, failure);
                if (r >= 0)
                        r = certificate_record_add(ret, key_role_name(role), certificate);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int create(Context *context, unsigned bits, KeyCreationPlan *ret, Failure *failure) {
        _cleanup_(free_pointer) char *machine = context_machine_name(context);
        KeyCreation creation = {.machine = machine, .bits = bits, .now = context->now};

        if (!machine)
                return -ENOMEM;
        return key_store_create(context->keys, &creation, ret, failure);
}

static int run(Context *context, const void *parameters, void *result, Failure *failure) {
        const CreateKeysParameters *asked = parameters;
        CreateKeysResult *made = result;
        KeyCreationPlan plan;
        int r;

        if (asked->bits != 0 && asked->bits != 2048 && asked->bits != 4096)
                return parameter_refused(failure, "Keys of %llu bits cannot be made: of 2048 and 4096 they can",
                                         (unsigned long long)asked->bits);
        made->dry_run = asked->write.dry_run;
        if (made->dry_run) {
                r = key_store_plan_creation(context->keys, &plan, failure);
                return r < 0 ? r : list_created(&plan, &made->created);
        }

        r = context_lock_keys(context, &asked->write, failure);
        if (r < 0)
                return r;
        r = create(context, asked->bits == 0 ? 2048 : asked->bits, &plan, failure);
        if (r < 0)
                return r;
        r = list_created(&plan, &made->created);
        if (r < 0)
                return r;
        r = key_store_warnings(context->keys, context->now, &made->warnings);
        if (r < 0)
                return r;
        return list_certificates(context->keys, &made->certificates, failure);
}

const Operation create_keys_operation = {
        .verb = "create-keys",
        .help = "make the keys that are missing",
        .mutates = true,
        .parameters = &parameters_record,
        .result = &result_record,
        .run = run,
};
