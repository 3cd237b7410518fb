/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzzes: firmware */

/* The input as an update: parsed, verified, and written to a firmware in memory, which takes it as a whole or not. */

#include <stdlib.h>

#include "daemon/crypto/signed-data.h"
#include "daemon/firmware/authenticated-update.h"
#include "daemon/firmware/secure-boot.h"
#include "daemon/firmware/signature-list.h"
#include "daemon/firmware/variables-memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
        if (!condition)
                abort();
}

static void check_update(Span input) {
        _cleanup_(signed_data_freep) SignedData *signature = NULL;
        AuthenticatedUpdate update;
        int64_t seconds;

        if (authenticated_update_parse(input, &update) < 0)
                return;
        expect(40 + update.signed_data.size + update.data.size == input.size);
        expect(efi_time_to_seconds(&update.timestamp, &seconds) < 0 || efi_time_is_plain(&update.timestamp));
        if (signed_data_parse(update.signed_data, &signature, /* ret_size= */ NULL) < 0)
                return;
        Certificate *anchor = signed_data_certificate(signature, 0);
        if (anchor)
                (void)authenticated_update_verify(&update, "db", &efi_image_security_database_guid,
                                                  VARIABLE_ATTRIBUTES_SECURE, anchor);
}

static void read_all(Variables *variables, SecureVariable variable, Buffer *ret) {
        (void)variables_read(variables, secure_variable_vendor(variable), secure_variable_name(variable),
                             /* ret_attributes= */ NULL, ret);
}

static void check_write(Variables *variables, SecureVariable variable, uint32_t attributes, Span input) {
        _cleanup_(buffer_done) Buffer before = {}, after = {};

        read_all(variables, variable, &before);
        int r = variables_write(variables, secure_variable_vendor(variable), secure_variable_name(variable), attributes,
                                input, /* failure= */ NULL);
        read_all(variables, variable, &after);
        if (r < 0)
                expect(span_equal(buffer_span(&before), buffer_span(&after)));
        expect(signature_database_check(buffer_span(&after), /* ret_count= */ NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(variables_freep) Variables *variables = NULL;
        Span input = {data, size};

        if (size > 1 << 14)
                return 0;
        check_update(input);
        expect(variables_new_memory(&variables) == 0);
        check_write(variables, SECURE_VARIABLE_DB, VARIABLE_ATTRIBUTES_SECURE, input);
        check_write(variables, SECURE_VARIABLE_DB, VARIABLE_ATTRIBUTES_SECURE_APPEND, input);
        check_write(variables, SECURE_VARIABLE_KEK, VARIABLE_ATTRIBUTES_SECURE, input);
        check_write(variables, SECURE_VARIABLE_PK, VARIABLE_ATTRIBUTES_SECURE, input);
        /* Whoever wrote PK may write again, later. */
        check_write(variables, SECURE_VARIABLE_PK, VARIABLE_ATTRIBUTES_SECURE_APPEND, input);
        check_write(variables, SECURE_VARIABLE_DB, VARIABLE_ATTRIBUTES_SECURE, input);
        return 0;
}
