/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/enforcement.h"

#include <string.h>

#include "daemon/firmware/signature-list.h"
#include "daemon/util/file.h"

static const struct {
        SecureVariable variable;
        KeyRole role;
} roles[] = {
        {SECURE_VARIABLE_PK, KEY_ROLE_PK},
        {SECURE_VARIABLE_KEK, KEY_ROLE_KEK},
        {SECURE_VARIABLE_DB, KEY_ROLE_DB},
};

static bool is_ours(const Context *context, const Certificate *certificate, KeyRole role) {
        _cleanup_(free_pointer) char *machine = context_machine_name(context);
        char name[KEY_NAME_MAX + 1];

        key_store_name_certificate(machine, role, name);
        return strcmp(certificate_common_name(certificate), name) == 0 ||
               key_store_has_held(context->keys, certificate) > 0;
}

static bool holds_ours(const Context *context, Span database, KeyRole role) {
        SignatureIterator iterator = signature_iterator(database);
        SignatureEntry entry;

        while (signature_iterator_next(&iterator, &entry) > 0) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                if (guid_equal(&entry.type, &signature_type_x509) &&
                    certificate_from_der(entry.data, &certificate) >= 0 && is_ours(context, certificate, role))
                        return true;
        }
        return false;
}

const char *enforcement_ours(const Context *context, const SecureBootState *state) {
        for (size_t i = 0; i < ARRAY_LENGTH(roles); i++)
                if (holds_ours(context, buffer_span(&state->variables[roles[i].variable].lists), roles[i].role))
                        return secure_variable_name(roles[i].variable);
        return NULL;
}

bool enforcement_is_due(const Context *context, const SecureBootState *state) {
        if (state->mode != SECURE_BOOT_USER && state->mode != SECURE_BOOT_DEPLOYED)
                return false;
        return state->enforcing ||
               holds_ours(context, buffer_span(&state->variables[SECURE_VARIABLE_PK].lists), KEY_ROLE_PK);
}
