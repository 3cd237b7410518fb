/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ops/state.h"

#include <errno.h>
#include <string.h>

#include "daemon/firmware/secure-boot.h"
#include "daemon/ops/context.h"

static const Field key_fields[] = {
        FIELD(KeyState, present, FIELD_BOOLEAN, "present"),
        FIELD(KeyState, owner_guid, FIELD_STRING, "owner-guid"),
        FIELD_LIST(KeyState, certificates, certificate_record, "certificates"),
};
static const Field firmware_fields[] = {
        FIELD(FirmwareState, mode, FIELD_STRING, "mode"),
        FIELD(FirmwareState, secure_boot, FIELD_BOOLEAN, "secure-boot"),
        FIELD(FirmwareState, setup_mode, FIELD_BOOLEAN, "setup-mode"),
};
/* Nobody is shown it in this form. */
static const Field system_fields[] = {
        FIELD(SystemState, keys.owner_guid, FIELD_STRING, "owner-guid"),
        FIELD_LIST(SystemState, keys.certificates, certificate_record, "certificates"),
        FIELD(SystemState, firmware.mode, FIELD_STRING, "mode"),
        FIELD_LIST(SystemState, watch.places, watch_place_record, "places"),
        FIELD(SystemState, watch.marks[WATCH_KEYS], FIELD_STRING, "keys"),
        FIELD(SystemState, watch.marks[WATCH_FIRMWARE], FIELD_STRING, "firmware"),
        FIELD(SystemState, watch.marks[WATCH_ESP], FIELD_STRING, "esp"),
        FIELD(SystemState, watch.marks[WATCH_GENERATIONS], FIELD_STRING, "generations"),
};
static const Record no_parameters = {};
static const Record key_record = RECORD(KeyState, key_fields);
static const Record firmware_record = RECORD(FirmwareState, firmware_fields);
static const Record system_record = RECORD(SystemState, system_fields);

/* Keys that are missing or cannot be read are not present, whatever the reason; status tells it. */
static int run_key_state(Context *context, const void *parameters, void *result, Failure *failure) {
        char owner[GUID_TEXT_SIZE] = "";
        KeyState *state = result;
        Guid guid;
        int r = 0;

        state->present = true;
        for (KeyRole role = 0; r >= 0 && role < KEY_ROLE_COUNT; role++) {
                _cleanup_(certificate_unrefp) Certificate *certificate = NULL;

                r = key_store_certificate(context->keys, role, &certificate, /* failure= */ NULL);
                if (r >= 0)
                        r = certificate_record_add(&state->certificates, key_role_name(role), certificate);
                else if (r != -ENOMEM)
                        r = state->present = false;
        }
        if (r < 0)
                return r;
        if (key_store_owner(context->keys, &guid, /* failure= */ NULL) >= 0)
                guid_format(&guid, owner);
        state->owner_guid = strdup(owner);
        return state->owner_guid ? 0 : -ENOMEM;
}

static int run_firmware_state(Context *context, const void *parameters, void *result, Failure *failure) {
        _cleanup_(secure_boot_state_done) SecureBootState secure_boot = {.mode = SECURE_BOOT_UNSUPPORTED};
        FirmwareState *state = result;
        int r;

        if (context->variables) {
                r = secure_boot_state_read(context->variables, &secure_boot, failure);
                if (r < 0)
                        return r;
        }
        state->secure_boot = secure_boot.secure_boot;
        state->setup_mode = secure_boot.setup_mode;
        state->mode = strdup(secure_boot_mode_name(secure_boot.mode));
        return state->mode ? 0 : -ENOMEM;
}

static int run_system_state(Context *context, const void *parameters, void *result, Failure *failure) {
        SystemState *state = result;
        int r;

        r = run_key_state(context, /* parameters= */ NULL, &state->keys, failure);
        if (r >= 0)
                r = run_firmware_state(context, /* parameters= */ NULL, &state->firmware, /* failure= */ NULL);
        if (r == -ENOMEM)
                return r;
        return watch_read(context, &state->watch);
}

const Operation key_state_operation = {
        .verb = "key state",
        .parameters = &no_parameters,
        .result = &key_record,
        .run = run_key_state,
};
const Operation firmware_state_operation = {
        .verb = "firmware state",
        .parameters = &no_parameters,
        .result = &firmware_record,
        .run = run_firmware_state,
};
const Operation system_state_operation = {
        .verb = "system state",
        .parameters = &no_parameters,
        .result = &system_record,
        .run = run_system_state,
};
